package openai

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sauron-stream/sauron/manager/fault"
)

// refused returns the failure that an answer with a status other than 2xx is. body
// is what could be read of its body, perhaps not all.
func refused(status int, header http.Header, body []byte) *failure {
	said := readComplaint(body)
	f := &failure{after: retryAfter(header)}
	switch {
	case status == http.StatusPaymentRequired, status < 500 && said.quota():
		f.fault = fault.New(fault.UpstreamQuota, said.err(status))
	case status == http.StatusTooManyRequests:
		f.fault = fault.New(fault.UpstreamRateLimited, said.err(status))
		f.fault.RetryAfter = f.after
		f.again = true
	case status == http.StatusRequestTimeout, status >= 500:
		f.fault = fault.New(fault.UpstreamUnavailable, said.err(status))
		f.again = true
	case status < 400: // a redirect, which is not followed
		f.fault = fault.New(fault.UpstreamUnavailable, said.err(status))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		f.fault = fault.New(fault.UpstreamUnauthorized, said.err(status))
	case status == http.StatusNotFound:
		f.fault = fault.New(fault.UpstreamModelNotFound, said.err(status))
	default:
		f.fault = fault.New(said.rejection(status), said.err(status))
		f.fault.Metadata = said.metadata()
	}
	if f.fault.Metadata == nil {
		f.fault.Metadata = make(map[string]string, 1)
	}
	f.fault.Metadata["upstream_status"] = strconv.Itoa(status)
	return f
}

// isStream reports whether a body of this content type may be an event stream.
// Some servers name none, others a wrong one; but what calls itself a page or a
// JSON text is no stream.
func isStream(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	return name != "text/html" && name != "application/json" && !strings.HasSuffix(name, "+json")
}
