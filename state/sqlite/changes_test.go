package sqlite

import (
	"testing"
	"time"

	"hangar/state"
)

func TestCommitKeepsWhatItIsGiven(t *testing.T) {
	s := newStore(t)
	decision := state.Decision{
		At: start, Pools: []state.PoolDecision{{Pool: "default", Waiting: 3, Create: 2, Reason: "three wait"}},
		Servers:   []state.ServerDecision{{Server: "x", Pool: "default", Phase: state.Running, Action: state.Drain, Reason: "idle"}},
		Unmatched: []state.Unmatched{{Stages: []int64{7}, Asks: "arm64", Reason: "no pool"}},
	}
	must(t, s.Commit(t.Context(), state.Changes{
		At: start, Decision: &decision, Stacks: []state.Stack{stackOf("s1")},
		Servers: []state.Server{serverOf("b", "s1"), serverOf("a", "s1")},
	}))
	snap := get(t, snapshot(s))

	a, b := serverOf("a", "s1"), serverOf("b", "s1")
	a.Created, a.Updated, b.Created, b.Updated = after(0), after(0), after(0), after(0)
	wantEqual(t, "servers", snap.Servers, []state.Server{a, b})
	s1 := stackOf("s1")
	s1.Generation, s1.Created = 1, after(0)
	wantEqual(t, "open stacks", snap.Open, []state.Stack{s1})
	decision.ID, decision.At = 1, after(0)
	wantEqual(t, "decision", snap.Last, decision)
	wantEqual(t, "backoffs", snap.Backoffs, []state.Backoff{})
	if snap.Servers[0].Created != after(0) { // not only the same instant
		t.Errorf("time %#v is not what a caller compares with", snap.Servers[0].Created)
	}
}

func TestAnEmptyStore(t *testing.T) {
	s := newStore(t)
	wantEqual(t, "snapshot", get(t, snapshot(s)), state.Snapshot{Spent: map[string]state.Spent{}, Servers: []state.Server{}, Backoffs: []state.Backoff{}, Open: []state.Stack{}, Discards: []state.Discard{}})
	wantEqual(t, "servers", get(t, s.Servers), []state.Server{})
	wantEqual(t, "stacks", get(t, s.Stacks), []state.Stack{})
	wantEqual(t, "unfinished", get(t, s.Unfinished), []state.Run{})
	runs, err := s.Runs(t.Context(), state.RunFilter{})
	must(t, err)
	wantEqual(t, "runs", runs, []state.Run{})
	decisions, err := s.Decisions(t.Context(), 0, 0)
	must(t, err)
	wantEqual(t, "decisions", decisions, []state.Decision{})
	due, err := s.Due(t.Context(), start)
	must(t, err)
	wantEqual(t, "due", due, []state.Stack{})
	if retry, err := s.NextRetry(t.Context(), start); err != nil || !retry.IsZero() {
		t.Errorf("NextRetry = %v, %v", retry, err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Server":     func() error { _, err := s.Server(ctx, "x"); return err },
		"Stack":      func() error { _, err := s.Stack(ctx, "x"); return err },
		"Outputs":    func() error { _, err := s.Outputs(ctx, "x"); return err },
		"Versions":   func() error { _, err := s.Versions(ctx, "x"); return err },
		"Version":    func() error { _, err := s.Version(ctx, "x", 1); return err },
		"Run":        func() error { _, err := s.Run(ctx, 1); return err },
		"RunPlan":    func() error { _, err := s.RunPlan(ctx, 1); return err },
		"RunLog":     func() error { _, err := s.RunLog(ctx, 1); return err },
		"BeginRun":   func() error { _, _, err := s.BeginRun(ctx, "x", start); return err },
		"Planned":    func() error { return s.Planned(ctx, 1, start, state.Plan{}, "") },
		"BeginApply": func() error { return s.BeginApply(ctx, 1, start) },
		"Finish":     func() error { return s.Finish(ctx, state.Finish{Run: 1, Phase: state.RunApplied}) },
		"Advance":    func() error { return s.Advance(ctx, state.Outcome{Server: "x"}, start) },
	} {
		if err := call(); state.CodeOf(err) != state.NotFound {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}

func TestConflictsCommitNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    state.Changes
	}{
		{"stack's name used", state.Changes{Stacks: []state.Stack{stackOf("ran")}}},
		{"server's name used", state.Changes{Servers: []state.Server{serverOf("waits", "open")}}},
		{"stopped server's name used", state.Changes{Servers: []state.Server{serverOf("gone", "open")}}},
		{"two of one name", state.Changes{Servers: []state.Server{serverOf("new", "open"), serverOf("new", "open")}}},
		{"joins a stack that has run", state.Changes{Servers: []state.Server{serverOf("new", "ran")}}},
		{"joins no stack", state.Changes{Servers: []state.Server{serverOf("new", "nowhere")}}},
		{"has left From", state.Changes{Moves: []state.Move{{Server: "runs", From: state.Created, To: state.Stopping}}}},
		{"has left From, flags only", state.Changes{Moves: []state.Move{{Server: "runs", From: state.Created, To: state.Created, Forced: true}}}},
		{"moves twice", state.Changes{Moves: []state.Move{{Server: "runs", From: state.Running, To: state.Shutdown}, {Server: "runs", From: state.Running, To: state.Shutdown}}}},
		{"moves nothing", state.Changes{Moves: []state.Move{{Server: "nobody", From: state.Running, To: state.Stopping}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			grow(t, s, start, "ran", "runs")
			applied(t, s, start, "ran")
			grow(t, s, start, "open", "waits", "gone")
			moveTo(t, s, start, "gone", state.Stopped)
			before := get(t, snapshot(s))

			c := tt.c
			c.At, c.Decision = start.Add(time.Hour), &state.Decision{}
			c.Stacks = append([]state.Stack{stackOf("extra")}, c.Stacks...)
			c.Servers = append([]state.Server{serverOf("in-extra", "extra")}, c.Servers...)
			c.Marks = []state.Mark{{Server: "runs", Phase: state.Running, Served: start}}
			c.Moves = append([]state.Move{{Server: "waits", From: state.Pending, To: state.Stopped}}, c.Moves...)
			wantCode(t, s.Commit(t.Context(), c), state.Conflict)
			wantEqual(t, "snapshot", get(t, snapshot(s)), before)
		})
	}
}

func TestMoves(t *testing.T) {
	for _, tt := range []struct {
		name       string
		from       []state.Phase // through which it came
		to         state.Phase
		generation int64 // by how much it rises
	}{
		{"drain", []state.Phase{state.Running}, state.Shutdown, 0},
		{"revive", []state.Phase{state.Running, state.Shutdown}, state.Running, 0},
		{"stop", []state.Phase{state.Running, state.Shutdown}, state.Stopping, 1},
		{"stop at once", []state.Phase{state.Running}, state.Stopping, 1},
		{"put back", []state.Phase{state.Running, state.Stopping}, state.Shutdown, 1},
		{"drop", []state.Phase{state.Pending}, state.Stopped, 1},
		{"gone", []state.Phase{state.Running, state.Stopping}, state.Stopped, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			grow(t, s, start, "s1", "a", "other")
			if tt.from[0] == state.Running {
				applied(t, s, start.Add(time.Second), "s1")
			}
			for _, phase := range tt.from[1:] {
				moveTo(t, s, start.Add(2*time.Second), "a", phase)
			}
			was, stack, other := serverNow(t, s, "a"), stackNow(t, s, "s1"), serverNow(t, s, "other")

			moveTo(t, s, start.Add(time.Minute), "a", tt.to)
			want := was
			want.Phase, want.Reason, want.Updated = tt.to, "moved to "+string(tt.to), after(time.Minute)
			if tt.to == state.Stopped {
				want.Stopped = want.Updated
			}
			wantEqual(t, "server", serverNow(t, s, "a"), want)
			wantEqual(t, "other server", serverNow(t, s, "other"), other)
			if got := stackNow(t, s, "s1").Generation - stack.Generation; got != tt.generation {
				t.Errorf("generation rose by %d, want %d", got, tt.generation)
			}
		})
	}
}

func TestOneCommitRaisesAGenerationOnce(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	must(t, s.Commit(t.Context(), state.Changes{
		At: start, Servers: []state.Server{serverOf("c", "s1"), serverOf("d", "s1")},
		Moves: []state.Move{{Server: "a", From: state.Pending, To: state.Stopped}, {Server: "b", From: state.Pending, To: state.Stopped}},
	}))
	if got := stackNow(t, s, "s1").Generation; got != 2 {
		t.Errorf("generation %d, want 2", got)
	}
	wantEqual(t, "servers", names(get(t, snapshot(s)).Servers), []string{"c", "d"})
}

func TestFlagsAreSetAndNeverCleared(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	was := serverNow(t, s, "a")
	flags := func(m state.Move) {
		t.Helper()
		m.Server, m.From, m.To = "a", state.Pending, state.Pending
		must(t, s.Commit(t.Context(), state.Changes{At: start.Add(time.Hour), Moves: []state.Move{m}}))
	}
	flags(state.Move{Condemned: true, Reason: "asked for"})
	was.Condemned, was.Reason = true, "asked for"
	wantEqual(t, "condemned", serverNow(t, s, "a"), was)
	flags(state.Move{Forced: true})
	was.Forced = true
	wantEqual(t, "forced", serverNow(t, s, "a"), was)
	flags(state.Move{})
	wantEqual(t, "with neither", serverNow(t, s, "a"), was)
	if got := stackNow(t, s, "s1").Generation; got != 1 {
		t.Errorf("generation %d, want 1", got)
	}
}

func TestMarks(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	applied(t, s, start, "s1")
	mark := func(m state.Mark, moves ...state.Move) state.Server {
		t.Helper()
		m.Server = "a"
		must(t, s.Commit(t.Context(), state.Changes{At: start, Marks: []state.Mark{m}, Moves: moves}))
		return serverNow(t, s, "a")
	}
	move := func(from, to state.Phase) state.Move { return state.Move{Server: "a", From: from, To: to} }
	want := func(what string, got state.Server, served, idle, quiet time.Time) {
		t.Helper()
		wantEqual(t, what, []time.Time{got.Served, got.IdleSince, got.QuietSince}, []time.Time{served, idle, quiet})
	}
	none, one, two := time.Time{}, after(time.Second), after(2*time.Second)
	want("idle", mark(state.Mark{Phase: state.Running, IdleSince: one}), none, one, none)
	want("busy", mark(state.Mark{Phase: state.Running, Served: two}), two, none, none)
	want("idle again", mark(state.Mark{Phase: state.Running, Served: one, IdleSince: one}), two, one, none)
	want("seen in another phase", mark(state.Mark{Phase: state.Shutdown, QuietSince: two}), two, one, none)
	want("marked and drained", mark(state.Mark{Phase: state.Running, IdleSince: two}, move(state.Running, state.Shutdown)), two, none, none)
	want("quiet", mark(state.Mark{Phase: state.Shutdown, QuietSince: one}), two, none, one)
	want("revived: neither idle nor quiet", mark(state.Mark{Phase: state.Shutdown, QuietSince: two}, move(state.Shutdown, state.Running)), two, none, none)
	must(t, s.Commit(t.Context(), state.Changes{At: start, Marks: []state.Mark{{Server: "nobody", Phase: state.Running}}}))
}

func TestOpenStacks(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	wantEqual(t, "before a run", stackNames(get(t, snapshot(s)).Open), []string{"s1"})
	must(t, s.Commit(t.Context(), state.Changes{At: start, Servers: []state.Server{serverOf("b", "s1")}}))
	run, _ := begin(t, s, start, "s1")
	wantEqual(t, "in a run", stackNames(get(t, snapshot(s)).Open), []string{})
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunDiscarded, At: start}))
	wantEqual(t, "after a discarded run", stackNames(get(t, snapshot(s)).Open), []string{})
}

func TestDecisions(t *testing.T) {
	s := newStore(t)
	for n := range 5 {
		must(t, s.Commit(t.Context(), state.Changes{At: start.Add(time.Duration(n) * time.Second), Decision: &state.Decision{}}))
	}
	for _, tt := range []struct {
		name   string
		before int64
		limit  int
		want   []int64
	}{
		{"all", 0, 0, []int64{5, 4, 3, 2, 1}},
		{"newest", 0, 2, []int64{5, 4}},
		{"next", 4, 2, []int64{3, 2}},
		{"end", 1, 2, []int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			decisions, err := s.Decisions(t.Context(), tt.before, tt.limit)
			must(t, err)
			ids := []int64{}
			for _, d := range decisions {
				ids = append(ids, d.ID)
				if d.Pools == nil || d.Servers == nil || d.Unmatched == nil || d.At != after(time.Duration(d.ID-1)*time.Second) {
					t.Errorf("decision %+v", d)
				}
			}
			wantEqual(t, "ids", ids, tt.want)
		})
	}
}
