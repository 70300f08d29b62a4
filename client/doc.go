// Package client calls a Sauron service, and comes back by itself.
//
//	conn, err := grpc.NewClient(address, append(client.DialOptions(),
//		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
//	...
//	for text, err := range client.New(conn).Text(ctx, req) {
//
// An iteration is one generation from its first event to its end, however many
// streams that takes. When a stream is lost (the connection, a drain, a reader that
// was too slow, UNAVAILABLE with more to come) the client resumes after the last
// event that it has handed out, with a jittered backoff, and drops what comes twice.
// It gives up when nothing new has come for its budget, which a stream that lasted
// renews: a model may think for longer than a proxy keeps a silent stream open. A stream
// that stands is waited for: how long a model may think is for the server to limit.
//
// A generation that is gone, because the server was restarted or the pause was longer
// than the server keeps one, is started anew as long as nothing of the answer was handed
// out. After that it is an error, GENERATION_GONE: two answers are never mixed.
//
// When the context of an iteration is cancelled, or its loop is left early, also by a
// panic, the client cancels the request by its id, so that nobody generates for no one.
// That may take 5 s where the server does not answer. A deadline needs no Cancel: it goes
// to the server with the request.
//
// # Concurrency
//
// A Client may be used by many goroutines at once. An iterator is used by one, and
// leaves no goroutine behind.
package client
