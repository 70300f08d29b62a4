package main

import (
	"context"
	"net/url"
)

// A backend is a third party's LLM server that runs on this machine.
type backend struct {
	name   string // what it is, for the report
	remark string // what is not as first chosen; may be empty
	base   *url.URL
	model  string
	load   workload
	server *process

	// journal asks the server how many chat completions it was asked for. Nil if
	// it does not count them.
	journal func(context.Context) (int, error)
}

// A starter gets a server, starts it and leaves it ready to answer. The caller
// must stop it; it also stops when ctx ends.
type starter func(context.Context, *workspace) (*backend, error)

// A workload is what the callers ask.
type workload struct {
	shared    string   // asked by all identical callers
	others    []string // asked by one caller each
	maxTokens int32    // of each answer
	// cancelAfter is how many pieces of text the leader has when it is cancelled.
	cancelAfter int
}

// questions lists the different questions; the shared one is the first.
func (l workload) questions() []string {
	return append([]string{l.shared}, l.others...)
}

// readableLoad is for a backend that gives readable answers.
func readableLoad(cancelAfter int) workload {
	return workload{
		shared: "Tell me a short story about a river.",
		others: []string{
			"What is the capital of France?",
			"Name the four seasons.",
			"Write one sentence about autumn.",
		},
		maxTokens:   128,
		cancelAfter: cancelAfter,
	}
}
