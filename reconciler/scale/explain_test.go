package scale

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hangar/state"
)

// tellAll is an explanation as a test reads it.
func tellAll(e state.Explanation) string {
	var b strings.Builder
	for _, p := range e.Pools {
		fmt.Fprintf(&b, "pool %s: %s\n", p.Pool, p.Rule)
	}
	for _, s := range e.Servers {
		fmt.Fprintf(&b, "server %s: %s %v: leaves %s\n", s.Server, s.Reason, s.Stages, s.Leave)
	}
	for _, s := range e.Stages {
		fmt.Fprintf(&b, "stage %d: %s %s: %s", s.Stage, s.Place, s.Pool, s.Reason)
		if s.Estimate != "" {
			fmt.Fprintf(&b, "; %s", s.Estimate)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	leads := map[string]state.Lead{"default": {Median: state.Seconds(9*time.Minute + 30*time.Second), Of: 12}}
	labelled := func(s *state.Stage) { s.Labels = map[string]string{"size": "huge"} }
	tests := []struct {
		name  string
		o     Observation
		pools []state.Pool
		leads map[string]state.Lead
		want  string
	}{
		{
			name: "each stage gets what comes first, then the pool is full",
			o: Observation{
				Stages: []state.Stage{stage(1, on("agent-b")), stage(2), stage(3), stage(4), stage(5), stage(6), stage(7), stage(8), stage(9)},
				Servers: []state.Server{
					server("agent-a", state.Creating, func(s *state.Server) { s.Created = ago(3 * time.Minute) }),
					server("agent-b", state.Running),
					server("agent-c", state.Staging, func(s *state.Server) { s.Created, s.Setup = ago(10*time.Minute), "apt-get runs" }),
				},
			},
			pools: []state.Pool{pool(func(p *state.Pool) { p.BillingPeriod = time.Hour })},
			leads: leads,
			want: `pool default: maximum: there are never more servers than the maximum, of the pool and of all pools together
server agent-a: its create is under way []: leaves at 2026-03-04 11:17:30 UTC at the earliest, if it ran now and got no stage: when it is 1h0m0s old
server agent-b: busy: 1 stage of 2 on it [1]: leaves at 2026-03-04 11:15:30 UTC at the earliest, if its stages ended now: when it is in the closing minutes of a paid period of 1h0m0s
server agent-c: it is being set up: apt-get runs []: leaves at 2026-03-04 11:15:30 UTC at the earliest, if it ran now and got no stage: when it is in the closing minutes of a paid period of 1h0m0s
stage 2: ready default: server agent-b has room for it, and its runner gets it when it asks Drone next
stage 3: coming default: server agent-c is on its way for it: it is being set up: apt-get runs; expected at 2026-03-04 10:20:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running; this one takes longer
stage 4: coming default: server agent-c is on its way for it: it is being set up: apt-get runs; expected at 2026-03-04 10:20:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running; this one takes longer
stage 5: coming default: server agent-a is on its way for it: its create is under way; expected at 2026-03-04 10:27:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running
stage 6: coming default: server agent-a is on its way for it: its create is under way; expected at 2026-03-04 10:27:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running
stage 7: coming default: a new server is made for it at ewr1; expected at 2026-03-04 10:30:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running
stage 8: coming default: a new server is made for it at ewr1; expected at 2026-03-04 10:30:00 UTC, an estimate: half of the last 12 servers of this pool took no more than 9m30s from decision to running
stage 9: held default: nothing is on its way for it: pool default is held (maximum): 1 server more wanted beyond the maximum
stage 1: runs default: it runs on agent-b
`,
		},
		{
			name:  "no pool has the label",
			o:     Observation{Stages: []state.Stage{stage(1, labelled), stage(2)}},
			pools: []state.Pool{pool()},
			want: `pool default: demand: there is to be a free place for each stage that waits, and for the buffer
stage 1: unmatched : no pool may run it: no pool has label size=huge
stage 2: coming default: a new server is made for it at ewr1; when is not known: no server of this pool has run yet
`,
		},
		{
			name: "limits",
			o: Observation{Stages: []state.Stage{
				stage(1, on("elsewhere"), func(s *state.Stage) { s.RepoID = 7 }),
				stage(2, func(s *state.Stage) { s.RepoID, s.Limit = 7, 1 }),
				stage(3, func(s *state.Stage) { s.RepoID, s.Name, s.Throttle = 7, "other", 2 }),
				stage(4, labelled, func(s *state.Stage) { s.RepoID, s.Limit, s.Throttle = 7, 1, 1 }),
			}},
			pools: []state.Pool{pool()},
			want: `pool default: enough: what there is covers demand and minimum, and nothing can leave yet
stage 2: limited default: Drone holds it back: reached is its limit of 1, by stages default of the same repository that are older or run
stage 3: limited default: Drone holds it back: reached is its throttle of 2, by older stages of the same repository
stage 4: limited : Drone holds it back: reached is its limit of 1, by stages default of the same repository that are older or run; and its throttle of 1, by older stages of the same repository; and no pool may run it: no pool has label size=huge
stage 1: runs : it runs on elsewhere
`,
		},
		{
			name:  "paused",
			o:     Observation{Paused: true, Stages: []state.Stage{stage(1)}, Servers: []state.Server{server("agent-a", state.Running, func(s *state.Server) { s.Pool = "old" })}},
			pools: []state.Pool{pool()},
			want: `pool default: paused: a person paused hangar; only what was begun or asked for goes on until it is resumed
server agent-a: busy: 0 stages of 2 on it []: leaves when hangar is resumed and nothing runs on it: its pool is there no more
stage 1: held default: nothing is on its way for it: pool default is held (paused): 1 server wanted, but hangar is paused
`,
		},
		{
			name: "what leaves, and what may",
			o: Observation{Servers: []state.Server{
				server("agent-a", state.Running),
				server("agent-b", state.Running, func(s *state.Server) { s.IdleSince = ago(4 * time.Minute) }),
				server("agent-c", state.Running, func(s *state.Server) { s.IdleSince = ago(time.Hour) }),
				server("agent-d", state.Failed, func(s *state.Server) { s.Doubt = ago(time.Minute) }),
				server("agent-e", state.Running, func(s *state.Server) { s.Taken = true }),
			}},
			pools: []state.Pool{pool(func(p *state.Pool) { p.Min = 2; p.Max = 9 })},
			want: `pool default: idle: a server leaves when it holds no stage, its times are over, and those that run cover demand and minimum without it
server agent-a: no longer needed: idle since 2026-03-04 05:20:30 UTC []: leaves now
server agent-b: idle: may leave at 2026-03-04 10:26:30 UTC at the earliest []: leaves at 2026-03-04 10:26:30 UTC at the earliest, when it is idle for 10m0s
server agent-c: no longer needed: idle since 2026-03-04 09:20:30 UTC []: leaves now
server agent-d: in error: no capacity, but it counts against the maximum until it is known what became of its device []: leaves when it is known what became of its device, and that nothing runs on it
server agent-e: left alone: its device does not carry this installation's tag any more []: leaves never by hangar: its device does not carry this installation's tag any more
`,
		},
		{
			name: "a draining server is put back to work",
			o: Observation{
				Stages:  []state.Stage{stage(1)},
				Servers: []state.Server{server("agent-a", state.Shutdown), server("agent-b", state.Pending)},
			},
			pools: []state.Pool{pool()},
			want: `pool default: demand: there is to be a free place for each stage that waits, and for the buffer
server agent-a: put back to work: 1 waiting []: leaves at 2026-03-04 10:30:30 UTC at the earliest, if it ran now and got no stage: when it is idle for 10m0s
server agent-b: no longer needed, and its create has not begun []: leaves now
stage 1: ready default: server agent-a, which drained, is put back to work for it
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.At = now
			if got := tellAll(Explain(tt.o, tt.pools, tt.leads)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// What is explained is what is decided, each stage once; no stage is left
// without a word; and no server leaves before it may.
func TestExplainProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, pools := draw(t)
		d, e := Decide(o, pools), Explain(o, pools, nil)
		for i, p := range e.Pools {
			if p.PoolDecision != d.Pools[i] || strings.HasSuffix(p.Rule, ": ") {
				t.Fatalf("pool %+v explained as %+v", d.Pools[i], p)
			}
		}
		for i, s := range e.Servers {
			if !reflect.DeepEqual(s.ServerDecision, d.Servers[i]) || s.Leave == "" {
				t.Fatalf("server %+v explained as %+v", d.Servers[i], s)
			}
		}
		if len(e.Stages) != len(o.Stages) || len(e.Pools) != len(d.Pools) || len(e.Servers) != len(d.Servers) {
			t.Fatalf("%d stages explained of %d", len(e.Stages), len(o.Stages))
		}
		checkExplainedStages(t, d, e)
		checkLeave(t, o, pools, e)
	})
}

func checkExplainedStages(t *rapid.T, d state.Decision, e state.Explanation) {
	waiting, limited, held := map[string]int{}, map[string]int{}, map[string]string{}
	for _, p := range d.Pools {
		held[p.Pool] = p.Held
	}
	for _, s := range e.Stages {
		switch s.Place {
		case state.StageLimited:
			limited[s.Pool]++
		case state.StageHeld:
			waiting[s.Pool]++
			if held[s.Pool] == "" {
				t.Fatalf("nothing is on its way for stage %+v, and its pool is not held", s)
			}
		case state.StageReady, state.StageComing:
			waiting[s.Pool]++
		case state.StageUnmatched:
			if !slices.ContainsFunc(d.Unmatched, func(u state.Unmatched) bool { return slices.Contains(u.Stages, s.Stage) }) {
				t.Fatalf("stage %+v is not unmatched: %+v", s, d.Unmatched)
			}
		}
		if s.Reason == "" {
			t.Fatalf("stage %+v has no reason", s)
		}
	}
	for _, p := range d.Pools {
		if waiting[p.Pool] != p.Waiting || limited[p.Pool] != p.HeldBack {
			t.Fatalf("pool %s: %d waiting and %d held back are explained of %+v", p.Pool, waiting[p.Pool], limited[p.Pool], p)
		}
	}
}

// checkLeave decides again right before each server may leave, with no stage
// left: it stays.
func checkLeave(t *rapid.T, o Observation, pools []state.Pool, e state.Explanation) {
	for _, s := range e.Servers {
		if s.Action != state.Keep || s.Phase != state.Running || !s.MayLeave.After(o.At) {
			continue
		}
		later := o
		later.At, later.Stages, later.Servers = s.MayLeave.Add(-time.Microsecond), nil, slices.Clone(o.Servers)
		i := slices.IndexFunc(later.Servers, func(other state.Server) bool { return other.Name == s.Server })
		later.Servers[i].IdleSince = first(s.IdleSince, o.At)
		for _, then := range Decide(later, pools).Servers {
			if then.Server == s.Server && then.Action != state.Keep {
				t.Fatalf("%s may leave at %s, and before that: %+v", s.Server, s.MayLeave, then)
			}
		}
	}
}

// An explanation costs what a decision costs, but for what it tells of each
// stage: its allocations grow with the stages, not with their square.
func TestExplainLinear(t *testing.T) {
	cost := func(stages int) float64 {
		o, pools := crowd(stages, 50, 20, func(i int, s *state.Stage) { s.RepoID, s.Labels = 1, map[string]string{"n": fmt.Sprint(i)} })
		return testing.AllocsPerRun(3, func() { Explain(o, pools, nil) })
	}
	if few, many := cost(500), cost(5_000); many > 12*few {
		t.Errorf("%v allocations for 500 stages, %v for 5,000", few, many)
	}
}
