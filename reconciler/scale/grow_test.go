package scale

import (
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// waiting is n waiting stages that the default pool may run.
func waiting(n int, changes ...func(*state.Stage)) []state.Stage {
	stages := make([]state.Stage, 0, n)
	for i := range n {
		stages = append(stages, stage(int64(100+i), changes...))
	}
	return stages
}

// actions is what was decided beyond keeping, as "name action", in order.
func actions(d state.Decision) string {
	var list []string
	for _, s := range d.Servers {
		if s.Action != state.Keep {
			list = append(list, s.Server+" "+string(s.Action))
		}
	}
	return strings.Join(list, ", ")
}

func TestGrow(t *testing.T) {
	busy := on("a")
	minimum := func(n int) func(*state.Pool) { return func(p *state.Pool) { p.Min = n } }
	buffer := func(n int) func(*state.Pool) { return func(p *state.Pool) { p.Buffer = n } }
	condemned := func(s *state.Server) { s.Condemned = true }
	failed := func(until time.Time, candidates ...string) (list []state.Backoff) {
		for i, c := range candidates {
			list = append(list, state.Backoff{Pool: "default", Candidate: c, Until: until.Add(time.Duration(i) * time.Minute), Error: "no capacity"})
		}
		return list
	}

	for _, tt := range []struct {
		name      string
		pool      state.Pool
		o         Observation
		create    int
		candidate string
		held      string
		actions   string
	}{
		{name: "nothing waits", pool: pool()},
		{name: "one stage", pool: pool(), o: Observation{Stages: waiting(1)}, create: 1, candidate: "ewr1"},
		{name: "rounded up", pool: pool(), o: Observation{Stages: waiting(5)}, create: 3, candidate: "ewr1"},
		{name: "up to the maximum", pool: pool(), o: Observation{Stages: waiting(50)}, create: 4, candidate: "ewr1", held: HeldMaximum},
		{name: "minimum ahead of any build", pool: pool(minimum(2)), create: 2, candidate: "ewr1"},
		{name: "minimum and demand are not added up", pool: pool(minimum(2)), o: Observation{Stages: waiting(3)}, create: 2, candidate: "ewr1"},
		{name: "buffer without demand", pool: pool(buffer(1)), create: 1, candidate: "ewr1"},
		{name: "buffer beyond demand", pool: pool(buffer(1)), o: Observation{Stages: waiting(2)}, create: 2, candidate: "ewr1"},

		{name: "free capacity is enough", pool: pool(), o: Observation{
			Stages: waiting(2), Servers: []state.Server{server("a", state.Running)}}},
		{name: "what is on its way is enough", pool: pool(), o: Observation{
			Stages: waiting(8), Servers: []state.Server{
				server("a", state.Pending), server("b", state.Creating), server("c", state.Created), server("d", state.Staging)}}},
		{name: "a half busy server has room for one", pool: pool(), o: Observation{
			Stages: append(waiting(2), stage(1, busy)), Servers: []state.Server{server("a", state.Running)}},
			create: 1, candidate: "ewr1"},
		{name: "a stage that was accepted is not waiting", pool: pool(), o: Observation{
			Stages: []state.Stage{stage(1, func(s *state.Stage) { s.Machine = "a" })}, Servers: []state.Server{server("a", state.Running)}}},
		{name: "a server with more than its capacity is no debt", pool: pool(), o: Observation{
			Stages:  append(waiting(2), stage(1, busy), stage(2, busy), stage(3, busy), stage(4, busy)),
			Servers: []state.Server{server("a", state.Running), server("b", state.Running)}}},
		{name: "a busy draining server is no capacity", pool: pool(), o: Observation{
			Stages: append(waiting(1), stage(1, busy)), Servers: []state.Server{server("a", state.Shutdown, condemned)}},
			create: 1, candidate: "ewr1"},
		{name: "stages held back are no demand", pool: pool(), o: Observation{
			Stages: waiting(5, func(s *state.Stage) { s.RepoID, s.Limit = 1, 1 })}, create: 1, candidate: "ewr1"},

		{name: "errored servers are no capacity, but billed", pool: pool(), o: Observation{
			Stages: waiting(8), Servers: []state.Server{server("a", state.Failed), server("b", state.Failed)}},
			create: 2, candidate: "ewr1", held: HeldMaximum},
		{name: "errored servers alone hold the pool back", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Failed)}}, held: HeldMaximum},
		{name: "stopping servers are billed", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Stopping)}}, held: HeldMaximum},
		{name: "stopped servers are not", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Stopped)}}, create: 1, candidate: "ewr1"},
		{name: "the minimum does not break the maximum", pool: pool(minimum(2), func(p *state.Pool) { p.Max = 2 }), o: Observation{
			Servers: []state.Server{server("a", state.Failed), server("b", state.Running)}}, held: HeldMaximum},
		{name: "more than the maximum already", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages:  append(waiting(9), stage(1, busy), stage(2, on("b"))),
			Servers: []state.Server{server("a", state.Running), server("b", state.Running)}}, held: HeldMaximum},

		{name: "the next candidate after a failure", pool: pool(), o: Observation{
			Stages: waiting(1), Backoffs: failed(now.Add(time.Second), "ewr1")}, create: 1, candidate: "sjc1"},
		{name: "the first one again once it has cooled off", pool: pool(), o: Observation{
			Stages: waiting(1), Backoffs: failed(now, "ewr1")}, create: 1, candidate: "ewr1"},
		{name: "another pool's failure", pool: pool(), o: Observation{
			Stages: waiting(1), Backoffs: []state.Backoff{{Pool: "other", Candidate: "ewr1", Until: now.Add(time.Hour)}}},
			create: 1, candidate: "ewr1"},
		{name: "every candidate failed", pool: pool(), o: Observation{
			Stages: waiting(1), Backoffs: failed(now.Add(time.Minute), "sjc1", "ewr1")}, held: HeldBackoff},
		{name: "paused", pool: pool(), o: Observation{Stages: waiting(1), Paused: true}, held: HeldPaused},
		{name: "paused with nothing to want", pool: pool(), o: Observation{Paused: true}},
		{name: "paused at the maximum", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(3), Servers: []state.Server{server("a", state.Running)}, Paused: true}, held: HeldMaximum},

		{name: "a draining server is put back to work though another one boots", pool: pool(), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Created), server("b", state.Shutdown)}}, actions: "b revive"},
		{name: "a draining server is put back to work", pool: pool(), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Shutdown)}}, actions: "a revive"},
		{name: "also when it was about to go", pool: pool(), o: Observation{
			Stages: waiting(1), Servers: []state.Server{
				server("a", state.Shutdown, func(s *state.Server) { s.QuietSince = ago(time.Minute) })}}, actions: "a revive"},
		{name: "also one that holds a stage", pool: pool(), o: Observation{
			Stages: append(waiting(1), stage(1, busy)), Servers: []state.Server{server("a", state.Shutdown)}}, actions: "a revive"},
		{name: "also at the maximum", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Shutdown)}}, actions: "a revive"},
		{name: "for the minimum", pool: pool(minimum(1)), o: Observation{
			Servers: []state.Server{server("a", state.Shutdown)}}, actions: "a revive"},
		{name: "not one that is full", pool: pool(), o: Observation{
			Stages:  append(waiting(1), stage(1, busy), stage(2, busy)),
			Servers: []state.Server{server("a", state.Shutdown)}}, create: 1, candidate: "ewr1"},
		{name: "not one that a person asked to leave", pool: pool(), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Shutdown, condemned)}}, create: 1, candidate: "ewr1"},
		{name: "not while paused", pool: pool(func(p *state.Pool) { p.Max = 1 }), o: Observation{
			Stages: waiting(1), Servers: []state.Server{server("a", state.Shutdown)}, Paused: true}, held: HeldPaused},
		{name: "the emptiest first, then the youngest, and no more than needed", pool: pool(), o: Observation{
			Stages: append(waiting(3), stage(1, busy)),
			Servers: []state.Server{
				server("a", state.Shutdown), server("b", state.Shutdown),
				server("c", state.Shutdown, func(s *state.Server) { s.Created = ago(2 * time.Hour) }),
				server("d", state.Shutdown)}}, actions: "b revive, c revive"},
		{name: "as far as it goes, the rest is created", pool: pool(), o: Observation{
			Stages: waiting(3), Servers: []state.Server{server("a", state.Shutdown)}}, create: 1, candidate: "ewr1", actions: "a revive"},
		{name: "a server that is asked to leave is replaced at once", pool: pool(minimum(1)), o: Observation{
			Servers: []state.Server{server("a", state.Running, condemned)}}, create: 1, candidate: "ewr1", actions: "a drain"},
		{name: "also while its create is under way", pool: pool(minimum(1)), o: Observation{
			Servers: []state.Server{server("a", state.Creating, condemned)}}, create: 1, candidate: "ewr1"},
		{name: "a create not begun, of a smaller size, is made up for by a new one", pool: pool(func(p *state.Pool) { p.Concurrency = 4 }), o: Observation{
			Stages: waiting(3), Servers: []state.Server{server("a", state.Pending)}}, create: 1, candidate: "ewr1", actions: "a drop"},
		{name: "a pool without concurrency is read as one", pool: pool(func(p *state.Pool) { p.Concurrency = 0 }), o: Observation{
			Stages: waiting(2)}, create: 2, candidate: "ewr1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At = now
			d := Decide(tt.o, []state.Pool{tt.pool})
			p := d.Pools[0]
			if p.Create != tt.create || p.Candidate != tt.candidate || p.Held != tt.held {
				t.Errorf("create %d at %q, held %q; want %d at %q, held %q", p.Create, p.Candidate, p.Held, tt.create, tt.candidate, tt.held)
			}
			if got := actions(d); got != tt.actions {
				t.Errorf("actions %q, want %q", got, tt.actions)
			}
			if t.Failed() {
				t.Log(p.Reason)
			}
		})
	}
}

// A pool that can make nothing leaves the stages to another one that may run them.
func TestPoolThatCanMakeNothing(t *testing.T) {
	first := pool(func(p *state.Pool) { p.Name, p.CreateBudget = "first", 3 })
	second := pool(func(p *state.Pool) { p.Name = "second" })
	until := now.Add(time.Minute)
	for name, o := range map[string]Observation{
		"its candidates cool off": {Backoffs: []state.Backoff{{Pool: "first", Candidate: "ewr1", Until: until}, {Pool: "first", Candidate: "sjc1", Until: until}}},
		"its creates are used up": {Spent: map[string]state.Spent{"first": {Creates: 3, Oldest: ago(time.Minute)}}},
	} {
		o.At, o.Stages = now, waiting(3)
		if d := Decide(o, []state.Pool{first, second}); d.Pools[0].Waiting != 0 || d.Pools[1].Create != 2 {
			t.Errorf("%s: %+v", name, d.Pools)
		}
	}
}

// TestPools is about a stage that several pools may run: it counts in one.
func TestPools(t *testing.T) {
	first := func(changes ...func(*state.Pool)) state.Pool {
		return pool(append(changes, func(p *state.Pool) { p.Name = "first" })...)
	}
	second := func(changes ...func(*state.Pool)) state.Pool {
		return pool(append(changes, func(p *state.Pool) { p.Name = "second" })...)
	}
	max := func(n int) func(*state.Pool) { return func(p *state.Pool) { p.Max = n } }
	in := func(pool string) func(*state.Server) { return func(s *state.Server) { s.Pool = pool } }

	for _, tt := range []struct {
		name    string
		pools   []state.Pool
		servers []state.Server
		stages  []state.Stage
		waiting []int
		create  []int
	}{
		{"the first takes all that it has room for", []state.Pool{first(), second()}, nil, waiting(8), []int{8, 0}, []int{4, 0}},
		{"the second takes the rest", []state.Pool{first(max(1)), second()}, nil, waiting(5), []int{2, 3}, []int{1, 2}},
		{"what nobody has room for is the first's", []state.Pool{first(max(1)), second(max(1))}, nil, waiting(7), []int{5, 2}, []int{1, 1}},
		{"free capacity is room", []state.Pool{first(max(1)), second()},
			[]state.Server{server("a", state.Running, in("first"))}, waiting(3), []int{2, 1}, []int{0, 1}},
		{"an errored server is no room", []state.Pool{first(max(1)), second()},
			[]state.Server{server("a", state.Failed, in("first"))}, waiting(1), []int{0, 1}, []int{0, 1}},
		{"a draining server is", []state.Pool{first(max(1)), second()},
			[]state.Server{server("a", state.Shutdown, in("first"))}, waiting(3), []int{2, 1}, []int{0, 1}},
		{"only a pool that may run it", []state.Pool{first(func(p *state.Pool) { p.Labels = map[string]string{"gpu": "yes"} }), second()},
			nil, waiting(1), []int{0, 1}, []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(Observation{At: now, Stages: tt.stages, Servers: tt.servers}, tt.pools)
			for i, p := range d.Pools {
				if p.Waiting != tt.waiting[i] || p.Create != tt.create[i] {
					t.Errorf("pool %s: %d waiting, create %d; want %d and %d", p.Pool, p.Waiting, p.Create, tt.waiting[i], tt.create[i])
				}
			}
		})
	}
}

// Creates that served nothing use up the budget, and so do servers whose create
// has not begun; what is left of it is made.
func TestBudget(t *testing.T) {
	budget := func(p *state.Pool) { p.Max, p.CreateBudget, p.Concurrency = 20, 10, 1 }
	for _, tt := range []struct {
		name    string
		spent   state.Spent
		servers []state.Server
		create  int
		held    string
		says    string
	}{
		{"nothing spent", state.Spent{}, nil, 8, "", ""},
		{"some is left", state.Spent{Creates: 7, Oldest: ago(20 * time.Minute)}, nil, 3, HeldBudget,
			"5 servers wanted beyond the creation budget of 10 an hour, because 7 creates of the last hour served no stage; look why, more follow from 2026-03-04 11:00:30 UTC"},
		{"none is left", state.Spent{Creates: 12, Oldest: ago(time.Minute)}, nil, 0, HeldBudget, "8 servers wanted beyond"},
		{"one is paid for", state.Spent{Creates: 8, Oldest: ago(time.Minute)}, []state.Server{server("a", state.Pending)}, 1, HeldBudget, "beyond the creation budget"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stages := make([]state.Stage, 8)
			for i := range stages {
				stages[i] = stage(int64(i + 1))
			}
			o := Observation{At: now, Stages: stages, Servers: tt.servers, Spent: map[string]state.Spent{"default": tt.spent}}
			d := Decide(o, []state.Pool{pool(budget)}).Pools[0]
			if d.Create != tt.create || d.Held != tt.held || !strings.Contains(d.Reason, tt.says) {
				t.Errorf("create %d, held %q, %s", d.Create, d.Held, d.Reason)
			}
		})
	}
}

// What is known to be gone does not count against the maximum.
func TestAbsentServersAreNotBilled(t *testing.T) {
	gone := server("a", state.Failed, func(s *state.Server) { s.Absent = state.Refused })
	leaving := server("b", state.Shutdown, func(s *state.Server) { s.Absent, s.Condemned = state.Missing, true })
	o := Observation{At: now, Stages: []state.Stage{stage(1), stage(2)}, Servers: []state.Server{gone, leaving}}
	d := Decide(o, []state.Pool{pool(func(p *state.Pool) { p.Max, p.Concurrency = 2, 1 })}).Pools[0]
	if d.Billed != 0 || d.Create != 2 {
		t.Errorf("decision %+v", d)
	}
}
