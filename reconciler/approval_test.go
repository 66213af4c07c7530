package reconciler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// waitingRun waits for the run that waits.
func (h *house) waitingRun(above int64) (run state.Run) {
	h.t.Helper()
	h.until("a run waits", func() bool {
		runs, err := h.store.Awaiting(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if len(runs) == 1 && runs[0].ID > above && runs[0].Approved.IsZero() {
			run = runs[0]
			return true
		}
		return false
	})
	return run
}

func (h *house) run(id int64) state.Run {
	h.t.Helper()
	run, err := h.store.Run(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return run
}

// drained lets the one server that runs become idle and leave, up to where its
// destruction is planned.
func (h *house) drained() {
	h.t.Helper()
	h.queue.set()
	for range 5 {
		h.pass()
	}
	h.conv.Poke()
}

// looked waits until no look at the stack is to come.
func (h *house) looked(stack string) {
	h.t.Helper()
	h.ages("looks have been made", func() bool {
		s, err := h.store.Stack(h.t.Context(), stack)
		return err == nil && s.LookAt.IsZero()
	})
}

func TestApprovalNeeds(t *testing.T) {
	creates, deletes, imports := state.Run{Creates: []string{"a"}}, state.Run{Deletes: []string{"a"}}, state.Run{Imports: map[string]string{"a": "id"}}
	for _, tt := range []struct {
		policy state.Approval
		want   [3]bool
	}{
		{state.ApproveAuto, [3]bool{}},
		{state.ApproveDestroys, [3]bool{false, true, false}},
		{state.ApproveAll, [3]bool{true, true, false}},
	} {
		if got := [3]bool{tt.policy.Needs(creates), tt.policy.Needs(deletes), tt.policy.Needs(imports)}; got != tt.want {
			t.Errorf("%s: %v", tt.policy, got)
		}
	}
}

// A run that waits is not applied, and is when an admin has approved it; with it
// waits nothing else.
func TestApprovedRunIsApplied(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveAll
	h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	run := h.waitingRun(0)
	for range 3 {
		h.pass()
		h.conv.Poke()
	}
	h.queue.set(waiting(2)...)
	h.pass()
	h.conv.Poke()
	h.until("another stack is planned beside it", func() bool { return runsIn(t, h, state.RunPlanned) == 2 })
	if planned, applied := h.tf.runs(); planned != 2 || applied != 0 {
		t.Fatalf("planned %d, applied %d", planned, applied)
	}
	if err := h.rec.Approve(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 })
	h.until("the run has ended", func() bool { return h.run(run.ID).Phase == state.RunApplied })
	if got := h.run(run.ID); got.By != "octocat" || got.Timings.Wait <= 0 {
		t.Errorf("run %+v", got)
	}
	if planned, applied := h.tf.runs(); planned != 2 || applied != 1 {
		t.Errorf("planned %d, applied %d", planned, applied)
	}
	if err := h.rec.Approve(t.Context(), run.ID, "octocat"); state.CodeOf(err) != state.Conflict {
		t.Errorf("approved twice: %v", err)
	}
}

// With destroys only what destroys waits.
func TestOnlyDestroysWait(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveDestroys
	s := h.oneRuns()
	h.drained()
	run := h.waitingRun(0)
	if !slices.Equal(run.Deletes, []string{s.Name}) || len(h.tf.there()) != 1 {
		t.Fatalf("run %+v, devices %v", run, h.tf.there())
	}
	if err := h.rec.Approve(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.ages("its device is gone", func() bool { return len(h.tf.there()) == 0 && len(h.servers()) == 0 })
}

// A discarded destruction puts its server back to work, which is not asked to
// leave before the demand has changed.
func TestDiscardedDestroyGoesBackToWork(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveDestroys
	s := h.oneRuns()
	h.drained()
	run := h.waitingRun(0)
	if err := h.rec.Discard(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.until("its plan is removed", func() bool {
		h.tf.mu.Lock()
		defer h.tf.mu.Unlock()
		return h.tf.plans[s.Stack] == ""
	})
	for range 20 {
		h.wait(time.Minute)
		h.pass()
		h.conv.Poke()
	}
	if got := h.servers(); len(got) != 1 || got[0].Phase != state.Running {
		t.Fatalf("servers %+v", got)
	}
	if got := h.run(run.ID); got.Phase != state.RunDiscarded || got.By != "octocat" {
		t.Errorf("run %+v", got)
	}
	h.queue.set(working(s.Name)...) // the demand changes, and so is over
	h.pass()
	h.drained()
	if again := h.waitingRun(run.ID); !slices.Equal(again.Deletes, []string{s.Name}) {
		t.Errorf("run %+v", again)
	}
}

// Discarded creates are not asked for again before the demand has changed, and
// the decision says why.
func TestDiscardedCreatesAreHeld(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveAll
	h.start()
	h.queue.set(waiting(2)...)
	h.pass()
	run := h.waitingRun(0)
	if err := h.rec.Discard(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		d := h.pass()
		if p := d.Pools[0]; p.Create != 0 || p.Held != scale.HeldDiscarded || !strings.Contains(p.Reason, "2 servers wanted, but octocat discarded creates") {
			t.Fatalf("decision %+v", p)
		}
	}
	if made, err := h.rec.Create(t.Context(), "", "octocat"); err != nil || made.Phase != state.Pending {
		t.Errorf("an admin's own order: %+v, %v", made, err)
	}
	h.queue.set(waiting(3)...)
	if d := h.pass(); d.Pools[0].Create != 2 || d.Pools[0].Held != "" {
		t.Errorf("the demand has changed: %+v", d.Pools[0])
	}
}

// A plan that has gone stale is never applied, and its stack is planned anew.
func TestStalePlansArePlannedAnew(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(h *house, s state.Server)
		why  string
	}{
		{"its saved plan is gone", func(h *house, s state.Server) { delete(h.tf.plans, s.Stack) }, "its saved plan is gone"},
		{"its saved plan is another", func(h *house, s state.Server) { h.tf.plans[s.Stack] = "another" }, "not the one that was shown"},
		{"its state has changed", func(h *house, s state.Server) {
			d := h.tf.devices(s.Stack)[s.Name]
			d.Address = "10.0.0.9"
			h.tf.devices(s.Stack)[s.Name] = d
		}, "the state of its stack has changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, pool(0, 4))
			h.conv.Approval = state.ApproveDestroys
			s := h.oneRuns()
			h.drained()
			run := h.waitingRun(0)
			h.looked(s.Stack)
			h.tf.mu.Lock()
			tt.harm(h, s)
			h.tf.mu.Unlock()
			// Whether it is approved before that is noticed or not.
			if err := h.rec.Approve(t.Context(), run.ID, "octocat"); err != nil && state.CodeOf(err) != state.Conflict {
				t.Fatal(err)
			}
			again := h.waitingRun(run.ID)
			if got := h.run(run.ID); got.Phase != state.RunDiscarded || !strings.Contains(got.Error, tt.why) {
				t.Errorf("run %+v", got)
			}
			if _, applied := h.tf.runs(); applied != 1 || !slices.Equal(again.Deletes, run.Deletes) {
				t.Errorf("%d applies; again %+v", applied, again)
			}
		})
	}
}

// A change of what is wanted ends the run that waits; so does a policy under
// which it need not.
func TestWaitingRunsEnd(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveAll
	stop := h.start()
	h.queue.set(waiting(2)...)
	h.pass()
	run := h.waitingRun(0)
	h.queue.set(waiting(1)...)
	h.pass() // one of its servers is not needed any more
	h.conv.Poke()
	again := h.waitingRun(run.ID)
	if got := h.run(run.ID); got.Phase != state.RunDiscarded || !strings.Contains(got.Error, "what is wanted changed") || len(again.Creates) != 1 {
		t.Errorf("run %+v, again %+v", got, again)
	}
	stop()
	h.restart()
	h.start()
	h.until("it is applied without approval", func() bool { return h.phases()[state.Running] == 1 })
	if got := h.run(again.ID); !strings.Contains(got.Error, "no approval is needed any more") {
		t.Errorf("run %+v", got)
	}
}

// The last look finds a stage on a server that waited to be destroyed: no build
// is killed for an approval.
func TestApprovedDestroyOfABusyServer(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveDestroys
	s := h.oneRuns()
	h.drained()
	run := h.waitingRun(0)
	h.queue.set(working(s.Name)...)
	if err := h.rec.Approve(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.until("the run is discarded", func() bool { return h.run(run.ID).Phase == state.RunDiscarded })
	if got := h.run(run.ID); !strings.Contains(got.Error, "took a stage") || len(h.tf.there()) != 1 {
		t.Errorf("run %+v, devices %v", got, h.tf.there())
	}
}

// A restart leaves a run that waits as it is, and applies one that was approved
// just before.
func TestWaitingOutlivesARestart(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveAll
	stop := h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	run := h.waitingRun(0)
	stop()
	h.restart()
	h.conv.Approval = state.ApproveAll
	stop = h.start()
	h.pass()
	h.conv.Poke()
	if again := h.waitingRun(0); again.ID != run.ID {
		t.Fatalf("another run: %+v", again)
	}
	stop()
	if err := h.rec.Approve(t.Context(), run.ID, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.restart()
	h.conv.Approval = state.ApproveAll
	h.start()
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 })
	if planned, applied := h.tf.runs(); planned != 1 || applied != 1 {
		t.Errorf("planned %d, applied %d", planned, applied)
	}
}

// check is a check of the test's.
type check func(run state.Run, planJSON string) error

func (c check) Check(_ context.Context, run state.Run, planJSON []byte) error {
	return c(run, string(planJSON))
}

func TestCheckRefuses(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	var fail error
	h.conv.Check = check(func(run state.Run, planJSON string) error {
		h.tf.mu.Lock()
		defer h.tf.mu.Unlock()
		if planJSON != "{}" || len(run.Creates) != 1 {
			t.Errorf("asked about %+v, %s", run, planJSON)
		}
		return fail
	})
	fail = state.Errorf(state.Forbidden, "exit status 1: too dear")
	h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	h.until("it is refused", func() bool { return runsIn(t, h, state.RunRefused) == 1 })
	run := h.lastRun()
	if !strings.Contains(run.Verdict, "passed: 1 to create") || !strings.Contains(run.Verdict, "refused by DRONE_TERRAFORM_CHECK: exit status 1: too dear") {
		t.Errorf("run %+v", run)
	}
	if s := h.servers()[0]; s.Phase != state.Pending || !strings.Contains(s.Reason, "too dear") {
		t.Errorf("server %+v", s)
	}
	h.tf.mu.Lock()
	fail = errors.New("no shell")
	h.tf.mu.Unlock()
	h.wait(time.Minute)
	h.conv.Poke()
	h.until("it cannot be asked", func() bool { return runsIn(t, h, state.RunErrored) == 1 })
	h.tf.mu.Lock()
	fail = nil
	h.tf.mu.Unlock()
	h.wait(time.Minute)
	h.conv.Poke()
	h.until("it is applied", func() bool { return h.phases()[state.Running] == 1 })
	if _, applied := h.tf.runs(); applied != 1 {
		t.Errorf("%d applies", applied)
	}
}

// What rescues a machine is not put to the check, and does not wait.
func TestAdoptionsAreNotHeldUp(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.tf.forgets = state.FoundActive // its create is forgotten, and a look finds it
	asked := 0
	h.conv.Check = check(func(run state.Run, _ string) error {
		if len(run.Imports) > 0 {
			asked++
		}
		return nil
	})
	h.conv.Approval = state.ApproveDestroys
	h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	h.ages("it is adopted", func() bool {
		return h.phases()[state.Running] == 1 && len(h.lastRun().Imports) == 1 && h.lastRun().Phase == state.RunApplied
	})
	if asked != 0 {
		t.Error("an adoption was put to the check")
	}
}

// Work that returns takes back a server whose destruction waits, and its plan
// with it; once that is approved it is too late.
func TestWorkTakesBackWhatWaits(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	h.conv.Approval = state.ApproveDestroys
	s := h.oneRuns()
	h.drained()
	run := h.waitingRun(0)
	h.queue.set(waiting(1)...)
	h.pass()
	if got := h.servers(); len(got) != 1 || got[0].Phase != state.Running || got[0].Name != s.Name {
		t.Fatalf("servers %+v", got)
	}
	h.until("the run ends", func() bool { h.conv.Poke(); return h.run(run.ID).Phase == state.RunDiscarded })
	if got := h.run(run.ID); !strings.Contains(got.Error, "what is wanted changed") {
		t.Errorf("run %+v", got)
	}

	h.drained()
	run = h.waitingRun(run.ID)
	if err := h.store.Approve(t.Context(), run.ID, "octocat", h.clock()); err != nil {
		t.Fatal(err)
	}
	err := h.store.Commit(t.Context(), state.Changes{At: h.clock(), Moves: []state.Move{{Server: s.Name, From: state.Stopping, To: state.Running}}})
	if state.CodeOf(err) != state.Conflict {
		t.Errorf("put back to work after the approval: %v", err)
	}
}

// A stack's devices are looked for while a run of it waits, which leaves its plan
// as it is. A run whose stack is to be looked at first ends, and is planned anew
// after that look.
func TestLooksWhileARunWaits(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.conv.Approval = state.ApproveDestroys
	s := h.oneRuns()
	h.drained()
	run := h.waitingRun(0)
	for range 3 {
		h.looked(s.Stack)
		if err := h.store.LookAgain(t.Context(), s.Stack, h.clock(), ""); err != nil {
			t.Fatal(err)
		}
	}
	h.looked(s.Stack)
	if again := h.waitingRun(0); again.ID != run.ID {
		t.Fatalf("a look ended the run: %+v", h.run(run.ID))
	}
	if err := h.store.LookAgain(t.Context(), s.Stack, h.clock().Add(time.Hour), "a person moved its state"); err != nil {
		t.Fatal(err)
	}
	h.until("the run has ended", func() bool { h.conv.Poke(); return h.run(run.ID).Phase == state.RunDiscarded })
	h.wait(2 * time.Hour)
	h.conv.Poke()
	h.waitingRun(run.ID)
	if got := h.run(run.ID); !strings.Contains(got.Error, "its devices are to be looked for first") {
		t.Errorf("run %+v", got)
	}
}
