package scale

import (
	"time"

	"hangar/state"
)

// Candidate is where a server that a person asks for is to be made: at the
// pool's first candidate that is not cooling off after a failure, or, since a
// person may know better, at the first of all when each of them is.
func Candidate(p state.Pool, backoffs []state.Backoff, at time.Time) state.Candidate {
	for _, c := range p.Candidates {
		if coolsOff(p.Name, c.Name, at, backoffs) == nil {
			return c
		}
	}
	return p.Candidates[0]
}

// Full says why a pool may not have one more server that a person asks for;
// empty: it may.
func Full(o Observation, pools []state.Pool, name string) string {
	members, load := muster(o, discards{})
	for _, f := range assemble(o, members, pools, load) {
		if f.pool.Name == name && (f.headroom() == 0 || f.all.headroom(f) == 0) {
			f.clip(1)
			return f.because
		}
	}
	return ""
}
