package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

func TestSecretIsNotShown(t *testing.T) {
	const key = "sk-secret"
	s := config.NewSecret(key)
	u := config.Upstream{Name: "a", OpenAI: &config.OpenAI{APIKey: s}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t"} {
		fmt.Fprintf(&shown, verb+verb+verb+"\n", s, *u.OpenAI, u)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(h).InfoContext(t.Context(), "shown", slog.Any("key", s), slog.Any("upstream", u))
	}
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	hex := fmt.Sprintf("%x", key)
	for _, secret := range []string{key, hex, strings.ToUpper(hex)} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("%q is shown:\n%s", secret, shown.String())
		}
	}
	if !strings.Contains(shown.String(), `"APIKey":"[redacted]"`) {
		t.Errorf("no sign of the secret:\n%s", shown.String())
	}
	if got := s.Reveal(); got != key {
		t.Errorf("Reveal() = %q, want %q", got, key)
	}
	if got := (config.Secret{}).String(); got != "" {
		t.Errorf("the empty secret is shown as %q", got)
	}
}
