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
