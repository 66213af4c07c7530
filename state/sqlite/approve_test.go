package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// waits takes a run of the stack to where it waits for a person.
func waits(t *testing.T, s *Store, at time.Time, stack string) state.Run {
	t.Helper()
	run, _ := begin(t, s, at, stack)
	plan := state.Plan{Text: "a plan", JSON: []byte(`{}`), Saved: state.Saved{Plan: "p1", State: "s1"}, Timings: state.Timings{Init: 1, Plan: 2, Show: 3}}
	must(t, s.Planned(t.Context(), run.ID, at, plan, "passed"))
	must(t, s.Await(t.Context(), run.ID, at))
	return run
}

func demand(stages int) state.Demand { return state.Demand{Stages: stages} }

// A run that waits is no work, but its stack's devices are looked for.
func TestAwait(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	run := waits(t, s, start, "s1")
	must(t, s.LookAgain(t.Context(), "s1", start, ""))
	if due, err := s.Due(t.Context(), after(time.Hour)); err != nil || len(due) != 0 {
		t.Errorf("due %v, %v", due, err)
	}
	if looks, err := s.Looks(t.Context(), after(time.Hour)); err != nil || len(looks) != 1 {
		t.Errorf("looks %v, %v", looks, err)
	}
	got, ws, err := s.Resume(t.Context(), run.ID)
	must(t, err)
	if !got.Awaits() || got.Waits != after(0) || got.Saved.Plan != "p1" || got.Timings.Show != 3 || len(ws.Servers) != 1 || ws.Stack.Name != "s1" {
		t.Errorf("run %+v, workspace %+v", got, ws)
	}
	server, err := s.Server(t.Context(), "a")
	must(t, err)
	if server.Waits != run.ID || !strings.Contains(server.Why(), fmt.Sprintf("run %d waits for the approval", run.ID)) {
		t.Errorf("a server of a plan that waits: %d, %q", server.Waits, server.Why())
	}
	wantCode(t, s.BeginApply(t.Context(), run.ID, start), state.Conflict, "nobody has approved it")

	must(t, s.Approve(t.Context(), run.ID, "octocat", after(time.Minute)))
	if server, err = s.Server(t.Context(), "a"); err != nil || server.Waits != 0 || server.Why() != server.Reason {
		t.Errorf("a server of a plan that was approved: %+v, %v", server, err)
	}
	wantCode(t, s.Approve(t.Context(), run.ID, "hubot", start), state.Conflict, "octocat has approved it")
	wantCode(t, s.Discard(t.Context(), run.ID, "hubot", start, demand(0)), state.Conflict, "octocat has approved it")
	must(t, s.BeginApply(t.Context(), run.ID, after(2*time.Minute)))
	got, err = s.Run(t.Context(), run.ID)
	must(t, err)
	if got.By != "octocat" || got.Approved != after(time.Minute) || got.Timings.Wait != 120 || got.Awaits() {
		t.Errorf("run %+v", got)
	}
	wantCode(t, s.Discard(t.Context(), run.ID, "hubot", start, demand(0)), state.Conflict, "applying")
	_, _, err = s.Resume(t.Context(), run.ID)
	wantCode(t, err, state.Conflict, "does not wait")
}

func TestApproveAndDiscardWhatDoesNotWait(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	for _, decide := range []func(run int64) error{
		func(run int64) error { return s.Approve(t.Context(), run, "octocat", start) },
		func(run int64) error { return s.Discard(t.Context(), run, "octocat", start, demand(0)) },
	} {
		wantCode(t, decide(9), state.NotFound, "no run 9")
	}
	run, _ := begin(t, s, start, "s1")
	wantCode(t, s.Await(t.Context(), run.ID, start), state.Conflict, "planning")
	wantCode(t, s.Approve(t.Context(), run.ID, "octocat", start), state.Conflict, "does not wait")
	must(t, s.Planned(t.Context(), run.ID, start, state.Plan{}, "passed"))
	wantCode(t, s.Discard(t.Context(), run.ID, "octocat", start, demand(0)), state.Conflict, "does not wait")
	must(t, s.Await(t.Context(), run.ID, start))
	moveTo(t, s, start, "a", state.Stopped)
	wantCode(t, s.Approve(t.Context(), run.ID, "octocat", start), state.Conflict, "has changed since")
}

// Creates that are discarded are given up.
func TestDiscardCreates(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	run := waits(t, s, start, "s1")
	must(t, s.Discard(t.Context(), run.ID, "octocat", after(time.Minute), demand(2)))
	for _, name := range []string{"a", "b"} {
		if server := serverNow(t, s, name); server.Phase != state.Stopped || server.Reason != "octocat discarded run 1, which was to create it" {
			t.Errorf("server %+v", server)
		}
	}
	got, err := s.Run(t.Context(), run.ID)
	must(t, err)
	if got.Phase != state.RunDiscarded || got.By != "octocat" || got.Error != "discarded by octocat" || got.Finished != after(time.Minute) {
		t.Errorf("run %+v", got)
	}
	snap := get(t, snapshot(s))
	wantEqual(t, "discards", snap.Discards, []state.Discard{{Pool: "default", At: after(time.Minute), By: "octocat", Demand: demand(2)}})
	if again, _ := begin(t, s, start, "s1"); again.ID != 0 {
		t.Errorf("planned again: %+v", again)
	}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Over: snap.Discards}))
	wantEqual(t, "discards", get(t, snapshot(s)).Discards, []state.Discard{})
}

// What was to be destroyed goes back to work, if it can; else it is left, and
// not planned for before the discard is over.
func TestDiscardDestroys(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "works", "told", "broken", "keeps")
	applied(t, s, start, "s1")
	for _, name := range []string{"works", "told", "broken"} {
		moveTo(t, s, start, name, state.Shutdown)
		moveTo(t, s, start, name, state.Stopping)
	}
	for _, statement := range []string{
		"UPDATE servers SET told = 5 WHERE name = 'told'",
		"UPDATE servers SET condemned = 1, forced = 1 WHERE name = 'works'",
		"UPDATE servers SET error = 'its setup failed', condemned = 1 WHERE name = 'broken'",
	} {
		_, err := s.writer.Exec(statement)
		must(t, err)
	}
	run := waits(t, s, start, "s1")
	wantEqual(t, "deletes", run.Deletes, []string{"broken", "told", "works"})
	must(t, s.Discard(t.Context(), run.ID, "octocat", start, demand(0)))
	for name, want := range map[string]state.Phase{"works": state.Running, "told": state.Staging, "broken": state.Stopping, "keeps": state.Running} {
		if server := serverNow(t, s, name); server.Phase != want || (name == "works" && (server.Condemned || server.Forced)) {
			t.Errorf("server %+v", server)
		}
	}
	if again, _ := begin(t, s, start, "s1"); again.ID != 0 {
		t.Errorf("planned again: %+v", again)
	}
	if snap := get(t, snapshot(s)); len(snap.Discards) != 3 {
		t.Errorf("discards %+v", snap.Discards)
	}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Over: get(t, snapshot(s)).Discards}))
	again, _ := begin(t, s, start, "s1")
	wantEqual(t, "deletes", again.Deletes, []string{"broken"})
}

// The end of a run that was not applied leaves what was found out about its
// stack while it waited.
func TestDiscardedRunsLeaveTheirStacksUnclean(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	run := waits(t, s, start, "s1")
	must(t, s.LookAgain(t.Context(), "s1", start, "the state is torn"))
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunDiscarded, At: start, Error: "stale"}))
	if stack := stackNow(t, s, "s1"); stack.Unclean != "the state is torn" {
		t.Errorf("stack %+v", stack)
	}
}

// The log tells that a plan waits, and who decided about it.
func TestDecisionsAboutPlansAreLogged(t *testing.T) {
	s := newStore(t)
	must(t, s.SetTargets(t.Context(), []string{"webhook"}, start, watch))
	grow(t, s, start, "s1", "a")
	grow(t, s, start, "s2", "b")
	approved, discarded := waits(t, s, start, "s1"), waits(t, s, start, "s2")
	must(t, s.Approve(t.Context(), approved.ID, "octocat", start))
	must(t, s.Discard(t.Context(), discarded.ID, "hubot", start, demand(1)))
	gathered(t, s, start)
	events, _, err := s.Events(t.Context(), state.EventFilter{Kinds: []state.EventKind{"run"}})
	must(t, err)
	var got []string
	for _, e := range events {
		if e.Kind != state.RunBegun {
			got = append(got, fmt.Sprintf("%s %d %s", e.Kind, e.Run, e.By))
		}
	}
	wantEqual(t, "the log", got, []string{"run.planned 1 ", "run.waits 1 ", "run.planned 2 ", "run.waits 2 ", "run.approved 1 octocat", "run.discarded 2 hubot"})
	news, err := s.News(t.Context(), "webhook", 10)
	must(t, err)
	if len(news) != 2 || news[0].Kind != state.RunWaits || news[0].Reason != "1 to create, 0 to destroy; hangar approve 1, or hangar discard 1" {
		t.Errorf("news %+v", news)
	}
}
