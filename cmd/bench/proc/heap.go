package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A Heap is what a Go process has allocated since it began.
type Heap struct{ Objects, Bytes float64 }

// The samples of a Heap, as Prometheus's Go collector names them.
const (
	objectsSample = "go_memstats_mallocs_total"
	bytesSample   = "go_memstats_alloc_bytes_total"
)

// ReadHeap gets a process's metrics page.
func ReadHeap(ctx context.Context, admin string) (Heap, error) {
	body, err := Get(ctx, "http://"+admin+"/metrics")
	if err != nil {
		return Heap{}, err
	}
	return parseHeap(string(body))
}

// WriteHeap writes a metrics page that ReadHeap takes.
func WriteHeap(w io.Writer, h Heap) error {
	_, err := fmt.Fprintf(w, "%s %v\n%s %v\n", objectsSample, h.Objects, bytesSample, h.Bytes)
	return err
}

func parseHeap(page string) (Heap, error) {
	var h Heap
	fields := map[string]*float64{objectsSample: &h.Objects, bytesSample: &h.Bytes}
	found := 0
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if fields[name] == nil {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return Heap{}, fmt.Errorf("%s: %w", name, err)
		}
		*fields[name] = v
		found++
	}
	if found != len(fields) {
		return Heap{}, fmt.Errorf("%d of %d samples of the heap on the metrics page", found, len(fields))
	}
	return h, nil
}

// Get returns what is at an address, on a connection of its own.
func Get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true, // it would cost the server a megabyte
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}
