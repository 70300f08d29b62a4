package client_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// The text of an answer as it comes. If the connection is lost meanwhile, the loop
// does not notice.
func ExampleClient_Text() {
	address, stop := serveSimulator() // or where yours listens: "dns:///sauron.svc:50051"
	defer stop()

	conn, err := grpc.NewClient(address, append(client.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	req := &sauronv1.GenerateRequest{
		Model:    "default",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "Why is the sky blue?"}},
	}
	for text, err := range client.New(conn).Text(context.Background(), req) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(text)
	}
	// Output: Simulator: mountain glass evening river beacon meadow juniper juniper paper quiet ocean
}

// All events, of which the text is a part.
func ExampleClient_Events() {
	conn, stop := dialSimulator() // connects as the example of Text does
	defer stop()

	req := &sauronv1.GenerateRequest{
		Model:    "default",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "Why is the sky blue?"}},
	}
	text := 0
	for e, err := range client.New(conn).Events(context.Background(), req) {
		if err != nil {
			fmt.Println(client.Reason(err), err)
			return
		}
		switch kind := e.GetKind().(type) {
		case *sauronv1.Event_Started:
			fmt.Println(kind.Started.GetParticipation())
		case *sauronv1.Event_StageChanged:
			fmt.Println(e.GetSequence(), kind.StageChanged.GetStage())
		case *sauronv1.Event_TextDelta:
			text += len(kind.TextDelta)
		case *sauronv1.Event_Usage:
			fmt.Println(kind.Usage.GetCompletionTokens(), "tokens,", text, "bytes")
		case *sauronv1.Event_Finished:
			fmt.Println(kind.Finished.GetOutcome(), kind.Finished.GetFinishReason())
		}
	}
	// Output:
	// PARTICIPATION_LEADER
	// 1 STAGE_QUEUED
	// 2 STAGE_PREPARING
	// 3 STAGE_WAITING
	// 4 STAGE_STREAMING
	// 12 tokens, 87 bytes
	// OUTCOME_COMPLETED FINISH_REASON_STOP
}

// A context that ends cancels the request at the server: nobody generates for no one.
func ExampleClient_Text_cancel() {
	conn, stop := dialSimulator() // connects as the example of Text does
	defer stop()

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	req := &sauronv1.GenerateRequest{
		RequestId: "a-random-uuid-is-best", Model: "default",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "Tell me a long story."}},
	}
	for _, err := range client.New(conn).Text(ctx, req) {
		if err != nil {
			fmt.Println(err)
		}
	}
	state, err := client.New(conn).Cancel(context.Background(), req.GetRequestId())
	fmt.Println(state, err)
	// Output:
	// context canceled
	// CANCEL_STATE_CANCELLED <nil>
}
