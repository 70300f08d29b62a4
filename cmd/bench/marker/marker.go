// Package marker makes and finds the marks that the bench's upstream puts into the
// text of every chunk, and checks that each reader gets all of them in order.
//
// A mark says which generation it belongs to, its place there and when it was
// written:
//
//	@ggggg.ssssssss.tttttttttttttttt;
//
// in hexadecimal, always of the same length. Nothing in it is escaped in JSON or
// protobuf, so a reader finds it in the raw bytes of any protocol.
package marker

// Len is the length of a mark.
const Len = 33

// Where the parts of a mark begin and end.
const (
	generationAt = 1
	sequenceAt   = 7
	timeAt       = 16
	endAt        = Len - 1
)

// A Mark is what one chunk's text says.
type Mark struct {
	Generation uint32
	Sequence   uint32 // 1, 2, 3, ...
	Time       int64  // CLOCK_MONOTONIC in nanoseconds
}

// Append appends the mark's text.
func (m Mark) Append(dst []byte) []byte {
	dst = append(dst, '@')
	dst = appendHex(dst, uint64(m.Generation), sequenceAt-generationAt-1)
	dst = append(dst, '.')
	dst = appendHex(dst, uint64(m.Sequence), timeAt-sequenceAt-1)
	dst = append(dst, '.')
	dst = appendHex(dst, uint64(m.Time), endAt-timeAt)
	return append(dst, ';')
}

// parse returns the mark that p, which is Len bytes long, is.
func parse(p []byte) (Mark, bool) {
	_ = p[Len-1]
	if p[0] != '@' || p[sequenceAt-1] != '.' || p[timeAt-1] != '.' || p[endAt] != ';' {
		return Mark{}, false
	}
	generation, ok1 := hex(p[generationAt : sequenceAt-1])
	sequence, ok2 := hex(p[sequenceAt : timeAt-1])
	at, ok3 := hex(p[timeAt:endAt])
	return Mark{uint32(generation), uint32(sequence), int64(at)}, ok1 && ok2 && ok3
}

const digits = "0123456789abcdef"

func appendHex(dst []byte, v uint64, n int) []byte {
	for shift := 4 * (n - 1); shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

func hex(p []byte) (v uint64, ok bool) {
	for _, c := range p {
		d := values[c]
		if d > 15 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}

// values has each digit's value, and more than 15 for what is none.
var values = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i := range len(digits) {
		t[digits[i]] = byte(i)
	}
	return t
}()
