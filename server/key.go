package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// keyVersion is the first byte of what is digested. Another encoding gets another
// version, so that two replicas of different versions never agree by accident.
const keyVersion = 1

// outsideKey names the fields of GenerateRequest that can't change the answer. A
// test fails when a field is added to any message of a request and nobody decided.
var outsideKey = map[protoreflect.Name]bool{
	"request_id":   true,
	"coalescing":   true,
	"resume":       true,
	"orphan_grace": true,
}

// keyOf digests what says which requests are the same generation: the tenant, the
// route's revision and every field of req that can change the answer.
//
// The encoding is canonical and length-prefixed, so that no two different requests
// have the same: a message is its present fields in the order of their numbers, each
// as its number and its value, then an end mark, then its unknown fields as they
// came. An omitted optional is not its default; a
// submessage with nothing in it is absent, but not as the chosen member of a oneof,
// where presence is the value; map entries are ordered by key; -0 is 0.
func keyOf(tenant string, revision [sha256.Size]byte, req *sauronv1.GenerateRequest) manager.Key {
	w := keyWriter{sha256.New()}
	w.Write([]byte{keyVersion})
	w.bytes([]byte(tenant))
	w.Write(revision[:])
	w.message(req.ProtoReflect(), outsideKey)
	return manager.Key(w.Sum(nil))
}

type keyWriter struct{ hash.Hash }

func (w keyWriter) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	w.Write(b[:])
}

func (w keyWriter) bytes(b []byte) {
	w.number(uint64(len(b)))
	w.Write(b)
}

// message writes the fields of m but for those that leaveOut names.
func (w keyWriter) message(m protoreflect.Message, leaveOut map[protoreflect.Name]bool) {
	fields := make([]protoreflect.FieldDescriptor, 0, 16)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !leaveOut[f.Name()] && !isEmptySubmessage(f, v) {
			fields = append(fields, f)
		}
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return cmp.Compare(a.Number(), b.Number()) })
	for _, f := range fields {
		w.number(uint64(f.Number()))
		v := m.Get(f)
		switch {
		case f.IsMap():
			w.mapEntries(f, v.Map())
		case f.IsList():
			list := v.List()
			w.number(uint64(list.Len()))
			for i := range list.Len() {
				w.value(f, list.Get(i))
			}
		default:
			w.value(f, v)
		}
	}
	w.number(0) // no field has it: the end of the fields
	w.bytes(m.GetUnknown())
}

func (w keyWriter) mapEntries(f protoreflect.FieldDescriptor, entries protoreflect.Map) {
	keys := make([]string, 0, entries.Len())
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String()) // every map of a request has string keys; a test holds it
		return true
	})
	slices.Sort(keys)
	w.number(uint64(len(keys)))
	for _, k := range keys {
		w.bytes([]byte(k))
		w.value(f.MapValue(), entries.Get(protoreflect.ValueOfString(k).MapKey()))
	}
}

// value writes one value. Its kind follows from the field, which is written before
// it.
func (w keyWriter) value(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		w.message(v.Message(), nil)
	case protoreflect.StringKind:
		w.bytes([]byte(v.String()))
	case protoreflect.BytesKind:
		w.bytes(v.Bytes())
	case protoreflect.BoolKind:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		w.number(n)
	case protoreflect.EnumKind:
		w.number(uint64(v.Enum()))
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		w.number(math.Float64bits(v.Float() + 0)) // -0 + 0 is 0
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		w.number(uint64(v.Int()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.number(v.Uint())
	}
}

// isEmptySubmessage reports whether a present field says no more than an absent
// one.
func isEmptySubmessage(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if f.Message() == nil || f.IsList() || f.IsMap() || f.ContainingOneof() != nil {
		return false
	}
	m := v.Message()
	if len(m.GetUnknown()) > 0 {
		return false
	}
	empty := true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		empty = isEmptySubmessage(f, v)
		return empty
	})
	return empty
}
