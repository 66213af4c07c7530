package scale

import (
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// TestServers is what becomes of a single server, and the reason for it.
func TestServers(t *testing.T) {
	var (
		condemned = func(s *state.Server) { s.Condemned = true }
		forced    = func(s *state.Server) { s.Forced = true }
		removed   = func(s *state.Server) { s.Pool = "removed" }
		quiet     = func(s *state.Server) { s.QuietSince = ago(10 * time.Second) }
		broken    = func(s *state.Server) { s.ID = "1" }
		absent    = func(why state.Absence) func(*state.Server) { return func(s *state.Server) { s.Absent = why } }
		busy      = []state.Stage{stage(1, on("a"))}
		lasting   = pool(func(p *state.Pool) { p.Min = 1 })
	)
	for _, tt := range []struct {
		name   string
		server state.Server
		stages []state.Stage
		pool   state.Pool
		paused bool
		action state.Action
		reason string
	}{
		{name: "pending", pool: lasting, server: server("a", state.Pending), action: state.Keep, reason: "waits for its create to begin"},
		{name: "creating", pool: lasting, server: server("a", state.Creating), action: state.Keep, reason: "its create is under way"},
		{name: "created", pool: lasting, server: server("a", state.Created), action: state.Keep, reason: "its device is being set up"},
		{name: "staging", pool: lasting, server: server("a", state.Staging), action: state.Keep, reason: "its device is being set up"},
		{name: "stopping", pool: lasting, server: server("a", state.Stopping, forced), action: state.Keep, reason: "its device is to be destroyed"},
		{name: "error", pool: lasting, server: server("a", state.Failed), action: state.Keep,
			reason: "in error: no capacity, but it counts against the maximum until it is known what became of its device"},
		{name: "refused", pool: lasting, server: server("a", state.Failed, absent(state.Refused)), action: state.Keep,
			reason: "in error: the provider refused to create it; its name is watched until the settle time is over"},
		{name: "lost", pool: lasting, server: server("a", state.Failed, absent(state.Lost)), action: state.Keep, reason: "in error: no device of it was found; it counts no longer"},
		{name: "lost, and condemned", pool: lasting, server: server("a", state.Failed, absent(state.Lost), condemned), action: state.Stop, reason: "asked to leave: looked for once more"},
		{name: "broken, first seen quiet", pool: lasting, server: server("a", state.Failed, broken), action: state.Keep,
			reason: "drains: no stage on it since 2026-03-04 10:20:30 UTC, to be seen once more"},
		{name: "broken, with a stage", pool: lasting, server: server("a", state.Failed, broken, quiet), stages: busy, action: state.Keep, reason: "drains: 1 stage still on it (1)"},
		{name: "broken and quiet", pool: lasting, server: server("a", state.Failed, broken, quiet), action: state.Stop, reason: "drained: no stage on it since 2026-03-04 10:20:20 UTC"},
		{name: "a double, with a stage under its name", pool: lasting, server: server("b", state.Shutdown, condemned, quiet, func(s *state.Server) { s.Machine = "a" }), stages: busy,
			action: state.Keep, reason: "drains: 1 stage still on it (1)"},
		{name: "a double whose own runner has ended", pool: lasting, server: server("b", state.Shutdown, condemned, func(s *state.Server) { s.Machine, s.Drained = "a", ago(time.Second) }), stages: busy,
			action: state.Stop, reason: "drained: its own runner ended by 2026-03-04 10:20:29 UTC; stages under its name are another's"},

		{name: "busy", pool: lasting, server: server("a", state.Running), stages: busy, action: state.Keep, reason: "busy: 1 stage of 2 on it"},
		{name: "idle, minimum", pool: lasting, server: server("a", state.Running), action: state.Keep, reason: "idle: stays for the minimum of 1"},
		{name: "idle, demand", pool: pool(), server: server("a", state.Running), stages: waiting(1), action: state.Keep, reason: "idle: stays for 1 waiting"},
		{name: "idle, buffer", pool: pool(func(p *state.Pool) { p.Buffer = 1 }), server: server("a", state.Running), action: state.Keep, reason: "idle: stays for a buffer of 1"},
		{name: "idle, paused", pool: pool(), server: server("a", state.Running), paused: true, action: state.Keep, reason: "idle: stays while hangar is paused"},
		{name: "idle, not long enough", pool: pool(), server: server("a", state.Running, func(s *state.Server) { s.IdleSince = ago(time.Minute) }),
			action: state.Keep, reason: "idle: may leave at 2026-03-04 10:29:30 UTC at the earliest"},
		{name: "idle, not old enough", pool: pool(), server: server("a", state.Running, func(s *state.Server) { s.Created = ago(time.Minute) }),
			action: state.Keep, reason: "idle: may leave at 2026-03-04 11:19:30 UTC at the earliest"},
		{name: "idle, paid for", pool: pool(func(p *state.Pool) { p.BillingPeriod = time.Hour }), server: server("a", state.Running),
			action: state.Keep, reason: "idle: may leave at 2026-03-04 11:15:30 UTC at the earliest"},
		{name: "idle, no longer needed", pool: pool(), server: server("a", state.Running), action: state.Drain,
			reason: "no longer needed: idle since 2026-03-04 05:20:30 UTC"},

		{name: "drains with a stage", pool: pool(), server: server("a", state.Shutdown, quiet), stages: busy, action: state.Keep, reason: "drains: 1 stage still on it (1)"},
		{name: "drains, first quiet read", pool: pool(), server: server("a", state.Shutdown), action: state.Keep,
			reason: "drains: no stage on it since 2026-03-04 10:20:30 UTC, to be seen once more"},
		{name: "drains, the same read again", pool: pool(), server: server("a", state.Shutdown, func(s *state.Server) { s.QuietSince = now }), action: state.Keep,
			reason: "drains: no stage on it since 2026-03-04 10:20:30 UTC, to be seen once more"},
		{name: "drained, second quiet read", pool: pool(), server: server("a", state.Shutdown, quiet), action: state.Stop,
			reason: "drained: no stage on it since 2026-03-04 10:20:20 UTC"},
		{name: "drained while paused", pool: pool(), server: server("a", state.Shutdown, quiet), paused: true, action: state.Stop,
			reason: "drained: no stage on it since 2026-03-04 10:20:20 UTC"},
		{name: "back to work", pool: lasting, server: server("a", state.Shutdown, quiet), action: state.Revive, reason: "put back to work: the minimum is 1"},

		{name: "condemned pending", pool: lasting, server: server("a", state.Pending, condemned), action: state.Drop, reason: "asked to leave before its create began"},
		{name: "condemned creating", pool: lasting, server: server("a", state.Creating, condemned), action: state.Keep, reason: "asked to leave, but its create is under way"},
		{name: "condemned created", pool: lasting, server: server("a", state.Created, condemned), action: state.Drain, reason: "asked to leave"},
		{name: "condemned staging", pool: lasting, server: server("a", state.Staging, condemned), action: state.Drain, reason: "asked to leave"},
		{name: "condemned running, young", pool: lasting, server: server("a", state.Running, condemned, func(s *state.Server) { s.Created = now }), action: state.Drain, reason: "asked to leave"},
		{name: "condemned running, busy", pool: lasting, server: server("a", state.Running, condemned), stages: busy, action: state.Drain, reason: "asked to leave"},
		{name: "condemned running, paused", pool: lasting, server: server("a", state.Running, condemned), paused: true, action: state.Drain, reason: "asked to leave"},
		{name: "condemned draining, busy", pool: lasting, server: server("a", state.Shutdown, condemned, quiet), stages: busy, action: state.Keep, reason: "drains: 1 stage still on it (1)"},
		{name: "condemned drained", pool: lasting, server: server("a", state.Shutdown, condemned, quiet), action: state.Stop,
			reason: "drained: no stage on it since 2026-03-04 10:20:20 UTC"},

		{name: "forced pending", pool: lasting, server: server("a", state.Pending, forced), action: state.Drop, reason: "asked to leave before its create began"},
		{name: "forced running, busy", pool: lasting, server: server("a", state.Running, forced), stages: busy, action: state.Stop, reason: "forced to leave, whatever runs on it"},
		{name: "forced draining, busy", pool: lasting, server: server("a", state.Shutdown, forced), stages: busy, action: state.Stop, reason: "forced to leave, whatever runs on it"},
		{name: "forced in error", pool: lasting, server: server("a", state.Failed, forced), action: state.Stop, reason: "forced to leave, whatever runs on it"},
		{name: "forced while paused", pool: lasting, server: server("a", state.Running, forced), paused: true, action: state.Stop, reason: "forced to leave, whatever runs on it"},

		{name: "removed pool, idle", pool: lasting, server: server("a", state.Running, removed), action: state.Drain, reason: "there is no pool removed any more"},
		{name: "removed pool, busy", pool: lasting, server: server("a", state.Running, removed), stages: busy, action: state.Drain, reason: "there is no pool removed any more"},
		{name: "removed pool, paused", pool: lasting, server: server("a", state.Running, removed), paused: true, action: state.Keep, reason: "busy: 0 stages of 2 on it"},
		{name: "removed pool, not begun", pool: lasting, server: server("a", state.Pending, removed), action: state.Drop, reason: "there is no pool removed any more, and its create has not begun"},
		{name: "removed pool, drained", pool: lasting, server: server("a", state.Shutdown, removed, quiet), action: state.Stop,
			reason: "drained: no stage on it since 2026-03-04 10:20:20 UTC"},
		{name: "removed pool, condemned", pool: lasting, server: server("a", state.Running, removed, condemned), action: state.Drain, reason: "asked to leave"},
		{name: "removed pool, forced", pool: lasting, server: server("a", state.Running, removed, forced), action: state.Stop, reason: "forced to leave, whatever runs on it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(Observation{At: now, Stages: tt.stages, Servers: []state.Server{tt.server}, Paused: tt.paused}, []state.Pool{tt.pool})
			if s := d.Servers[0]; s.Action != tt.action || s.Reason != tt.reason {
				t.Errorf("got  %s: %s\nwant %s: %s", s.Action, s.Reason, tt.action, tt.reason)
			}
		})
	}
}

func TestMarks(t *testing.T) {
	var zero time.Time
	early := ago(time.Hour)
	marked := func(s *state.Server) { s.Served, s.IdleSince, s.QuietSince = early, early, early }
	fresh := func(s *state.Server) { s.Served, s.IdleSince, s.QuietSince = zero, zero, zero }
	busy := []state.Stage{stage(1, on("a"))}

	for _, tt := range []struct {
		name                string
		server              state.Server
		stages              []state.Stage
		served, idle, quiet time.Time
	}{
		{"running, first idle", server("a", state.Running, fresh), nil, zero, now, zero},
		{"running, still idle", server("a", state.Running, marked), nil, early, early, zero},
		{"running, first stage", server("a", state.Running, fresh), busy, now, zero, zero},
		{"running, another stage", server("a", state.Running, marked), busy, early, zero, zero},
		{"draining, first quiet", server("a", state.Shutdown, fresh), nil, zero, zero, now},
		{"draining, still quiet", server("a", state.Shutdown, marked), nil, early, zero, early},
		{"draining, a stage again", server("a", state.Shutdown, marked), busy, early, zero, zero},
		{"staging", server("a", state.Staging, marked), nil, early, zero, zero},
		{"in error, with a stage", server("a", state.Failed, fresh), busy, now, zero, zero},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Decide(Observation{At: now, Stages: tt.stages, Servers: []state.Server{tt.server}}, []state.Pool{pool()}).Servers[0]
			if !s.Served.Equal(tt.served) || !s.IdleSince.Equal(tt.idle) || !s.QuietSince.Equal(tt.quiet) {
				t.Errorf("served %v, idle %v, quiet %v", s.Served, s.IdleSince, s.QuietSince)
			}
		})
	}
}

// TestLife follows one server through reads ten seconds apart: a stage that is
// accepted at the last moment stays unharmed.
func TestLife(t *testing.T) {
	p := pool(func(p *state.Pool) { p.MinAge, p.Idle = 0, 20*time.Second })
	o := Observation{Servers: []state.Server{server("a", state.Running, func(s *state.Server) { s.IdleSince = time.Time{} })}}
	for i, step := range []struct {
		load int
		want state.Action
	}{
		{1, state.Keep}, {0, state.Keep}, {0, state.Keep}, {0, state.Drain}, // idle for 20 s
		{0, state.Keep},                  // quiet, to be seen once more
		{1, state.Keep}, {1, state.Keep}, // a stage slipped in
		{0, state.Keep}, {0, state.Stop},
	} {
		o.At, o.Stages = now.Add(time.Duration(i)*10*time.Second), nil
		if step.load > 0 {
			o.Stages = []state.Stage{stage(1, on("a"))}
		}
		d := Decide(o, []state.Pool{p})
		if got := d.Servers[0]; got.Action != step.want {
			t.Fatalf("read %d: %s (%s), want %s", i, got.Action, got.Reason, step.want)
		}
		o = apply(o, []state.Pool{p}, d)
	}
}

// TestStable is a quiet fleet seen again and again: nothing new to be recorded.
func TestStable(t *testing.T) {
	p := pool(func(p *state.Pool) { p.Min, p.BillingPeriod = 1, time.Hour })
	o := Observation{
		At:     now,
		Stages: []state.Stage{stage(1, on("busy")), stage(2, func(s *state.Stage) { s.Arch = "arm64" })},
		Servers: []state.Server{
			server("busy", state.Running), server("error", state.Failed), server("coming", state.Creating),
			server("idle", state.Running, func(s *state.Server) { s.IdleSince = ago(time.Minute) }),
			server("young", state.Running, func(s *state.Server) { s.Created, s.IdleSince = ago(time.Minute), time.Time{} }),
		},
	}
	was := Decide(o, []state.Pool{p})
	for range 5 {
		o = apply(o, []state.Pool{p}, was)
		o.At = o.At.Add(17 * time.Second)
		is := Decide(o, []state.Pool{p})
		if !is.Same(was) {
			t.Fatalf("%+v\n%+v", was.Pools, is.Pools)
		}
		for i := range is.Servers {
			if is.Servers[i].Reason != was.Servers[i].Reason {
				t.Errorf("%s: %s, then %s", is.Servers[i].Server, was.Servers[i].Reason, is.Servers[i].Reason)
			}
		}
		was = is
	}
}

func TestPoolReasons(t *testing.T) {
	backoffs := []state.Backoff{
		{Pool: "default", Candidate: "ewr1", Until: now.Add(2 * time.Minute), Error: "no capacity"},
		{Pool: "default", Candidate: "sjc1", Until: now.Add(time.Minute), Error: "rate limit"},
	}
	held := stage(500, func(s *state.Stage) { s.RepoID, s.Throttle = 1100, 1 })
	idle := server("a", state.Running)

	for _, tt := range []struct {
		name string
		o    Observation
		pool state.Pool
		want string
	}{
		{"nothing", Observation{}, pool(), "nothing to change: 0 waiting and 0 of buffer against 0 free of 0; 0 billed of 0 to 4 servers"},
		{"create", Observation{Stages: append(waiting(3), held), Servers: []state.Server{server("e", state.Failed)}}, pool(),
			"create 2 servers at ewr1, because 3 waiting: 3 waiting and 0 of buffer against 0 free of 0; 1 billed of 0 to 4 servers; 1 in error; 1 stage held back by limits"},
		{"minimum", Observation{}, pool(func(p *state.Pool) { p.Min = 1 }),
			"create 1 server at ewr1, because the minimum is 1: 0 waiting"},
		{"some beyond the maximum", Observation{Stages: waiting(3)}, pool(func(p *state.Pool) { p.Max = 1 }),
			"create 1 server at ewr1, because 3 waiting; 1 server more wanted beyond the maximum: 3 waiting"},
		{"paused", Observation{Stages: waiting(3), Paused: true}, pool(), "2 servers wanted, but hangar is paused: 3 waiting"},
		{"maximum", Observation{Stages: waiting(1)}, pool(func(p *state.Pool) { p.Max = 0 }), "1 server wanted beyond the maximum: 1 waiting"},
		{"backoff", Observation{Stages: waiting(1), Backoffs: backoffs}, pool(),
			`1 server wanted, but every candidate failed, sjc1 until 2026-03-04 10:21:30 UTC with "rate limit": 1 waiting`},
		{"no candidate", Observation{Stages: waiting(1)}, pool(func(p *state.Pool) { p.Candidates = nil }), "1 server wanted, but the pool has no candidate: 1 waiting"},
		{"revive", Observation{Stages: waiting(1), Servers: []state.Server{server("a", state.Shutdown)}}, pool(), "put 1 draining server back to work: 1 waiting"},
		{"shrink", Observation{Servers: []state.Server{idle, server("b", state.Pending), server("c", state.Pending)}}, pool(),
			"drop 2 servers not begun; let 1 idle server go: 0 waiting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At = now
			if got := Decide(tt.o, []state.Pool{tt.pool}).Pools[0].Reason; !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestFigures(t *testing.T) {
	d := Decide(Observation{
		At: now,
		Stages: append(waiting(3), stage(1, on("a")), stage(2, on("drains")), stage(3, on("elsewhere")),
			stage(200, func(s *state.Stage) { s.RepoID, s.Throttle = 1001, 1 })),
		Servers: []state.Server{
			server("a", state.Running), server("b", state.Staging), server("drains", state.Shutdown),
			server("e", state.Failed), server("gone", state.Stopped), server("leaves", state.Stopping),
		},
	}, []state.Pool{pool(func(p *state.Pool) { p.Max = 9 })})

	got := d.Pools[0]
	got.Reason = ""
	want := state.PoolDecision{Pool: "default", Waiting: 3, HeldBack: 1, Assigned: 2, Usable: 4, Free: 3, Billed: 5}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(d.Servers) != 5 {
		t.Errorf("%d servers decided, want 5: all but the stopped one", len(d.Servers))
	}
}

// TestEmpty: lists are never null in the REST answers.
func TestEmpty(t *testing.T) {
	d := Decide(Observation{At: now}, nil)
	if d.Pools == nil || d.Servers == nil || d.Unmatched == nil {
		t.Errorf("nil lists: %+v", d)
	}
}
