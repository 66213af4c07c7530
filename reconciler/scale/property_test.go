package scale

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hangar/state"
)

// FuzzDecide is TestProperties driven by the fuzzer's own bytes.
func FuzzDecide(f *testing.F) { f.Fuzz(rapid.MakeFuzz(properties)) }

func TestProperties(t *testing.T) { rapid.Check(t, properties) }

func properties(t *rapid.T) {
	o, pools := draw(t)
	before := fmt.Sprintf("%+v %+v", o, pools)
	d := Decide(o, pools)

	if again := Decide(o, pools); !reflect.DeepEqual(d, again) {
		t.Fatalf("the same input gave another decision\n%+v\n%+v", d, again)
	}
	if after := fmt.Sprintf("%+v %+v", o, pools); after != before {
		t.Fatalf("the input was modified\n%s\n%s", before, after)
	}
	checkServers(t, o, pools, d)
	checkPools(t, o, pools, d)
	checkStages(t, o, pools, d)
	checkErrored(t, o, pools, d)
	checkDiscards(t, o, pools, d)

	if again := Decide(apply(o, pools, d), pools); again.Changed() {
		t.Fatalf("applied and decided again, it changes\nfirst %+v\nthen  %+v", d, again)
	}
}

// checkServers: each server is decided with a reason, and none that holds a
// stage is chosen to leave, but by a person.
func checkServers(t *rapid.T, o Observation, pools []state.Pool, d state.Decision) {
	load := loads(o)
	seen := slices.DeleteFunc(slices.Clone(o.Servers), func(s state.Server) bool { return s.Phase == state.Stopped })
	if len(seen) != len(d.Servers) {
		t.Fatalf("%d servers decided of %d", len(d.Servers), len(seen))
	}
	for i, s := range seen {
		got := d.Servers[i]
		if got.Server != s.Name || got.Phase != s.Phase || got.Reason == "" {
			t.Fatalf("server %+v decided as %+v", s, got)
		}
		if load[s.Name] == 0 {
			continue
		}
		if got.Action == state.Stop && !s.Forced {
			t.Fatalf("%s stops with a stage on it", s.Name)
		}
		unknown := !slices.ContainsFunc(pools, func(p state.Pool) bool { return p.Name == s.Pool })
		if (got.Action == state.Drop || got.Action == state.Drain && !unknown) && !s.Condemned && !s.Forced {
			t.Fatalf("%s leaves with a stage on it: %s", s.Name, got.Reason)
		}
	}
}

// checkPools: never more than the maximum, never a want without a create or a
// word on what holds it back, never a drain that the pool cannot bear.
func checkPools(t *rapid.T, o Observation, pools []state.Pool, d state.Decision) {
	after := apply(o, pools, d)
	if was, is := billed(o), billed(after); o.Max > 0 && is > max(was, o.Max) {
		t.Fatalf("%d billed servers of at most %d in all pools", is, o.Max)
	}
	for i, p := range d.Pools {
		var was, is, revived, released, replaced, running, ready int
		rate := 0.0
		load := loads(o)
		for _, s := range after.Servers {
			if s.Pool != p.Pool {
				continue
			}
			if s.Billed() {
				is++
				rate += s.Price
			}
			if s.Phase == state.Running && !s.Condemned && !s.Forced {
				running++
				ready += max(0, s.Capacity-load[s.Name])
			}
		}
		for _, s := range o.Servers {
			if s.Pool == p.Pool && s.Billed() {
				was++
			}
		}
		for _, machine := range pools[i].Static {
			ready += max(0, pools[i].Concurrency-load[machine])
		}
		outdated, capacities := map[string]bool{}, map[string]int{}
		for _, s := range o.Servers {
			outdated[s.Name], capacities[s.Name] = pools[i].Outdated(s), s.Capacity
		}
		spent := o.Spent[p.Pool].Cost
		overspent := pools[i].Budget > 0 && spent >= pools[i].Budget
		asked := map[string]bool{}
		for _, s := range o.Servers {
			asked[s.Name] = s.Condemned || s.Forced
		}
		for _, s := range d.Servers {
			switch {
			case s.Pool != p.Pool:
			case s.Action == state.Revive:
				revived++
			case s.Action == state.Drain && !asked[s.Server] && !outdated[s.Server]:
				released++
			case s.Action == state.Drain && !asked[s.Server]:
				replaced++
				ready += capacities[s.Server]
			}
		}

		if is > max(was, pools[i].Max) {
			t.Fatalf("pool %s has %d billed servers of at most %d: %+v", p.Pool, is, pools[i].Max, p)
		}
		if pools[i].Budget > 0 && p.Create > 0 && spent+rate > pools[i].Budget+1e-6 {
			t.Fatalf("pool %s makes what it cannot pay for: %v spent, %v an hour, of %v", p.Pool, spent, rate, pools[i].Budget)
		}
		if p.Waiting > p.Free && p.Create == 0 && revived == 0 && p.Held == "" {
			t.Fatalf("pool %s leaves stages waiting without a word: %+v", p.Pool, p)
		}
		if released > 0 && !overspent && (running+replaced < pools[i].Min || ready < p.Waiting+pools[i].Buffer) {
			t.Fatalf("pool %s let %d go, and has %d with %d free: %+v", p.Pool, released, running, ready, p)
		}
		if (p.Create > 0) != (p.Candidate != "") || o.Paused && p.Create > 0 || p.Reason == "" {
			t.Fatalf("pool %s: %+v", p.Pool, p)
		}
	}
}

// checkStages: every stage that waits is counted exactly once, where it belongs.
func checkStages(t *rapid.T, o Observation, pools []state.Pool, d state.Decision) {
	var waiting, heldBack int
	unmatched := map[int64]bool{}
	for _, u := range d.Unmatched {
		for _, id := range u.Stages {
			unmatched[id] = true
		}
	}
	for _, s := range o.Stages {
		if s.Running || s.Machine != "" {
			continue
		}
		matched := slices.ContainsFunc(pools, func(p state.Pool) bool { return Matches(s, p) })
		held := droneHolds(s, o.Stages)
		switch {
		case matched && held:
			heldBack++
		case matched:
			waiting++
		}
		if unmatched[s.ID] != (!matched && !held) {
			t.Fatalf("stage %d unmatched: %v", s.ID, unmatched[s.ID])
		}
	}
	for _, p := range d.Pools {
		waiting -= p.Waiting
		heldBack -= p.HeldBack
	}
	if waiting != 0 || heldBack != 0 {
		t.Fatalf("%d waiting stages and %d held back are not counted once", waiting, heldBack)
	}
}

// checkErrored: one errored server more, and one server more to the maximum,
// changes nothing for all the others.
func checkErrored(t *rapid.T, o Observation, pools []state.Pool, d state.Decision) {
	o.Servers = append(slices.Clone(o.Servers), server("agent-errored", state.Failed))
	o.Servers[len(o.Servers)-1].Pool, o.Servers[len(o.Servers)-1].Price = pools[0].Name, 1e-12 // else it costs what others do
	pools = slices.Clone(pools)
	pools[0].Max++
	if o.Max > 0 {
		o.Max++
	}

	got := Decide(o, pools)
	if n := len(got.Servers) - 1; !reflect.DeepEqual(got.Servers[:n], d.Servers) || got.Servers[n].Action != state.Keep {
		t.Fatalf("an errored server changed others\nwithout %+v\nwith    %+v", d.Servers, got.Servers)
	}
	for i := range got.Pools {
		a, b := d.Pools[i], got.Pools[i]
		if i == 0 {
			a.Billed++
		}
		a.Reason, b.Reason = "", "" // they name the figures
		if a != b {
			t.Fatalf("an errored server changed a pool\nwithout %+v\nwith    %+v", a, b)
		}
	}
}

// checkDiscards: what a person discarded is not asked for again while the demand
// is what it was, and a discard never outlives it.
func checkDiscards(t *rapid.T, o Observation, pools []state.Pool, d state.Decision) {
	for _, discard := range o.Discards {
		at := slices.IndexFunc(pools, func(p state.Pool) bool { return p.Name == discard.Pool })
		same := at < 0 && discard.Demand == state.Demand{} || at >= 0 && discard.Demand == Demand(o.Stages, pools[at])
		over := slices.Contains(d.Over, discard)
		if !same && !over {
			t.Fatalf("the demand is another, and the discard still counts: %+v", discard)
		}
		if over {
			continue
		}
		if discard.Server == "" && d.Pools[at].Create > 0 {
			t.Fatalf("creates were discarded, and asked for again: %+v", d.Pools[at])
		}
		for i, s := range o.Servers {
			if s.Name != discard.Server || s.Condemned || s.Forced {
				continue
			}
			got := d.Servers[slices.IndexFunc(d.Servers, func(sd state.ServerDecision) bool { return sd.Server == s.Name })]
			if o.Servers[i].Phase != state.Pending && got.Action != state.Keep && got.Action != state.Revive {
				t.Fatalf("its destruction was discarded, and it is asked to leave: %+v", got)
			}
		}
	}
}

// apply is the observation after the decision, as the store would show it at
// the same instant.
func apply(o Observation, pools []state.Pool, d state.Decision) Observation {
	decided := make(map[string]state.ServerDecision)
	for _, s := range d.Servers {
		decided[s.Server] = s
	}
	o.Servers = slices.Clone(o.Servers)
	o.Discards = slices.DeleteFunc(slices.Clone(o.Discards), func(d2 state.Discard) bool { return slices.Contains(d.Over, d2) })
	for i := range o.Servers {
		s := &o.Servers[i]
		got, ok := decided[s.Name]
		switch {
		case !ok:
		case got.Action == state.Keep:
			s.Served, s.IdleSince, s.QuietSince = got.Served, got.IdleSince, got.QuietSince
		default:
			s.Phase = phaseAfter[got.Action]
			s.Updated, s.IdleSince, s.QuietSince = o.At, time.Time{}, time.Time{}
		}
	}
	for i, p := range d.Pools {
		for n := range p.Create {
			o.Servers = append(o.Servers, state.Server{
				Name: fmt.Sprint("new-", p.Pool, "-", n), Pool: p.Pool, Phase: state.Pending,
				Capacity: pools[i].Concurrency, Created: o.At, Updated: o.At,
				Price: candidateOf(pools[i], p.Candidate).Price, Spec: candidateOf(pools[i], p.Candidate).Spec,
			})
		}
	}
	return o
}

func loads(o Observation) map[string]int {
	load := map[string]int{}
	for _, s := range o.Stages {
		if s.Machine != "" {
			load[s.Machine]++
		}
	}
	return load
}

func candidateOf(p state.Pool, name string) state.Candidate {
	return p.Candidates[slices.IndexFunc(p.Candidates, func(c state.Candidate) bool { return c.Name == name })]
}

func billed(o Observation) (n int) {
	for _, s := range o.Servers {
		if s.Billed() {
			n++
		}
	}
	return n
}
