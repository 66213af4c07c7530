package scale

import (
	"strings"
	"testing"
	"time"

	"hangar/state"
)

func TestDiscards(t *testing.T) {
	two := state.Demand{Stages: 2, Min: 0, Buffer: 0}
	idle := func(s *state.Server) { s.IdleSince = ago(time.Hour); s.Created = ago(2 * time.Hour) }
	for _, tt := range []struct {
		name    string
		discard state.Discard
		stages  int
		server  *state.Server
		phase   state.Phase // of it; empty: running

		held   string
		create int
		action state.Action
		reason string
		over   bool
	}{
		{name: "creates, and the demand is the same", discard: state.Discard{Demand: two}, stages: 2, held: HeldDiscarded},
		{name: "creates, and another stage waits", discard: state.Discard{Demand: two}, stages: 3, create: 2, over: true},
		{name: "creates, and the minimum is another", discard: state.Discard{Demand: state.Demand{Stages: 2, Min: 1}}, stages: 2, create: 1, over: true},
		{name: "a destroy, and the demand is the same", discard: state.Discard{Server: "a"}, action: state.Keep, reason: "octocat discarded its destruction"},
		{name: "a destroy, and the demand was another", discard: state.Discard{Server: "a", Demand: two}, action: state.Drain, over: true},
		{name: "a destroy that something else asks for", discard: state.Discard{Server: "a"}, phase: state.Shutdown, action: state.Stop, over: true},
		{name: "a destroy that could not be taken back", discard: state.Discard{Server: "a"}, phase: state.Stopping, action: state.Keep, reason: "which octocat has discarded"},
		{name: "a destroy of a server that is gone", discard: state.Discard{Server: "b"}, action: state.Drain, over: true},
		{name: "creates of a pool that is gone", discard: state.Discard{Pool: "old"}, over: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.discard
			d.By, d.At = "octocat", ago(time.Minute)
			if d.Pool == "" {
				d.Pool = "default"
			}
			o := Observation{At: now, Stages: waiting(tt.stages), Discards: []state.Discard{d}}
			if tt.action != "" {
				s := server("a", state.Running, idle)
				if tt.phase != "" {
					s.Phase, s.QuietSince = tt.phase, ago(time.Minute)
				}
				o.Servers = []state.Server{s}
			}
			got := Decide(o, []state.Pool{pool(func(p *state.Pool) { p.Min, p.Max, p.Concurrency = 0, 9, 2 })})
			if p := got.Pools[0]; p.Held != tt.held || p.Create != tt.create {
				t.Errorf("pool %+v", p)
			}
			if tt.action != "" && (got.Servers[0].Action != tt.action || !strings.Contains(got.Servers[0].Reason, tt.reason)) {
				t.Errorf("server %+v", got.Servers[0])
			}
			if (len(got.Over) == 1) != tt.over {
				t.Errorf("over: %+v", got.Over)
			}
		})
	}
}

// A server whose destruction waits for a person is put back to work for a stage;
// one whose destruction is under way is not.
func TestWorkTakesBackWhatWaits(t *testing.T) {
	for _, waits := range []bool{true, false} {
		s := server("a", state.Stopping)
		if waits {
			s.Waits = 7
		}
		d := Decide(Observation{At: now, Stages: waiting(1), Servers: []state.Server{s}}, []state.Pool{pool(func(p *state.Pool) { p.Min, p.Max = 0, 2 })})
		if revived := d.Servers[0].Action == state.Revive; revived != waits || (d.Pools[0].Create == 0) != waits {
			t.Errorf("waits %v: %+v %+v", waits, d.Servers[0], d.Pools[0])
		}
	}
}
