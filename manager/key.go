package manager

import "crypto/sha256"

// A Key says which requests are the same generation: equal keys, equal answers
// asked for. It covers the tenant and is made by the server from everything that
// can change the answer. It is a digest of a prompt, an oracle for guessing it:
// never log one.
type Key [sha256.Size]byte
