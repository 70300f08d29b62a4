// Package systemtest holds black-box tests of the built programs: `sauron serve`
// runs as a process, between gRPC clients on connections of their own and HTTP
// servers that misbehave as upstreams do, with a prepare hook beside it. What the
// tests count, they count at the far ends: at the callers, at the upstream, at the
// hook.
//
// The tests steer the upstream and the hook by channels, so that "while it runs"
// means just that. Where only the service knows (how many wait in a stage, whether
// a lost connection was noticed) they poll its metrics. The programs are built
// with the race detector if the tests are; a race or a panic in a program, or an
// exit status other than 0, fails the test that started it.
//
// Some tests need other people's programs: grpcurl, on the PATH or in the Go
// workspace's bin folder, and Python with grpcio, grpcio-tools and grpcio-status,
// as `python3` or as the environment variable PYTHON names it. Without them these
// tests skip.
package systemtest
