package manager

import "time"

// requestName names a request among all tenants'.
type requestName struct{ tenant, id string }

// A request binds a request id to one generation: the streams that it has open
// there, what it left behind, and for a while how it ended. All fields are guarded
// by Manager.mu, but for those that never change.
type request struct {
	name         requestName // never changes
	key          Key         // never changes
	generationID string      // never changes
	leader       bool        // created the generation; never changes

	b         *broadcast // nil if and only if it has neither stream nor hold
	subs      map[*Subscription]struct{}
	hold      *hold // non-nil only without streams
	cancelled bool
	forgetAt  time.Time // zero as long as b is not nil and nothing has ended
}

// A hold keeps a generation, or its log, for a request that has no stream.
type hold struct {
	timer *time.Timer
	until time.Time
	// lost: the last stream was lost, so this is a lease and a Cancel ends it.
	// Otherwise the stream had its end and the log is kept in case it did not
	// arrive.
	lost bool
}

// known reports whether the id is still remembered.
func (q *request) known(now time.Time) bool {
	return q.forgetAt.IsZero() || now.Before(q.forgetAt)
}

// participation returns how q takes part by r. A cancelled request is shown what it
// was when the generation ran: it can't tell whether others go on. Who resumes leads
// nothing.
func (q *request) participation(r Request) Participation {
	switch {
	case q.b != nil && q.b.ended:
		return Replay
	case q.leader && r.Resume == nil:
		return Leader
	default:
		return Follower
	}
}
