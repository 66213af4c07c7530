package scale

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// renewing is a pool of n servers that are to be made as "new".
func renewing(n, unavailable, surge int) state.Pool {
	return pool(func(p *state.Pool) {
		p.Min, p.Max, p.MaxUnavailable, p.MaxSurge = n, 2*n, unavailable, surge
		p.Candidates = []state.Candidate{{Name: "ewr1", Spec: "new"}, {Name: "sjc1", Spec: "new too"}}
	})
}

func spec(text string) func(*state.Server) {
	return func(s *state.Server) { s.Spec = text }
}

func TestRollout(t *testing.T) {
	fresh := func(s *state.Server) { s.Created, s.IdleSince = ago(time.Minute), ago(time.Minute) }
	old := func(names ...string) (list []state.Server) {
		for _, n := range names {
			list = append(list, server(n, state.Running, spec("old"), fresh))
		}
		return list
	}
	busy := func(names ...string) (list []state.Stage) {
		for i, n := range names {
			list = append(list, stage(int64(i+1), on(n)))
		}
		return list
	}
	for _, tt := range []struct {
		name    string
		pool    state.Pool
		o       Observation
		create  int
		actions string
	}{
		{"the first of three goes, and another is made", renewing(3, 1, 0), Observation{Servers: old("a", "b", "c")}, 1, "a drain"},
		{"the second waits while it drains", renewing(3, 1, 0), Observation{
			Servers: append(old("b", "c"), server("a", state.Shutdown, spec("old")), server("d", state.Creating, spec("new")))}, 0, ""},
		{"and while it is being destroyed", renewing(3, 1, 0), Observation{
			Servers: append(old("b", "c"), server("a", state.Stopping, spec("old")), server("d", state.Running, spec("new"), fresh))}, 0, ""},
		{"and while another is made", renewing(3, 1, 0), Observation{
			Servers: append(old("b", "c"), server("d", state.Staging, spec("new")))}, 0, ""},
		{"what was to take its place failed: the next one stays", renewing(3, 1, 0), Observation{
			Servers: append(old("b", "c"), server("d", state.Failed, spec("new"), func(s *state.Server) { s.Absent = state.Refused }))}, 1, ""},
		{"nowhere to make another", renewing(3, 1, 0), Observation{Servers: old("a", "b", "c"), Backoffs: []state.Backoff{
			{Pool: "default", Candidate: "ewr1", Until: now.Add(time.Hour)}, {Pool: "default", Candidate: "sjc1", Until: now.Add(time.Hour)}}}, 0, ""},
		{"nowhere, but it is not needed", renewing(2, 1, 0), Observation{Servers: old("a", "b", "c"), Backoffs: []state.Backoff{
			{Pool: "default", Candidate: "ewr1", Until: now.Add(time.Hour)}, {Pool: "default", Candidate: "sjc1", Until: now.Add(time.Hour)}}}, 0, "a drain"},
		{"then it goes", renewing(3, 1, 0), Observation{
			Servers: append(old("b", "c"), server("d", state.Running, spec("new"), fresh))}, 1, "b drain"},
		{"two at once", renewing(3, 2, 0), Observation{Servers: old("a", "b", "c")}, 2, "a drain, b drain"},
		{"not those that work", renewing(3, 1, 0), Observation{Servers: old("a", "b", "c"), Stages: busy("a", "b", "c")}, 0, ""},
		{"nor the one that a stage waits for", renewing(1, 1, 0), Observation{Servers: old("a"), Stages: waiting(1)}, 0, ""},
		{"nor while paused", renewing(3, 1, 0), Observation{Servers: old("a", "b", "c"), Paused: true}, 0, ""},
		{"another candidate's is not outdated", renewing(1, 1, 0), Observation{Servers: []state.Server{server("a", state.Running, spec("new too"), fresh)}}, 0, ""},
		{"of which it is not known neither", renewing(1, 1, 0), Observation{Servers: []state.Server{server("a", state.Running, fresh)}}, 0, ""},
		{"one that drains is not put back to work", renewing(1, 1, 0), Observation{Servers: []state.Server{server("a", state.Shutdown, spec("old"))}}, 1, ""},
		{"a create not begun is made anew", renewing(1, 1, 0), Observation{Servers: []state.Server{server("a", state.Pending, spec("old"))}}, 1, "a drop"},

		{"ahead: first another is made", renewing(3, 0, 1), Observation{Servers: old("a", "b", "c")}, 1, ""},
		{"ahead: it is waited for", renewing(3, 0, 1), Observation{Servers: append(old("a", "b", "c"), server("d", state.Pending, spec("new")))}, 0, ""},
		{"ahead: when it runs, one goes", renewing(3, 0, 1), Observation{
			Servers: append(old("a", "b", "c"), server("d", state.Running, spec("new"), fresh))}, 0, "a drain"},
		{"ahead: the next one is made when it has gone", renewing(3, 0, 1), Observation{
			Servers: append(old("b", "c"), server("a", state.Stopping, spec("old")), server("d", state.Running, spec("new"), fresh))}, 0, ""},
		{"ahead: what is idle anyway is replaced by nothing", renewing(0, 0, 1), Observation{Servers: old("a", "b")}, 0, "a drain"},
		{"ahead: within the maximum", pool(func(p *state.Pool) {
			p.Min, p.Max, p.MaxSurge, p.Candidates = 2, 2, 1, []state.Candidate{{Name: "ewr1", Spec: "new"}}
		}), Observation{Servers: old("a", "b")}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At = now
			d := Decide(tt.o, []state.Pool{tt.pool})
			if got := actions(d); got != tt.actions || d.Pools[0].Create != tt.create {
				t.Errorf("actions %q and %d made, want %q and %d: %s", got, d.Pools[0].Create, tt.actions, tt.create, d.Pools[0].Reason)
			}
		})
	}
}

// A rollout goes on by itself until nothing is outdated, with never fewer than
// two of three servers at work, and never more than one on top.
func TestRolloutComesToAnEnd(t *testing.T) {
	for _, p := range []state.Pool{renewing(3, 1, 0), renewing(3, 0, 1), renewing(3, 1, 1)} {
		o := Observation{At: now}
		for _, n := range []string{"a", "b", "c"} {
			o.Servers = append(o.Servers, server(n, state.Running, spec("old")))
		}
		outdated := func(s state.Server) bool { return s.Phase != state.Stopped && p.Outdated(s) }
		passes := 0
		for ; slices.ContainsFunc(o.Servers, outdated); passes++ {
			if passes > 60 {
				t.Fatal("no end")
			}
			d := Decide(o, []state.Pool{p})
			o = apply(o, []state.Pool{p}, d)
			o.At = o.At.Add(time.Minute)
			running := 0
			for i := range o.Servers {
				s := &o.Servers[i]
				switch s.Phase {
				case state.Stopping:
					s.Phase = state.Stopped
				case state.Pending:
					s.Phase, s.Name = state.Creating, s.Name+o.At.Format("1504")
				case state.Creating:
					s.Phase, s.Started = state.Running, o.At
				}
				if s.Phase == state.Running {
					running++
				}
			}
			if n := billed(o); running < 3-p.MaxUnavailable || n > 3+p.MaxUnavailable+p.MaxSurge {
				t.Fatalf("%d running, %d billed", running, n)
			}
		}
		if n := billed(o); n < 3 || passes < 3 {
			t.Errorf("%d servers after %d passes", n, passes)
		}
	}
}

func TestBudgetOfADay(t *testing.T) {
	priced := func(budget float64, changes ...func(*state.Pool)) state.Pool {
		priced := func(p *state.Pool) { p.Candidates = []state.Candidate{{Name: "ewr1", Price: 0.5}} }
		return pool(append(append([]func(*state.Pool){priced}, changes...), func(p *state.Pool) {
			p.Budget = budget
		})...)
	}
	costs := func(s *state.Server) { s.Price = 0.5 }
	for _, tt := range []struct {
		name    string
		pool    state.Pool
		cost    float64
		o       Observation
		create  int
		held    string
		actions string
		reason  string
	}{
		{"enough", priced(10), 0, Observation{Stages: waiting(4)}, 2, "", "", "0.00 an hour, of a budget of 10.00 a day"},
		{"enough for an hour of one", priced(10), 9.5, Observation{Stages: waiting(4)}, 1, HeldCost, "", "1 server more wanted, whose first hour goes beyond the budget of 10.00 a day"},
		{"the hour of those that are there comes first", priced(10), 9.5, Observation{
			Stages: append(waiting(1), stage(1, on("a")), stage(2, on("a"))), Servers: []state.Server{server("a", state.Running, costs)}}, 0, HeldCost, "", "1 server wanted"},
		{"not enough", priced(10), 9.6, Observation{Stages: waiting(4)}, 0, HeldCost, "", "the next day begins at 00:00 UTC"},
		{"spent: what is idle goes, whatever the minimum", priced(10, func(p *state.Pool) { p.Min = 2 }), 10, Observation{
			Stages: []state.Stage{stage(1, on("b"))}, Servers: []state.Server{server("a", state.Running, costs), server("b", state.Running, costs)}}, 0, "", "a drain", "let 1 idle server go"},
		{"spent: what has not begun is given up", priced(10), 10, Observation{
			Stages: waiting(4), Servers: []state.Server{server("a", state.Pending, costs)}}, 0, HeldCost, "a drop", "drop 1 server not begun"},
		{"no money for what would take its place", priced(10, func(p *state.Pool) { p.Min, p.MaxUnavailable, p.Candidates[0].Spec = 1, 1, "new" }), 9.4, Observation{
			Servers: []state.Server{server("a", state.Running, costs, spec("old"))}}, 0, "", "", "nothing to change"},
		{"what has no price of its own costs what others do", priced(10), 9, Observation{
			Stages: append(waiting(1), stage(1, on("a")), stage(2, on("a"))), Servers: []state.Server{server("a", state.Running), server("b", state.Shutdown, func(s *state.Server) { s.Condemned = true })}}, 0, HeldCost, "", "1.00 an hour"},
		{"no budget", priced(0), 1000, Observation{Stages: waiting(4)}, 2, "", "", "create 2 servers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At, tt.o.Spent = now, map[string]state.Spent{"default": {Cost: tt.cost}}
			d := Decide(tt.o, []state.Pool{tt.pool})
			p := d.Pools[0]
			if p.Create != tt.create || p.Held != tt.held || actions(d) != tt.actions || !strings.Contains(p.Reason, tt.reason) {
				t.Errorf("%q, create %d, held %q: %s", actions(d), p.Create, p.Held, p.Reason)
			}
		})
	}
}

func TestMaximumOfAllPools(t *testing.T) {
	named := func(name, arch string) state.Pool {
		return pool(func(p *state.Pool) { p.Name, p.Platform.Arch = name, arch })
	}
	arm := func(s *state.Stage) { s.Arch = "arm64" }
	o := Observation{At: now, Max: 3, Stages: append(waiting(4), stage(1, arm), stage(2, arm), stage(3, arm))}
	d := Decide(o, []state.Pool{named("first", "amd64"), named("second", "arm64")})
	if a, b := d.Pools[0], d.Pools[1]; a.Create != 2 || a.Held != "" || b.Create != 1 || b.Held != HeldMaximum ||
		!strings.Contains(b.Reason, "1 server more wanted beyond the maximum of 3 in all pools") || !strings.Contains(b.Reason, "0 of 3 in all pools") {
		t.Errorf("%+v\n%+v", a, b)
	}
	// What a pool lacks to its minimum is kept for it.
	least := named("second", "arm64")
	least.Min = 2
	if d = Decide(Observation{At: now, Max: 3, Stages: waiting(6)}, []state.Pool{named("first", "amd64"), least}); d.Pools[0].Create != 1 || d.Pools[1].Create != 2 {
		t.Errorf("%+v", d.Pools)
	}
	// What one pool gives up, the other has at once.
	o.Stages = o.Stages[4:]
	for _, n := range []string{"a", "b", "c"} {
		o.Servers = append(o.Servers, server(n, state.Pending, func(s *state.Server) { s.Pool = "second" }))
	}
	o.Stages = waiting(5)
	if d = Decide(o, []state.Pool{named("first", "amd64"), named("second", "arm64")}); d.Pools[0].Create != 3 || actions(d) != "a drop, b drop, c drop" {
		t.Errorf("%s: %+v", actions(d), d.Pools[0])
	}
}

// Runners that exist anyway are used first, as long as stages do not wait for
// them in vain.
func TestStatic(t *testing.T) {
	p := pool(func(p *state.Pool) { p.Static = []string{"cellar"} })
	young := func(s *state.Stage) { s.Created = ago(StaticPatience - time.Second) }
	old := func(s *state.Stage) { s.Created = ago(StaticPatience) }
	for _, tt := range []struct {
		name   string
		stages []state.Stage
		create int
		reason string
	}{
		{"it has room", waiting(2, young), 0, "2 waiting and 0 of buffer against 2 free of 0"},
		{"for two", waiting(3, young), 1, "2 of the free on runners that exist anyway"},
		{"it is busy", append(waiting(1, young), stage(1, on("cellar")), stage(2, on("cellar"))), 1, "0 of the free"},
		{"it does not take what waits", waiting(2, old), 1, "0 of the free"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(Observation{At: now, Stages: tt.stages}, []state.Pool{p})
			if got := d.Pools[0]; got.Create != tt.create || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("create %d: %s", got.Create, got.Reason)
			}
		})
	}
	d := Decide(Observation{At: now, Stages: []state.Stage{stage(1, on("cellar"))}, Servers: []state.Server{server("a", state.Running)}}, []state.Pool{p})
	if d.Pools[0].Assigned != 1 || actions(d) != "a drain" {
		t.Errorf("%s: %+v", actions(d), d.Pools[0])
	}
}
