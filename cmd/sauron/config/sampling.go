package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// sampling reads a mapping whose keys are the fields of Sampling by their proto
// names, so that a field that is added there is known here.
func sampling(to *sauronv1.Sampling) decoder {
	m := to.ProtoReflect()
	descriptors := m.Descriptor().Fields()
	fields := make(map[string]decoder, descriptors.Len())
	for i := range descriptors.Len() {
		field := descriptors.Get(i)
		name := string(field.Name())
		set := func(s string) error {
			v, err := samplingValue(field.Kind(), s)
			if err == nil {
				err = checkSampling(name, v)
			}
			if err != nil {
				return err
			}
			if field.IsList() {
				m.Mutable(field).List().Append(v)
			} else {
				m.Set(field, v)
			}
			return nil
		}
		fields[name] = scalar(set)
		if field.IsList() {
			fields[name] = list(scalar(set))
		}
	}
	return object("a field of Sampling", fields)
}

// samplingValue parses s as a value of kind.
func samplingValue(kind protoreflect.Kind, s string) (protoreflect.Value, error) {
	switch kind { //nolint:exhaustive // the kinds that Sampling has; a test sets every field
	case protoreflect.DoubleKind:
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return protoreflect.Value{}, fmt.Errorf("%q is not a number", s)
		}
		return protoreflect.ValueOfFloat64(v), nil
	case protoreflect.Int32Kind:
		v, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not a whole number of 32 bits", s)
		}
		return protoreflect.ValueOfInt32(int32(v)), nil
	case protoreflect.Int64Kind:
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not a whole number of 64 bits", s)
		}
		return protoreflect.ValueOfInt64(v), nil
	case protoreflect.StringKind:
		_, err := text(s)
		return protoreflect.ValueOfString(s), err
	}
	return protoreflect.Value{}, errors.New("cannot be set in a file")
}

// checkSampling refuses what the contract rules out for the field called name.
func checkSampling(name string, v protoreflect.Value) error {
	switch {
	case name == "temperature" && v.Float() < 0:
		return errors.New("must be at least 0")
	case name == "top_p" && (v.Float() < 0 || v.Float() > 1):
		return errors.New("must be from 0 to 1")
	case name == "max_tokens" && v.Int() < 1:
		return errors.New("must be at least 1")
	}
	return nil
}
