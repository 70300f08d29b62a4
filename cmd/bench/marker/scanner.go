package marker

import "bytes"

// A Scanner finds marks in a stream of bytes that comes in pieces. It knows no
// protocol: whatever is no whole mark is passed over. The zero value is ready.
type Scanner struct {
	rest [Len - 1]byte // the end of what came, if it may be the beginning of a mark
	held int
}

// Scan calls found for each mark that ends in p.
func (s *Scanner) Scan(p []byte, found func(Mark)) {
	if s.held > 0 {
		// Marks that begin in the rest end at most Len-1 bytes into p.
		var seam [2 * (Len - 1)]byte
		n := copy(seam[:], s.rest[:s.held])
		n += copy(seam[n:], p[:min(len(p), Len-1)])
		from := scan(seam[:n], found)
		if from < s.held && len(p) < Len-1 {
			s.held = copy(s.rest[:], seam[from:n]) // p was too short to tell
			return
		}
		// What is left in p of a mark that was found is scanned again, for nothing: it has
		// no '@'.
	}
	from := scan(p, found)
	s.held = copy(s.rest[:], p[from:])
}

// scan calls found for each mark in p. It returns where a mark begins that p may cut
// short, or p's length.
func scan(p []byte, found func(Mark)) int {
	at := 0
	for {
		i := bytes.IndexByte(p[at:], '@')
		if i < 0 {
			return len(p)
		}
		at += i
		if len(p)-at < Len {
			return at
		}
		if m, ok := parse(p[at : at+Len]); ok {
			found(m)
			at += Len
		} else {
			at++
		}
	}
}
