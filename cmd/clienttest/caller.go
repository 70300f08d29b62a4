package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A caller is a plain gRPC client of a server, without a proxy between.
type caller struct {
	conn   *grpc.ClientConn
	client sauronv1.GenerationServiceClient
}

func (s *sauron) dial() (*caller, error) {
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &caller{conn, sauronv1.NewGenerationServiceClient(conn)}, nil
}

func (c *caller) close() error { return c.conn.Close() }

// ask asks a question, which the simulator answers at a pace of its own. The pace makes
// it another generation than the clients', but chooses none of the words.
func (c *caller) ask(ctx context.Context, id, question string, pace map[string]any) (grpc.ServerStreamingClient[sauronv1.GenerateResponse], error) {
	extensions, err := structpb.NewStruct(map[string]any{"sim": pace})
	if err != nil {
		return nil, err
	}
	return c.client.Generate(ctx, &sauronv1.GenerateRequest{
		RequestId:  id,
		Model:      "default",
		Messages:   []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: question}},
		Extensions: extensions,
	})
}

// answer returns the whole text of the answer to a question.
func (c *caller) answer(ctx context.Context, question string) (string, error) {
	stream, err := c.ask(ctx, "reference", question, map[string]any{"first_token": "0s", "inter_token": "0s"})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	var outcome sauronv1.Outcome
	for {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && outcome == sauronv1.Outcome_OUTCOME_COMPLETED:
			return text.String(), nil
		case err != nil:
			return "", fmt.Errorf("the plain client's stream ended, outcome %v: %w", outcome, err)
		}
		for _, e := range resp.GetEvents() {
			text.WriteString(e.GetTextDelta())
			if f := e.GetFinished(); f != nil {
				outcome = f.GetOutcome()
			}
		}
	}
}

// occupy starts a generation that lasts until it is cancelled by id, and returns when
// it has come to stage. Its stream is not read any further.
func (c *caller) occupy(ctx context.Context, id string, stage sauronv1.Stage) error {
	stream, err := c.ask(ctx, id, id, map[string]any{"first_token": "1h"})
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("%s did not come to %v: %w", id, stage, err)
		}
		for _, e := range resp.GetEvents() {
			if e.GetStageChanged().GetStage() == stage {
				return nil
			}
		}
	}
}

// cancel cancels a request by its id.
func (c *caller) cancel(ctx context.Context, id string) error {
	_, err := c.client.Cancel(ctx, &sauronv1.CancelRequest{RequestId: id})
	return err
}
