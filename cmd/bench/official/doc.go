// Package official compares the streamer with the upstreams' own client library, in a
// benchmark: go test -bench . ./official
package official
