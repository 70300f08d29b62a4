package main

import (
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// explain returns what is known of a failed call: code, reason, message, and when
// to try again. An error that is no status is returned as it is.
func explain(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	words := code.Code_name[int32(s.Code())]
	if words == "" {
		words = s.Code().String()
	}
	message, again := s.Message(), ""
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			words += " " + d.GetReason()
		case *errdetails.BadRequest:
			message = violations(d)
		case *errdetails.RetryInfo:
			again = fmt.Sprintf(" (try again after %v)", d.GetRetryDelay().AsDuration())
		}
	}
	return words + ": " + message + again
}

// violations returns all that is wrong with a request, not only the first field.
func violations(d *errdetails.BadRequest) string {
	fields := make([]string, len(d.GetFieldViolations()))
	for i, v := range d.GetFieldViolations() {
		fields[i] = v.GetField() + ": " + v.GetDescription()
	}
	return strings.Join(fields, "; ")
}

// oneLine replaces what would break s over several lines or steer a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
