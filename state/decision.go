package state

import (
	"slices"
	"time"
)

// Decision is what package scale wants changed, with a reason for every
// server and every pool.
type Decision struct {
	ID        int64            `json:"id"`
	At        time.Time        `json:"at"`
	Paused    bool             `json:"paused"`
	Pools     []PoolDecision   `json:"pools"`
	Servers   []ServerDecision `json:"servers"`
	Unmatched []Unmatched      `json:"unmatched"`

	Over []Discard `json:"-"` // of those observed: the demand has changed since
}

// PoolDecision is the figures of one pool and what follows from them.
type PoolDecision struct {
	Pool     string `json:"pool"`
	Waiting  int    `json:"waiting"`   // matched pending stages without a machine, free to start
	HeldBack int    `json:"held_back"` // matched pending stages that limit or throttle holds back
	Assigned int    `json:"assigned"`  // stages on this pool's servers
	Usable   int    `json:"usable"`    // stages that its servers, present and on their way, can run
	Free     int    `json:"free"`      // usable without the stages on those servers
	Billed   int    `json:"billed"`    // servers that count against the maximum
	Create   int    `json:"create"`    // servers to be made

	Candidate string `json:"candidate,omitempty"` // where they are to be made
	Held      string `json:"held,omitempty"`      // what keeps the pool from what it wants: paused, maximum, budget, cost, backoff, discarded
	Reason    string `json:"reason"`
}

// Action is what a decision does with one server.
type Action string

// The actions on a server.
const (
	Keep   Action = "keep"
	Drain  Action = "drain"  // running -> shutdown
	Revive Action = "revive" // shutdown -> running
	Stop   Action = "stop"   // out of its stack: to be destroyed
	Drop   Action = "drop"   // pending -> stopped: its create never begun
)

// ServerDecision is what happens to one server, and why.
type ServerDecision struct {
	Server string `json:"server"`
	Pool   string `json:"pool"`
	Phase  Phase  `json:"phase"` // in which it was seen
	Action Action `json:"action"`
	To     Phase  `json:"-"` // to which the action takes it
	Alarm  bool   `json:"-"` // the reason is worth a warning: a drain that takes too long, stages that hang
	Reason string `json:"reason"`

	// What was seen of it in this read of the queue, to be remembered.
	Served     time.Time `json:"-"`
	IdleSince  time.Time `json:"-"`
	QuietSince time.Time `json:"-"`
}

// Unmatched is waiting stages that no pool may run, by what they ask for.
type Unmatched struct {
	Stages []int64 `json:"stages"`
	Asks   string  `json:"asks"`   // for example pipeline/docker linux/arm64 size=large
	Reason string  `json:"reason"` // what the nearest pool lacks
}

// Changed says whether the decision moves a server or makes one.
func (d Decision) Changed() bool {
	for _, p := range d.Pools {
		if p.Create > 0 {
			return true
		}
	}
	for _, s := range d.Servers {
		if s.Action != Keep {
			return true
		}
	}
	return false
}

// Brief returns the decision as it is recorded: without the servers that
// are kept, of which there may be a thousand.
func (d Decision) Brief() Decision {
	moved := []ServerDecision{}
	for _, s := range d.Servers {
		if s.Action != Keep {
			moved = append(moved, s)
		}
	}
	d.Servers = moved
	return d
}

// Same says whether two decisions say the same, whenever they were made. A
// decision that moves a server or makes one is never the same as another.
func (d Decision) Same(other Decision) bool {
	return !d.Changed() && !other.Changed() &&
		d.Paused == other.Paused &&
		slices.Equal(d.Pools, other.Pools) &&
		slices.EqualFunc(d.Unmatched, other.Unmatched, func(a, b Unmatched) bool {
			return a.Asks == b.Asks && a.Reason == b.Reason && slices.Equal(a.Stages, b.Stages)
		})
}

// Backoff is the time for which a candidate of a pool is not asked again
// after it failed.
type Backoff struct {
	Pool      string    `json:"pool"`
	Candidate string    `json:"candidate"`
	Failures  int       `json:"failures"` // in a row
	Until     time.Time `json:"until"`
	Error     string    `json:"error"`
}
