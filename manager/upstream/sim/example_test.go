package sim_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// A request may choose its own pace and fault.
func Example() {
	u, err := sim.New(sim.Config{Name: "sim", FirstToken: 200 * time.Millisecond, InterToken: 20 * time.Millisecond, Tokens: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	extensions, err := structpb.NewStruct(map[string]any{"sim": map[string]any{
		"first_token": "0s", "inter_token": "0s", "fault": "break", "after_tokens": 4,
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	streamer := u.Streamer(&sauronv1.GenerateRequest{
		Messages:   []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "What do you see?"}},
		Extensions: extensions,
	}, "any-model")
	for e, err := range streamer.Stream(context.Background()) {
		if err != nil {
			fmt.Println()
			fmt.Println(err)
			return
		}
		fmt.Print(e.Text)
	}
	// Output:
	// Simulator: lantern canyon arrow
	// UPSTREAM_BROKEN: sim: the stream ended without a finish reason, as asked
}
