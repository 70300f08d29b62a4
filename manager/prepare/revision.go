package prepare

import (
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// revisionVersion changes with the way that revisions are made, and keeps them
// apart from any other digest of the same bytes.
const revisionVersion = "sauron route 1"

// revisionOf digests what can change an answer: which upstream is asked for which
// model (empty: the caller's), with which defaults, after which hook. The route's
// name is not in it, as the key has the model that was asked for; nor are sharing
// and the hook's timeout, which change no answer.
func revisionOf(model string, cfg RouteConfig) [sha256.Size]byte {
	var address string
	if cfg.Hook != nil {
		address = cfg.Hook.Address
	}
	// New has refused defaults that cannot be encoded.
	defaults, _ := encodeDefaults(cfg.Defaults)
	h := sha256.New()
	for _, part := range [][]byte{
		[]byte(revisionVersion),
		[]byte(cfg.UpstreamName),
		cfg.UpstreamDigest,
		[]byte(model),
		defaults,
		[]byte(address),
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// encodeDefaults returns the same bytes for the same defaults, or an error if
// there is text that is not UTF-8.
func encodeDefaults(defaults *sauronv1.Sampling) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(defaults)
}
