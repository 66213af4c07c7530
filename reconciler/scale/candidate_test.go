package scale

import (
	"testing"
	"time"

	"hangar/state"
)

func TestCandidate(t *testing.T) {
	p := state.Pool{Name: "default", Candidates: []state.Candidate{{Name: "first"}, {Name: "second"}}}
	cooling := func(name string) state.Backoff {
		return state.Backoff{Pool: "default", Candidate: name, Until: now.Add(time.Minute)}
	}
	for _, tt := range []struct {
		name     string
		backoffs []state.Backoff
		want     string
	}{
		{"in order of preference", nil, "first"},
		{"the first cools off", []state.Backoff{cooling("first")}, "second"},
		{"each cools off", []state.Backoff{cooling("first"), cooling("second")}, "first"},
	} {
		if got := Candidate(p, tt.backoffs, now); got.Name != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Name, tt.want)
		}
	}
}

// A server that a person asked for is made, whether anything needs it or not.
func TestOrderedServerIsNotDropped(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		s := server("a", state.Pending, func(s *state.Server) { s.Ordered = ordered })
		d := Decide(Observation{At: now, Servers: []state.Server{s}}, []state.Pool{{Name: s.Pool, Max: 2, Concurrency: 1}})
		want := map[bool]state.Action{false: state.Drop, true: state.Keep}[ordered]
		if got := d.Servers[0].Action; got != want {
			t.Errorf("ordered %t: %s, want %s", ordered, got, want)
		}
	}
}
