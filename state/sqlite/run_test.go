package sqlite

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

func TestBeginRun(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "d", "c", "b", "a")
	first, ws := begin(t, s, start.Add(time.Second), "s1")
	wantEqual(t, "first run", first, state.Run{
		ID: 1, Stack: "s1", Pool: "default", Generation: 1, Phase: state.RunPlanning, Started: after(time.Second),
		Creates: []string{"a", "b", "c", "d"}, Deletes: []string{}, Forced: []string{}, Keeps: []string{}, Imports: map[string]string{}, Diagnostics: []state.Diagnostic{},
	})
	wantEqual(t, "servers", names(ws.Servers), []string{"a", "b", "c", "d"})
	wantEqual(t, "settings", ws.Stack.Settings, stackOf("s1").Settings)
	_, _, err := s.BeginRun(t.Context(), "s1", start)
	wantCode(t, err, state.Conflict, "s1", "run 1")
	wantEqual(t, "unfinished", get(t, s.Unfinished), []state.Run{first})

	must(t, s.Finish(t.Context(), state.Finish{Run: 1, Phase: state.RunDiscarded, At: start}))
	applied(t, s, start, "s1")
	shown(t, s, "s1", "a", "b", "c", "d")
	must(t, s.Commit(t.Context(), state.Changes{At: start, Moves: []state.Move{
		{Server: "a", From: state.Running, To: state.Stopping, Forced: true},
		{Server: "b", From: state.Running, To: state.Stopping, Condemned: true},
		{Server: "c", From: state.Running, To: state.Shutdown},
	}}))
	run, ws := begin(t, s, start, "s1")
	wantEqual(t, "run", [][]string{run.Creates, run.Deletes, run.Forced, run.Keeps}, [][]string{{}, {"a", "b"}, {"a"}, {"c", "d"}})
	wantEqual(t, "servers", names(ws.Servers), []string{"c", "d"})
	if run.Generation != 2 || ws.Stack.Generation != 2 || ws.Stack.Applied != 1 {
		t.Errorf("run of generation %d, stack %+v", run.Generation, ws.Stack)
	}
}

func TestBeginRunWithNothingToDo(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	moveTo(t, s, start, "a", state.Stopping)
	moveTo(t, s, start, "a", state.Shutdown) // put back
	run, ws := begin(t, s, start, "s1")
	stack := stackNow(t, s, "s1")
	if run.ID != 0 || stack.Applied != 3 || stack.Generation != 3 || !stack.Emptied.IsZero() {
		t.Errorf("run %+v, stack %+v", run, stack)
	}
	wantEqual(t, "stack", ws.Stack, stack)
	wantEqual(t, "unfinished", get(t, s.Unfinished), []state.Run{})

	grow(t, s, start, "s2", "c")
	moveTo(t, s, start, "c", state.Stopped)
	begin(t, s, start.Add(time.Minute), "s2")
	if got := stackNow(t, s, "s2").Emptied; got != after(time.Minute) {
		t.Errorf("a stack whose servers were all dropped was emptied %v", got)
	}
	wantEqual(t, "open stacks", get(t, snapshot(s)).Open, []state.Stack{})
}

// What a run does follows from the records and from what the stack's state
// shows.
func TestIntend(t *testing.T) {
	device := func(id string) state.Device { return state.Device{ID: id} }
	for _, tt := range []struct {
		name                   string
		servers                []state.Server
		inState                string
		creates, deletes, keep string
		imports                map[string]string
	}{
		{name: "new ones", servers: []state.Server{{Name: "a", Phase: state.Pending}, {Name: "b", Phase: state.Running, Device: device("1")}}, inState: "b",
			creates: "a", keep: "b"},
		{name: "one to go", servers: []state.Server{{Name: "a", Phase: state.Stopping, Device: device("1")}}, inState: "a", deletes: "a"},
		{name: "one to go that boots", servers: []state.Server{{Name: "a", Phase: state.Stopping, Device: state.Device{ID: "1", State: "booting"}}}, inState: "a", keep: "a"},
		{name: "one in doubt", servers: []state.Server{{Name: "a", Phase: state.Creating, Doubt: start}, {Name: "b", Phase: state.Stopping, Device: device("1"), Doubt: start}}},
		{name: "one that was lost", servers: []state.Server{{Name: "a", Phase: state.Failed, Absent: state.Lost}}},
		{name: "an adoption comes alone", servers: []state.Server{
			{Name: "a", Phase: state.Pending}, {Name: "b", Phase: state.Stopping, Device: device("1")}, {Name: "c", Phase: state.Running, Device: device("2")}},
			inState: "b", keep: "b", imports: map[string]string{"c": "2"}},
		{name: "one to go is adopted first", servers: []state.Server{{Name: "a", Phase: state.Stopping, Device: device("1")}}, imports: map[string]string{"a": "1"}},
		{name: "one that is gone is not adopted", servers: []state.Server{{Name: "a", Phase: state.Shutdown, Device: device("1"), Absent: state.Missing}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inState := map[string]state.Device{}
			for _, name := range strings.Fields(tt.inState) {
				inState[name] = state.Device{ID: "1"}
			}
			run, rendered := intend(state.Stack{Name: "s1"}, tt.servers, inState, nil)
			if tt.imports == nil {
				tt.imports = map[string]string{}
			}
			wantEqual(t, "imports", run.Imports, tt.imports)
			wantEqual(t, "rest", [][]string{run.Creates, run.Deletes, run.Keeps}, [][]string{words(tt.creates), words(tt.deletes), words(tt.keep)})
			want := append(words(tt.creates), words(tt.keep)...)
			for name := range tt.imports {
				want = append(want, name)
			}
			slices.Sort(want)
			wantEqual(t, "rendered", names(rendered), want)
		})
	}
}

// words is the words of a text, never nil.
func words(text string) []string { return append([]string{}, strings.Fields(text)...) }

func TestPlanned(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	run, _ := begin(t, s, start, "s1")
	_, err := s.RunPlan(t.Context(), run.ID)
	wantCode(t, err, state.NotFound, "no plan")
	plan := state.Plan{Text: "+ a", JSON: []byte(`{"resource_changes":[]}`)}
	must(t, s.Planned(t.Context(), run.ID, start.Add(time.Second), plan, "passed"))
	got, err := s.RunPlan(t.Context(), run.ID)
	must(t, err)
	wantEqual(t, "plan", got, plan)
	run, err = s.Run(t.Context(), run.ID)
	must(t, err)
	if run.Phase != state.RunPlanned || run.Planned != after(time.Second) || run.Verdict != "passed" {
		t.Errorf("run %+v", run)
	}
	wantCode(t, s.Planned(t.Context(), run.ID, start, plan, ""), state.Conflict, "planned")
}

func TestBeginApply(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	run := applying(t, s, start.Add(time.Second), "s1")
	for _, server := range get(t, s.Servers) {
		if server.Phase != state.Creating || server.Updated != after(time.Second) || server.Reason != "run 1 creates it" {
			t.Errorf("server %+v", server)
		}
	}
	run, err := s.Run(t.Context(), run.ID)
	must(t, err)
	if run.Phase != state.RunApplying || run.Applying != after(time.Second) {
		t.Errorf("run %+v", run)
	}
	wantCode(t, s.BeginApply(t.Context(), run.ID, start), state.Conflict, "applying")
}

func TestStalePlansAreNotApplied(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, s *Store)
	}{
		{"a server was dropped", func(t *testing.T, s *Store) { moveTo(t, s, start, "new", state.Stopped) }},
		{"another is to go too", func(t *testing.T, s *Store) { moveTo(t, s, start, "old", state.Stopping) }},
		{"one was put back", func(t *testing.T, s *Store) { moveTo(t, s, start, "leaves", state.Shutdown) }},
		{"one has moved by itself", func(t *testing.T, s *Store) {
			_, err := s.writer.Exec("UPDATE servers SET phase = 'stopped' WHERE name = 'leaves'")
			must(t, err)
		}},
		{"another run has taken it", func(t *testing.T, s *Store) {
			_, err := s.writer.Exec("UPDATE servers SET phase = 'creating' WHERE name = 'new'")
			must(t, err)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			grow(t, s, start, "s1", "old", "leaves", "new")
			for _, name := range []string{"old", "leaves"} {
				_, err := s.writer.Exec("UPDATE servers SET phase = 'running' WHERE name = ?", name)
				must(t, err)
			}
			shown(t, s, "s1", "old", "leaves")
			moveTo(t, s, start, "leaves", state.Stopping)
			run, _ := begin(t, s, start, "s1")
			must(t, s.Planned(t.Context(), run.ID, start, state.Plan{}, "passed"))
			tt.harm(t, s)
			before := get(t, s.Servers)
			wantCode(t, s.BeginApply(t.Context(), run.ID, start), state.Conflict, "stale")
			wantEqual(t, "servers", get(t, s.Servers), before)
			if run, err := s.Run(t.Context(), run.ID); err != nil || run.Phase != state.RunPlanned {
				t.Errorf("run %+v, %v", run, err)
			}
		})
	}
}

func TestRuns(t *testing.T) {
	s := newStore(t)
	for _, stack := range []string{"s1", "s2", "s3"} {
		grow(t, s, start, stack, "in-"+stack)
		applied(t, s, start, stack)
	}
	moveTo(t, s, start, "in-s1", state.Stopping)
	begin(t, s, start, "s1")
	for _, tt := range []struct {
		name   string
		filter state.RunFilter
		want   []int64
	}{
		{"all", state.RunFilter{}, []int64{4, 3, 2, 1}},
		{"of a stack", state.RunFilter{Stack: "s1"}, []int64{4, 1}},
		{"in a phase", state.RunFilter{Phase: state.RunApplied}, []int64{3, 2, 1}},
		{"both", state.RunFilter{Stack: "s1", Phase: state.RunApplied}, []int64{1}},
		{"page", state.RunFilter{Before: 4, Limit: 2}, []int64{3, 2}},
		{"unknown", state.RunFilter{Stack: "s9"}, []int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs, err := s.Runs(t.Context(), tt.filter)
			must(t, err)
			ids := []int64{}
			for _, run := range runs {
				ids = append(ids, run.ID)
			}
			wantEqual(t, "runs", ids, tt.want)
		})
	}
}

func TestDue(t *testing.T) {
	s := newStore(t)
	due := func(now time.Time) []string {
		t.Helper()
		stacks, err := s.Due(t.Context(), now)
		must(t, err)
		return stackNames(stacks)
	}
	next := func(now time.Time) time.Time {
		t.Helper()
		retry, err := s.NextRetry(t.Context(), now)
		must(t, err)
		return retry
	}
	grow(t, s, start.Add(2*time.Second), "late", "a")
	grow(t, s, start.Add(time.Second), "early", "b", "b2")
	wantEqual(t, "new stacks", due(start), []string{"early", "late"})

	run, _ := begin(t, s, start, "early")
	wantEqual(t, "in planning", due(start), []string{"late"})
	must(t, s.Planned(t.Context(), run.ID, start, state.Plan{}, ""))
	wantEqual(t, "planned", due(start), []string{"late"})

	refuse := func(run int64) {
		t.Helper()
		must(t, s.Finish(t.Context(), state.Finish{Run: run, Phase: state.RunRefused, At: start, RetryAt: start.Add(time.Minute)}))
	}
	refuse(run.ID)
	wantEqual(t, "refused", due(start), []string{"late"})
	wantEqual(t, "next retry", next(start), after(time.Minute))
	wantEqual(t, "next retry, when it has come", next(start.Add(time.Minute)), time.Time{})
	wantEqual(t, "retry time", due(start.Add(time.Minute)), []string{"early", "late"})
	if got := stackNow(t, s, "early"); got.Failures != 1 || got.RetryAt != after(time.Minute) {
		t.Errorf("refused stack %+v", got)
	}

	moveTo(t, s, start, "b2", state.Stopped)
	wantEqual(t, "changed after a refusal", due(start), []string{"early", "late"})
	if got := stackNow(t, s, "early"); got.Failures != 1 || !got.RetryAt.IsZero() {
		t.Errorf("changed stack %+v", got)
	}
	applied(t, s, start, "early")
	wantEqual(t, "applied", due(start), []string{"late"})
	if got := stackNow(t, s, "early"); got.Failures != 0 {
		t.Errorf("applied stack %+v", got)
	}
	moveTo(t, s, start.Add(time.Hour), "b", state.Stopping)
	wantEqual(t, "changed again", due(start), []string{"late", "early"})

	run, _ = begin(t, s, start, "early")
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: start, Unclean: "lost", RetryAt: start.Add(time.Minute)}))
	wantEqual(t, "unclean", due(start.Add(time.Hour)), []string{"late"})
	wantEqual(t, "next retry of an unclean stack", next(start), time.Time{})
	_, _, err := s.BeginRun(t.Context(), "early", start)
	wantCode(t, err, state.Conflict, "lost")
}

// After a failure a run leaves an adoption alone while there is something else
// to do. What it leaves is still due when that is done.
func TestAdoptionThatWasLeftAloneIsStillDue(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	shown(t, s, "s1", "a")
	moveTo(t, s, start, "a", state.Stopping)
	moveTo(t, s, start, "b", state.Stopping)
	_, err := s.writer.Exec("UPDATE stacks SET failures = 1 WHERE name = 's1'")
	must(t, err)
	run := applied(t, s, start, "s1")
	wantEqual(t, "deletes", run.Deletes, []string{"a"})
	wantEqual(t, "due", stackNames(get(t, func(ctx context.Context) ([]state.Stack, error) { return s.Due(ctx, start) })), []string{"s1"})
	next, _ := begin(t, s, start, "s1")
	wantEqual(t, "imports", next.Imports, map[string]string{"b": "id-b"})
}

// A device that a state has lost is to be adopted, although its stack counted as
// done and nothing else follows from the look that found it.
func TestLookAtAStateThatLostADeviceMakesItDue(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	sight := sightOf(t, s, "s1")
	must(t, looked(t, s, start, sight, state.Look{Outputs: map[string]state.Device{"a": deviceOf("a")}}))
	wantEqual(t, "due", stackNames(get(t, func(ctx context.Context) ([]state.Stack, error) { return s.Due(ctx, start) })), []string{"s1"})
	run, _ := begin(t, s, start, "s1")
	wantEqual(t, "imports", run.Imports, map[string]string{"b": "id-b"})
}
