package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"

	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A seed chooses an answer: a digest of all that a real model would see.
type seed [sha256.Size]byte

// seedVersion keeps these digests apart from any others of the same bytes.
const seedVersion = "sauron simulator 1\x00"

// newSeed returns the seed of req, asked of model. It fails if req cannot be
// encoded, which text that is not UTF-8 causes.
func newSeed(req *sauronv1.GenerateRequest, model string) (seed, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(whatChooses(req))
	if err != nil {
		return seed{}, fmt.Errorf("sim: encode the request: %w", err)
	}
	h := sha256.New()
	h.Write([]byte(seedVersion))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(model))))
	h.Write([]byte(model))
	h.Write(b)
	return seed(h.Sum(nil)), nil
}

// whatChooses returns a copy of req with all that a real model would see. What it
// clears is listed, not what it keeps: a field that is added later counts.
func whatChooses(req *sauronv1.GenerateRequest) *sauronv1.GenerateRequest {
	r := proto.CloneOf(req)
	r.Model = "" // the route's name; the model's is hashed by itself
	r.RequestId, r.Coalescing, r.Resume, r.OrphanGrace = "", 0, nil, nil
	if s := r.GetSampling(); s != nil {
		s.MaxTokens = nil
		if proto.Size(s) == 0 {
			r.Sampling = nil
		}
	}
	if delete(r.GetExtensions().GetFields(), extensionName); len(r.GetExtensions().GetFields()) == 0 {
		r.Extensions = nil
	}
	return r
}

// words yields the words of a text without end, each but the first with the
// space before it.
func (s seed) words() iter.Seq[string] {
	return func(yield func(string) bool) {
		// ChaCha8 is specified to yield the same numbers everywhere and forever;
		// the helpers of rand.Rand are not.
		source := rand.NewChaCha8(s)
		for word := "Simulator:"; yield(word); {
			word = vocabulary[source.Uint64()%uint64(len(vocabulary))]
		}
	}
}

// vocabulary is a part of every answer: another word or order is another answer
// to every request. Its length divides 2^64, so that all words are as likely.
var vocabulary = [...]string{
	" amber", " anchor", " apple", " april", " arrow", " autumn", " basin", " beacon",
	" birch", " blue", " bridge", " bright", " candle", " canyon", " cedar", " circle",
	" clear", " cloud", " copper", " coral", " creek", " dawn", " delta", " distant",
	" early", " ember", " evening", " falcon", " feather", " field", " forest", " garden",
	" gentle", " glass", " golden", " granite", " harbor", " hollow", " island", " juniper",
	" lantern", " light", " maple", " meadow", " morning", " mountain", " north", " ocean",
	" orchard", " paper", " pebble", " quiet", " rain", " river", " silver", " slow",
	" stone", " summer", " thunder", " timber", " valley", " velvet", " willow", " winter",
}
