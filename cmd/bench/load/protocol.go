package load

// A protocol is one connection's side of the conversation. It appends what is to be
// sent to a buffer that the connection sends after each call.
type protocol interface {
	// ask begins a stream.
	ask(s *stream) error
	// feed takes what came. An error ends the connection.
	feed(p []byte, at int64) error
	// eof says that the server has closed the connection, and why it is taken for
	// broken.
	eof(why string)
	// pending returns what is to be sent, and forgets it.
	pending() []byte
}
