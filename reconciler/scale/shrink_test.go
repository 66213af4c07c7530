package scale

import (
	"testing"
	"time"

	"hangar/state"
)

func TestShrink(t *testing.T) {
	minimum := func(n int) func(*state.Pool) { return func(p *state.Pool) { p.Min = n } }
	hourly := func(p *state.Pool) { p.BillingPeriod = time.Hour }
	idle := func(d time.Duration) func(*state.Server) {
		return func(s *state.Server) { s.IdleSince = ago(d) }
	}
	created := func(d time.Duration) func(*state.Server) {
		return func(s *state.Server) { s.Created = ago(d) }
	}
	started := func(d time.Duration) func(*state.Server) {
		return func(s *state.Server) { s.Started = ago(d) }
	}
	big := func(s *state.Server) { s.Capacity = 4 }
	running := func(names ...string) (list []state.Server) {
		for _, n := range names {
			list = append(list, server(n, state.Running))
		}
		return list
	}

	for _, tt := range []struct {
		name    string
		pool    state.Pool
		o       Observation
		actions string
	}{
		{"idle and old", pool(), Observation{Servers: running("a")}, "a drain"},
		{"idle for exactly long enough", pool(), Observation{Servers: []state.Server{server("a", state.Running, idle(10*time.Minute))}}, "a drain"},
		{"not idle for long enough", pool(), Observation{Servers: []state.Server{server("a", state.Running, idle(10*time.Minute-1))}}, ""},
		{"first seen idle", pool(), Observation{Servers: []state.Server{server("a", state.Running, func(s *state.Server) { s.IdleSince = time.Time{} })}}, ""},
		{"first seen idle, and no idle time", pool(func(p *state.Pool) { p.Idle = 0 }), Observation{
			Servers: []state.Server{server("a", state.Running, func(s *state.Server) { s.IdleSince = time.Time{} })}}, "a drain"},
		{"just old enough", pool(), Observation{Servers: []state.Server{server("a", state.Running, created(time.Hour))}}, "a drain"},
		{"too young", pool(), Observation{Servers: []state.Server{server("a", state.Running, created(time.Hour-1))}}, ""},
		{"busy", pool(), Observation{Stages: []state.Stage{stage(1, on("a"))}, Servers: running("a")}, ""},
		{"a stage was accepted just now", pool(), Observation{
			Stages: []state.Stage{stage(1, func(s *state.Stage) { s.Machine = "a" })}, Servers: running("a")}, ""},
		{"busy with a stage of another kind", pool(), Observation{
			Stages: []state.Stage{stage(1, on("a"), func(s *state.Stage) { s.Arch = "arm64" })}, Servers: running("a")}, ""},

		{"seven idle, minimum two", pool(minimum(2)), Observation{Servers: running("a", "b", "c", "d", "e", "f", "g")},
			"a drain, b drain, c drain, d drain, e drain"},
		{"one that has to stay keeps no other", pool(), Observation{Servers: []state.Server{
			server("a", state.Running, idle(time.Minute)), server("b", state.Running), server("c", state.Running, created(time.Minute))}}, "b drain"},
		{"the longest idle first", pool(minimum(2)), Observation{Servers: []state.Server{
			server("a", state.Running, idle(time.Hour)), server("b", state.Running, idle(3*time.Hour)), server("c", state.Running, idle(2*time.Hour))}}, "b drain"},
		{"an errored server stops nobody", pool(minimum(1)), Observation{Servers: append(running("a", "b"), server("c", state.Failed))}, "a drain"},
		{"an errored server is not the minimum", pool(minimum(1), func(p *state.Pool) { p.Max = 2 }), Observation{
			Servers: append(running("a"), server("c", state.Failed))}, ""},
		{"what is on its way is not the minimum yet", pool(minimum(1)), Observation{
			Servers: append(running("a"), server("b", state.Creating))}, ""},

		{"needed for what waits", pool(), Observation{Stages: waiting(3), Servers: running("a", "b")}, ""},
		{"not all are needed for what waits", pool(), Observation{Stages: waiting(2), Servers: running("a", "b")}, "a drain"},
		{"needed for the buffer", pool(func(p *state.Pool) { p.Buffer = 1 }), Observation{Servers: running("a", "b")}, "a drain"},
		{"needed, for what is on its way is not there", pool(), Observation{
			Stages: waiting(2), Servers: append(running("a"), server("b", state.Staging))}, ""},
		{"a large one is needed where a small one is not", pool(), Observation{Stages: waiting(3), Servers: []state.Server{
			server("a", state.Running, big), server("b", state.Running)}}, "b drain"},
		{"nothing leaves while paused", pool(), Observation{Servers: running("a"), Paused: true}, ""},

		{"in the closing minutes of a paid hour", pool(hourly), Observation{Servers: []state.Server{server("a", state.Running, started(3*time.Hour-5*time.Minute))}}, "a drain"},
		{"just before them", pool(hourly), Observation{Servers: []state.Server{server("a", state.Running, started(3*time.Hour-5*time.Minute-1))}}, ""},
		{"when the next hour has begun", pool(hourly), Observation{Servers: []state.Server{server("a", state.Running, started(3*time.Hour))}}, ""},
		{"where its start is not known, its creation counts", pool(hourly), Observation{Servers: []state.Server{
			server("a", state.Running, created(3*time.Hour-time.Minute), func(s *state.Server) { s.Started = time.Time{} })}}, "a drain"},

		{"a create that has not begun is dropped", pool(), Observation{Servers: []state.Server{server("a", state.Pending, created(0))}}, "a drop"},
		{"not one that has", pool(), Observation{Servers: []state.Server{server("a", state.Creating)}}, ""},
		{"not while paused, either", pool(), Observation{Servers: []state.Server{server("a", state.Pending)}, Paused: true}, ""},
		{"not for what waits", pool(), Observation{Stages: waiting(1), Servers: []state.Server{server("a", state.Pending)}}, ""},
		{"not for the minimum", pool(minimum(1)), Observation{Servers: []state.Server{server("a", state.Pending)}}, ""},
		{"the newest is dropped", pool(minimum(1)), Observation{Servers: []state.Server{
			server("a", state.Pending, created(time.Minute)), server("b", state.Pending, created(0)), server("c", state.Pending, created(time.Hour))}}, "a drop, b drop"},
		{"a create not begun goes before an idle server", pool(minimum(1)), Observation{
			Servers: []state.Server{server("a", state.Running), server("b", state.Pending)}}, "b drop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At = now
			d := Decide(tt.o, []state.Pool{tt.pool})
			if got := actions(d); got != tt.actions {
				t.Errorf("actions %q, want %q\n%+v", got, tt.actions, d.Servers)
			}
			if p := d.Pools[0]; p.Create != 0 {
				t.Errorf("creates %d: %s", p.Create, p.Reason)
			}
		})
	}
}

func TestClosing(t *testing.T) {
	for _, tt := range []struct{ period, want time.Duration }{
		{time.Minute, time.Minute},
		{10 * time.Minute, 2 * time.Minute},
		{time.Hour, 5 * time.Minute},
		{24 * time.Hour, 10 * time.Minute},
	} {
		if got := closing(tt.period); got != tt.want {
			t.Errorf("closing minutes of %v: %v, want %v", tt.period, got, tt.want)
		}
	}
}

func TestNextClosing(t *testing.T) {
	start := now
	after := func(minutes float64) time.Time { return start.Add(time.Duration(minutes * float64(time.Minute))) }
	for _, tt := range []struct {
		name    string
		period  time.Duration
		t, want time.Time
	}{
		{"no period", 0, after(7), after(7)},
		{"early in the first", time.Hour, after(7), after(55)},
		{"in the closing minutes", time.Hour, after(57), after(57)},
		{"at their begin", time.Hour, after(55), after(55)},
		{"at the end of a period", time.Hour, after(60), after(115)},
		{"in a later one", time.Hour, after(200), after(235)},
		{"before the start", time.Hour, after(-30), after(55)},
		{"a period of nothing but closing", time.Minute, after(3.5), after(3.5)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextClosing(start, tt.period, tt.t); !got.Equal(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
