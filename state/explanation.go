package state

import (
	"slices"
	"strconv"
	"time"
)

// Explanation is a decision as it would be made at one instant, with what it
// means for each server and each stage.
type Explanation struct {
	At      time.Time         `json:"at"`
	Paused  bool              `json:"paused"`
	Pools   []ExplainedPool   `json:"pools"`
	Servers []ExplainedServer `json:"servers"`
	Stages  []ExplainedStage  `json:"stages"` // those that wait, in the order in which Drone hands them out, then those that run
}

// ExplainedPool is the figures of one pool, what follows from them and by which
// rule.
type ExplainedPool struct {
	PoolDecision
	Rule string `json:"rule"` // its name, a colon, and what it says
	Min  int    `json:"min"`  // servers
	Max  int    `json:"max"`
	Lead Lead   `json:"lead"`
}

// Lead is how long the last servers of a pool took from the decision to make
// them until they ran.
type Lead struct {
	Median Seconds `json:"median"`
	Of     int     `json:"of"` // servers; 0: none has run yet, and nothing is known
}

// Seconds is a span of time that is told in seconds.
type Seconds time.Duration

// MarshalJSON writes the seconds, with milliseconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Round(time.Millisecond).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	*s = Seconds(seconds * float64(time.Second))
	return err
}

// ExplainedServer is why one server is kept or leaves, and when it may leave.
type ExplainedServer struct {
	ServerDecision
	Stages []int64 `json:"stages"` // on it
	// MayLeave is when it may leave at the earliest, by the rules of its pool and
	// as things are now; zero: that is no question of time.
	MayLeave time.Time `json:"may_leave,omitzero"`
	Leave    string    `json:"leave"` // the same, in words
}

// Place is what becomes of a stage.
type Place string

// The places of a stage.
const (
	StageRuns      Place = "runs"      // a runner has accepted it
	StageReady     Place = "ready"     // a runner that is there has room for it
	StageComing    Place = "coming"    // a server is on its way for it
	StageHeld      Place = "held"      // its pool is held, and nothing is on its way for it
	StageLimited   Place = "limited"   // Drone holds it back by its limit or throttle
	StageUnmatched Place = "unmatched" // no pool may run it
)

// ExplainedStage is what becomes of one stage of the build queue.
type ExplainedStage struct {
	Stage  int64  `json:"stage"`
	Build  int64  `json:"build"`
	Name   string `json:"name"`
	Asks   string `json:"asks"` // for example pipeline/docker linux/arm64 size=large
	Place  Place  `json:"place"`
	Pool   string `json:"pool,omitempty"`   // that takes it
	Server string `json:"server,omitempty"` // on which it is, or which is on its way for it; empty: one that has no name yet, or none
	Reason string `json:"reason"`
	// Expected is when that server is expected to run; zero: not known, or there
	// is none. It is an estimate, from the pool's Lead.
	Expected time.Time `json:"expected,omitzero"`
	Estimate string    `json:"estimate,omitempty"` // the same, in words
}

// About returns what the explanation says of one server, by its name, or of one
// stage, by its id, with their pool, and the server's stages or the stage's
// server. ok is false when there is neither.
func (e Explanation) About(what string) (about Explanation, ok bool) {
	about = Explanation{At: e.At, Paused: e.Paused}
	var pool, server string
	id, err := strconv.ParseInt(what, 10, 64)
	if i := slices.IndexFunc(e.Servers, func(s ExplainedServer) bool { return s.Server == what }); i >= 0 {
		pool, server = e.Servers[i].Pool, what
		for _, s := range e.Stages {
			if s.Server == what {
				about.Stages = append(about.Stages, s)
			}
		}
	} else if i := slices.IndexFunc(e.Stages, func(s ExplainedStage) bool { return s.Stage == id }); err == nil && i >= 0 {
		pool, server = e.Stages[i].Pool, e.Stages[i].Server
		about.Stages = e.Stages[i : i+1]
	} else {
		return about, false
	}
	for _, p := range e.Pools {
		if p.Pool == pool {
			about.Pools = append(about.Pools, p)
		}
	}
	for _, s := range e.Servers {
		if s.Server == server {
			about.Servers = append(about.Servers, s)
		}
	}
	return about, true
}
