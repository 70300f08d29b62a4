package marker

// A Checker checks the sequences that one reader gets: 1 to a known last one, each
// once and in order. The zero value is ready.
type Checker struct {
	highest  uint32   // the largest sequence so far
	received int64    // different ones
	missing  []uint64 // a bit for each sequence that was passed over; nil: none was

	Repeated  int64 // came before
	Reordered int64 // came after a later one
}

// See records a sequence. It reports whether it is new.
func (c *Checker) See(sequence uint32) bool {
	switch {
	case sequence == c.highest+1:
		c.highest = sequence
	case sequence > c.highest:
		c.miss(c.highest+1, sequence)
		c.highest = sequence
	case sequence > 0 && c.found(sequence):
		c.Reordered++
	default:
		c.Repeated++
		return false
	}
	c.received++
	return true
}

// Received returns how many different sequences came.
func (c *Checker) Received() int64 { return c.received }

// Lost returns how many of 1 to last did not come.
func (c *Checker) Lost(last int64) int64 { return last - c.received }

// miss marks the sequences from one to before another as passed over.
func (c *Checker) miss(from, to uint32) {
	for len(c.missing)*64 <= int(to) {
		c.missing = append(c.missing, 0)
	}
	for s := from; s < to; s++ {
		c.missing[s/64] |= 1 << (s % 64)
	}
}

// found reports whether a sequence was passed over, and takes it off.
func (c *Checker) found(sequence uint32) bool {
	word, bit := int(sequence/64), uint64(1)<<(sequence%64)
	if word >= len(c.missing) || c.missing[word]&bit == 0 {
		return false
	}
	c.missing[word] &^= bit
	return true
}
