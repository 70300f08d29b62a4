package report

// What the report says around its tables.
const (
	methodText = `Read ratios, not absolute figures: this is a shared machine. Each cell is the median [least..most] of %d repetitions. A
repetition runs every variant at every point once, one after the other, beginning with another one each time, so that
noise which lasts falls on all; ratios are taken within a repetition and then summed up.

- **Processes.** The server, the client and the upstream are processes of their own on this machine, fresh for each run,
  over loopback. A Go runtime that may use one core has GOMAXPROCS=1.
- **Upstream.** OpenAI's chat completions as an event stream, one write for each chunk. Each chunk has 48 bytes of text
  with its generation, its number and CLOCK_MONOTONIC right before the write. Every design reads it with Sauron's own
  streamer, so that only handing on is compared. Answers begin together, once all readers are there; those of several
  upstream streams are spread over one interval.
- **Client.** One goroutine over epoll, which takes HTTP/2 frames apart and looks for the marks in the bytes, the same
  code for every design; it grants the largest windows. It checks every stream for order, gaps, repeats and events of
  another generation. What it and the upstream use of their core stands in the tables: the part that is measured is the
  server.
- **Figures.** CPU is the server process's, user and system, from the first event to the last receipt, by its process
  clock. Latency is from before the upstream's write to the return of the read that brought the event. Idle RSS is what
  all open streams added before the first event, after one warm-up request. Allocations are the Go runtime's count, less what
  reading it costs. Servers have one core, so what several pumps gain, or cost each other, is not in these figures.
- **Sauron** is the real binary with limits lifted that would queue the load, and the log level at error. *Channel per
  subscriber*: a bounded channel of 64 each, a send that drops when it is full, one message and one encoding per Send. *Brute
  force*: such a broadcast for every request. *Two pools*: a queue and workers that prepare, a queue and workers that stream;
  only preparing is shared. *SSE*: net/http, one log, encoded once, a flush for each event; HTTP/1.1 has no shared connections.
  *Bare grpc-go* is no design but the floor of memory: handlers that wait, and send the whole answer at its end. *Before* is Sauron
  as it was with a goroutine for each subscription (commit %s).
  Brute force and two pools need an upstream stream for each reader, so above 60 k events/s the upstream would be what is
  measured: there they are left out.

`
	goalsText = `Medians of this run. A ratio is Sauron's figure divided by the other's.

`
	correctnessText = `All runs together. Cut off means that a run's time limit was over. Any of it but a zero for Sauron fails the run.

`
	scaleText = `50 000 deliveries a second from 25 readers on, 2000 events/s with fewer. RSS and allocations with few readers are those of
the process itself, so they are left out.

`
	pacedText = `Rates that every design should bear. "Lost" is of all events that were to come.

`
	overloadText = `More than can be delivered one by one: who can't batch queues, or drops.

`
	stuckText = `One of 100 readers grants no more than HTTP/2's first window of 64 KiB, or never reads its connection. The figures are of
the other 99.

`
	stubText = `The main points again with the client that users have. It shares a core with the upstream and costs far more than the bench's
own, so latencies here are the client's too.

`
	uniqueText = `Every request is a generation of its own. *flow*: answered at once, 10 events/s each, begun one after the other. *one event
each*: what a generation costs beside its events. *held open*: all open at a time before their first event.

`
	notesText = `## What to make of it

[notes.md](notes.md), written by hand, says of the goals that are not reached what was tried, what dominates, and what they would need.
`
	profileText = `Profiles of Sauron's processor time, taken in runs of their own that count for nothing else. The parts overlap.

`
)
