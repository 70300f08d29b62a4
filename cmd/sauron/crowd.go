package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"

	"github.com/sauron-stream/sauron/client"
)

// crowdConnections is over how many connections the callers are spread.
const crowdConnections = 4

// generateCrowd runs several identical callers at once and prints how they fared.
func (p *process) generateCrowd(in interrupts, opts generateOptions) int {
	conns := make([]*grpc.ClientConn, min(opts.count, crowdConnections))
	for i := range conns {
		conn, err := dial(opts.address)
		if err != nil { // of the first: they have one address
			return p.usageError("generate", fmt.Errorf("--address: %w", err))
		}
		conns[i] = conn
		closeWith(in, conn)
	}
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	if err := greet(in.soft, conns[0]); err != nil {
		return p.fail("generate", exitFailed, err)
	}

	crowd := make([]*participant, opts.count)
	var callers sync.WaitGroup
	for i := range crowd {
		one := newParticipant()
		crowd[i] = one
		c := &caller{
			client: client.New(conns[i%len(conns)], client.WithBudget(p.budget)),
			req:    opts.request(fmt.Sprintf("%s-%d", opts.requestID, i+1)),
			event:  one.event,
		}
		callers.Go(func() {
			one.begun = time.Now()
			one.outcome, one.err = c.run(in)
		})
	}
	callers.Wait()
	if err := writeCrowd(p.stdout, crowd); err != nil {
		return p.fail("generate", exitFailed, err)
	}
	return p.crowdStatus(crowd)
}

// crowdStatus says once for each reason why answers are not whole, and returns
// the exit status.
func (p *process) crowdStatus(crowd []*participant) int {
	result := exitOK
	reasons := map[string]int{}
	var order []string
	for _, one := range crowd {
		switch {
		case one.completed():
			continue
		case one.cancelled():
			if result == exitOK {
				result = exitCancelled
			}
			continue
		}
		result = exitFailed
		reason := fmt.Sprintf("the server answered %v", one.outcome)
		if one.err != nil {
			reason = explain(one.err)
		}
		if reasons[reason]++; reasons[reason] == 1 {
			order = append(order, reason)
		}
	}
	for _, reason := range order {
		p.fail("generate", result, fmt.Errorf("%s failed: %s", callersText(reasons[reason]), reason))
	}
	return result
}

// writeCrowd writes the table of crowd and what follows from it.
func writeCrowd(w io.Writer, crowd []*participant) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CALLER\tPARTICIPATION\tOUTCOME\tEVENTS\tFIRST TOKEN\tTEXT") // Flush has the error
	generations := map[string]bool{}
	var whole *participant // the first answer, which the others are compared with
	equal, answers := true, 0
	for i, one := range crowd {
		participation, outcome, first, text := "-", "failed", "-", "-"
		if one.generation != "" {
			generations[one.generation] = true
			participation = word(one.participation.String(), "PARTICIPATION_")
		}
		if one.firstToken >= 0 {
			first = one.firstToken.Round(time.Millisecond).String()
		}
		switch {
		case one.completed():
			outcome, text = "completed", "same"
			answers++
			if whole == nil {
				whole = one
			} else if one.text.String() != whole.text.String() {
				text, equal = "other", false
			}
		case one.cancelled():
			outcome = "cancelled"
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\n", i+1, participation, outcome, one.events, first, text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	verdict := "the texts are equal"
	switch {
	case answers == 0:
		verdict = "no whole text"
	case !equal:
		verdict = "the texts differ"
	}
	_, err := fmt.Fprintf(w, "%s, %d complete, generations: %d; %s\n", callersText(len(crowd)), answers, len(generations), verdict)
	return err
}

// word returns an enum value's name without its prefix, in lower case.
func word(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func callersText(n int) string {
	if n == 1 {
		return "1 caller"
	}
	return fmt.Sprintf("%d callers", n)
}
