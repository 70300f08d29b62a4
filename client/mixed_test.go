package client_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// An event that is missing is an error, never a hole in the answer. Nobody has a use for
// the rest.
func TestGap(t *testing.T) {
	for name, events := range map[string][]*sauronv1.Event{
		"gap":        {started("g"), text(1, "a"), text(3, "c")},
		"no_started": {text(1, "a")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					if err := s.send(events...); err != nil {
						return err
					}
					<-s.cancelled
					return s.send(finished(0, cancelled))
				})
				if _, err := f.read(t.Context()); status.Code(err) != codes.DataLoss {
					t.Errorf("error %v, want DATA_LOSS", err)
				}
				if _, cancels := f.seen(); len(cancels) != 1 {
					t.Errorf("%d cancels, want 1", len(cancels))
				}
			})
		})
	}
}

// A server that answers a resume with another generation is never believed: two answers
// are not mixed, also where the sequences fit.
func TestAnotherGeneration(t *testing.T) {
	for name, second := range map[string][]*sauronv1.Event{
		"from_the_start": {started("h"), stage(1), text(2, "other"), finished(3, completed)},
		"further_on":     {started("h"), text(3, "other"), finished(4, completed)},
		"at_the_end":     {started("h"), finished(3, completed)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					if s.try == 1 {
						return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
					}
					return s.send(second...)
				})
				events, err := f.read(t.Context())
				if status.Code(err) != codes.DataLoss {
					t.Errorf("error %v, want DATA_LOSS", err)
				}
				checkEvents(t, events, whole[:3])
				if _, cancels := f.seen(); len(cancels) != 1 {
					t.Errorf("%d cancels, want 1", len(cancels))
				}
			})
		})
	}
}

// What is said of the request alone belongs to no generation: a retry of an id that was
// cancelled meanwhile ends so.
func TestCancelledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try == 1 {
				return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
			}
			return s.send(started("h"), finished(0, cancelled))
		})
		events, err := f.read(t.Context())
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		checkEvents(t, events, append(whole[:3:3], finished(0, cancelled)))
	})
}

// A stream that is about another generation, and lost before any of it came, does not
// move the client from its own.
func TestAnotherGenerationIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			switch s.try {
			case 1:
				return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
			case 2:
				return errors.Join(s.send(started("h")), status.Error(codes.Unavailable, "lost"))
			}
			return errors.Join(s.send(started("g")), s.send(whole[3:]...))
		})
		events, err := f.read(t.Context())
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		checkEvents(t, events, whole)
		requests, _ := f.seen()
		if point := requests[2].GetResume(); point.GetGenerationId() != "g" || point.GetAfterSequence() != 2 {
			t.Errorf("resumed at %v, want g after 2", point)
		}
	})
}
