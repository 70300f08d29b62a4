package config

import (
	"fmt"
	"io"
)

// redacted is what is printed in place of a secret.
const redacted = "[redacted]"

// A Secret is a text that no log, error or dump of the configuration shows. Only
// Reveal returns it. The zero Secret is empty.
type Secret struct {
	// text is a pointer because fmt goes around every method here when it reports
	// a bad verb for a struct that holds a Secret. It then prints an address.
	text *string
}

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal reports whether both hold the same text.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns a stand-in, or nothing for an empty Secret.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return redacted
}

// Format writes the stand-in, whatever the verb: fmt would otherwise print the
// field for %d or %#v.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns the stand-in, for JSON and for slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
