package load

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sauron-stream/sauron/cmd/bench/marker"
)

// answerBytes is what a server sends on two streams: settings, headers, DATA that cuts
// marks in two, a ping between them, trailers.
func answerBytes(t *testing.T) []byte {
	t.Helper()
	var out, block bytes.Buffer
	w := http2.NewFramer(&out, nil)
	encoder := hpack.NewEncoder(&block)
	headers := func(id uint32, end bool, fields ...hpack.HeaderField) {
		block.Reset()
		for _, f := range fields {
			if err := encoder.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384}))
	check(w.WriteSettingsAck())
	for _, id := range []uint32{1, 3} {
		headers(id, false, hpack.HeaderField{Name: ":status", Value: "200"}, hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
	}
	text := func(s uint32) []byte { return marker.Mark{Sequence: s, Time: 1}.Append([]byte{0, 0, 0, 0, 33}) }
	one := append(text(1), text(2)...)
	// The streams' pieces alternate in the middle of a mark.
	check(w.WriteData(1, false, one[:20]))
	check(w.WriteData(3, false, one[:50]))
	check(w.WritePing(false, [8]byte{1}))
	check(w.WriteData(1, false, one[20:]))
	check(w.WriteData(3, false, nil))
	check(w.WriteData(3, false, one[50:]))
	headers(1, true, hpack.HeaderField{Name: "grpc-status", Value: "0"})
	headers(3, true, hpack.HeaderField{Name: "grpc-status", Value: "14"}, hpack.HeaderField{Name: "grpc-message", Value: "gone"})
	return out.Bytes()
}

// TestFeedPieces takes the same from a connection in whatever pieces it comes.
func TestFeedPieces(t *testing.T) {
	all := answerBytes(t)
	for size := 1; size <= len(all); size++ {
		c, err := newHTTP2(Spec{})
		if err != nil {
			t.Fatal(err)
		}
		ta := newTally(Spec{Streams: 2, Generations: 1, Tokens: 2})
		for _, s := range ta.streams {
			if err := c.ask(s); err != nil {
				t.Fatal(err)
			}
		}
		c.pending()
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			if err := c.feed(rest[:n], 2); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		r := ta.result()
		if r.Received != 4 || r.Lost != 0 || r.Repeated != 0 || r.Failed != 1 || r.Why != "grpc-status 14: gone" {
			t.Fatalf("in pieces of %d: %+v", size, r)
		}
		// The settings and the ping were answered.
		sent := http2.NewFramer(nil, bytes.NewReader(c.pending()))
		for _, want := range []http2.FrameType{http2.FrameSettings, http2.FramePing} {
			f, err := sent.ReadFrame()
			if err != nil || f.Header().Type != want || !f.Header().Flags.Has(1) {
				t.Fatalf("in pieces of %d: answered %v, %v, want an acknowledgement of %v", size, f, err, want)
			}
		}
	}
}
