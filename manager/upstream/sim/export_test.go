package sim

import "google.golang.org/protobuf/types/known/structpb"

// ValidateExtension returns what is wrong with v as the value of the extension `sim`,
// as an *ExtensionError, or nil.
func ValidateExtension(v *structpb.Value) error {
	if v == nil {
		return nil
	}
	if err := applyExtension(&Config{}, v); err != nil {
		return err
	}
	return nil
}
