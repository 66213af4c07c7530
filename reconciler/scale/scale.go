// Package scale decides how large the fleet is to be. It is pure: an
// observation of the build queue and the servers, and the pools, go in; a
// decision with a reason for every server and every pool comes out. The same
// input always gives the same output, and applying a decision and deciding
// again on the same read changes nothing.
package scale

import (
	"time"

	"hangar/state"
)

// Observation is what one pass sees: one read of the build queue and one of
// the store. It is complete or not made at all, and Decide only reads it.
type Observation struct {
	At       time.Time
	Stages   []state.Stage // pending and running ones; ids are unique
	Servers  []state.Server
	Backoffs []state.Backoff
	Paused   bool
	Spent    map[string]state.Spent // of the budgets, by pool
	Discards []state.Discard
	Max      int // servers of all pools together; 0: no bound

	// SSH says that machines are reached: a runner can then be told to take no
	// more work. Without it a server drains by the queue alone.
	SSH bool
	// Grace is for how long the queue must show no stage on a machine that does
	// not answer before it is destroyed.
	Grace time.Duration
	// Overdue is after how long a drain is told to take too long; it goes on.
	Overdue time.Duration
}

// What keeps a pool from what it wants, as state.PoolDecision.Held tells it.
const (
	HeldPaused  = "paused"  // a person paused hangar
	HeldMaximum = "maximum" // the pool has as many servers as it may have
	HeldBudget  = "budget"  // too many creates of the last hour have served nothing
	HeldCost    = "cost"    // its servers may cost no more in this day
	HeldBackoff = "backoff" // each of its candidates failed and is cooling off

	HeldDiscarded = "discarded" // a person discarded its creates, and the demand has not changed since
)

// Decide says what is to become of every server that is not stopped, in the
// order of the observation, how many servers each pool is to make, and which
// waiting stages no pool may run.
//
// What was asked for by a person comes first and does not depend on demand.
// Then each pool covers its demand, cheapest means first (runners that exist
// anyway, draining servers, then new ones), lets go of what it has beyond that,
// and replaces what is outdated. What a person discarded is not asked for again
// while the demand is as it was. The servers of a pool that is not among the
// pools drain. While paused only what was begun or asked for goes on.
func Decide(o Observation, pools []state.Pool) state.Decision {
	return decide(o, pools, func(seat) {}).decision
}

// course is a decision with what it was made of.
type course struct {
	decision state.Decision
	members  []*member
	fleets   []*fleet
}

// decide is Decide; seated is told where each waiting stage counts, the oldest
// one first.
func decide(o Observation, pools []state.Pool, seated func(seat)) course {
	kept := standing(o, pools)
	members, load := muster(o, kept)
	fleets := assemble(o, members, pools, load)
	for _, f := range fleets {
		f.discarded = kept.creates[f.pool.Name]
	}
	unmatched := spread(o, fleets, pools, seated)

	d := state.Decision{
		At:        o.At,
		Paused:    o.Paused,
		Pools:     make([]state.PoolDecision, 0, len(fleets)),
		Servers:   make([]state.ServerDecision, 0, len(members)),
		Unmatched: unmatched,
		Over:      kept.over,
	}
	for _, f := range fleets {
		f.begin()
	}
	// What is given up, here or by another pool, may make room for more.
	for settled := false; !settled; {
		for _, f := range fleets {
			for f.shift(o) {
			}
		}
		for _, f := range fleets {
			f.grow(o)
		}
		settled = true
		for _, f := range fleets {
			settled = !f.drop(o) && settled
		}
	}
	for _, f := range fleets {
		d.Pools = append(d.Pools, f.result())
	}
	for _, m := range members {
		m.conclude(o)
		d.Servers = append(d.Servers, m.decision)
	}
	return course{d, members, fleets}
}
