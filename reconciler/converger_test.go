package reconciler_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// A burst makes few stacks: the first create goes at once, and what is decided
// while it is being prepared goes together.
func TestBurstGoesTogether(t *testing.T) {
	h := newHouse(t, pool(0, 20))
	h.rec.StackSize = 25
	planning, proceed := make(chan string), make(chan struct{})
	h.tf.plan = func(ws state.Workspace, _ *state.Plan) error {
		planning <- ws.Stack.Name
		<-proceed
		return nil
	}
	h.queue.set(waiting(1)...)
	h.pass()
	h.start()
	first := <-planning
	for n := 2; n <= 6; n++ {
		h.queue.set(waiting(n)...)
		h.pass()
		h.conv.Poke()
	}
	proceed <- struct{}{}
	if second := <-planning; second == first {
		t.Fatal("the first stack was planned again")
	}
	proceed <- struct{}{}
	h.until("six servers run", func() bool { return h.phases()[state.Running] == 6 })
	if planned, _ := h.tf.runs(); planned != 2 {
		t.Errorf("%d plans for a burst of six; want two", planned)
	}
}

func TestRefusedPlanIsNotApplied(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.tf.plan = func(ws state.Workspace, p *state.Plan) error {
		p.Changes = append(p.Changes, state.Change{Address: `module.devices.x.y["other"]`, Actions: []string{"delete"}})
		return nil
	}
	h.pass()
	h.start()
	h.until("the run is refused", func() bool { return runsIn(t, h, state.RunRefused) == 1 })
	run := h.lastRun()
	if _, applied := h.tf.runs(); applied != 0 || !strings.Contains(run.Verdict, "would be destroyed, which is not wanted") {
		t.Errorf("applied %d; run %+v", applied, run)
	}
	plan, err := h.store.RunPlan(t.Context(), run.ID)
	if err != nil || plan.Text == "" {
		t.Errorf("the refused plan cannot be read: %+v, %v", plan, err)
	}
	h.conv.Poke()
	h.pass()
	if planned, _ := h.tf.runs(); planned != 1 {
		t.Errorf("planned %d times before its backoff had passed", planned)
	}
	h.tf.mu.Lock()
	h.tf.plan = nil
	h.tf.mu.Unlock()
	h.wait(time.Minute)
	h.conv.Poke()
	h.until("planned again after the backoff", func() bool { return h.phases()[state.Running] == 1 })
}

func runsIn(t *testing.T, h *house, phase state.RunPhase) int {
	t.Helper()
	runs, err := h.store.Runs(t.Context(), state.RunFilter{Phase: phase})
	if err != nil {
		t.Fatal(err)
	}
	return len(runs)
}

func TestFailedPlanIsTriedAgain(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.tf.plan = func(state.Workspace, *state.Plan) error { return errBroken }
	h.pass()
	h.start()
	h.until("the run has failed", func() bool {
		runs, _ := h.store.Runs(t.Context(), state.RunFilter{Phase: state.RunErrored})
		return len(runs) == 1
	})
	if p := h.phases(); p[state.Pending] != 1 {
		t.Errorf("a failed plan has done nothing to its servers: %v", p)
	}
	h.tf.mu.Lock()
	h.tf.plan = nil
	h.tf.mu.Unlock()
	h.wait(time.Minute)
	h.conv.Poke()
	h.until("it was planned again", func() bool { return h.phases()[state.Running] == 1 })
}

// A stage that was accepted between the drain and the destruction is seen by
// the last look, and its server lives.
func TestLastLookSparesABusyServer(t *testing.T) {
	h := newHouse(t, pool(0, 2))
	name := h.oneRuns().Name
	h.queue.set()
	h.tf.mu.Lock()
	h.tf.plan = func(state.Workspace, *state.Plan) error { // while its destruction is planned
		h.queue.set(working(name)...)
		h.tf.plan = nil
		return nil
	}
	h.tf.mu.Unlock()
	for range 4 {
		h.pass()
	}
	h.until("the destruction is discarded", func() bool { return h.lastRun().Phase == state.RunDiscarded })
	if run := h.lastRun(); !strings.Contains(run.Error, name) {
		t.Errorf("run %+v", run)
	}
	if p := h.phases(); p[state.Shutdown] != 1 {
		t.Errorf("it does not drain again: %v", p)
	}
	if _, applied := h.tf.runs(); applied != 1 {
		t.Errorf("%d applies; want the create alone", applied)
	}
	h.queue.set()
	for range 6 {
		h.pass()
	}
	h.ages("it goes when it is done", func() bool { return len(h.servers()) == 0 })
}

// What is wanted changes while a plan is made: the plan is stale, and is made
// again instead of applied.
func TestStalePlanIsDiscarded(t *testing.T) {
	h := newHouse(t, pool(0, 5))
	h.queue.set(waiting(2)...)
	h.pass()
	first := true
	h.tf.plan = func(state.Workspace, *state.Plan) error {
		if first {
			first = false
			return h.rec.Destroy(context.WithoutCancel(t.Context()), h.servers()[0].Name, false, "octocat")
		}
		return nil
	}
	h.start()
	h.until("the one still wanted runs", func() bool { return h.phases()[state.Running] == 1 && len(h.servers()) == 1 })
	runs, _ := h.store.Runs(t.Context(), state.RunFilter{Phase: state.RunDiscarded})
	if len(runs) != 1 {
		t.Errorf("%d discarded runs; want the stale one", len(runs))
	}
}

// Asked to stop, the loop starts nothing new and waits for the apply.
func TestStopWaitsForApply(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.tf.applying, h.tf.proceed = make(chan string), make(chan struct{})
	h.pass()
	stop := h.start()
	<-h.tf.applying
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Fatal("it did not wait for the apply")
	case <-time.After(50 * time.Millisecond):
	}
	close(h.tf.proceed)
	<-stopped
	if p := h.phases(); p[state.Running] != 1 {
		t.Errorf("the end of the apply was not recorded: %v", p)
	}
}

// A candidate that fails is left alone for longer each time, and the next one
// is tried meanwhile.
func TestFailingCandidateCoolsOff(t *testing.T) {
	p := pool(0, 10)
	second := p.Candidates[0]
	second.Name = "sjc1/small"
	p.Candidates = append(p.Candidates, second)
	h := newHouse(t, p)
	h.tf.apply = func(ws state.Workspace, devices map[string]state.Device) error {
		if ws.Stack.Candidate == "ewr1/small" {
			return refusal(ws)
		}
		for _, s := range ws.Servers {
			devices[s.Name] = state.Device{ID: "id-" + s.Name, State: "active"}
			h.tf.make(ws.Stack.Name, s.Name, "id-"+s.Name, state.FoundActive)
		}
		return nil
	}
	h.start()
	var pauses []time.Duration
	for n := 1; n <= 3; n++ {
		h.queue.set(waiting(n)...)
		h.pass()
		h.until("the first candidate has failed", func() bool { return runsIn(t, h, state.RunErrored) == n })
		snap, err := h.store.Snapshot(t.Context(), h.clock())
		if err != nil || len(snap.Backoffs) != 1 {
			t.Fatalf("backoffs %v, %v", snap.Backoffs, err)
		}
		pauses = append(pauses, snap.Backoffs[0].Until.Sub(h.now))
		h.pass()
		h.until("the second candidate serves", func() bool { return h.phases()[state.Running] == n })
		h.wait(pauses[n-1])
	}
	for i := 1; i < len(pauses); i++ {
		if pauses[i] != 2*pauses[i-1] {
			t.Errorf("the candidate is left alone for %v; want each twice the one before", pauses)
		}
	}
}

// A terraform that ended before it touched anything, such as one that found a
// person's lock, has made and lost nothing: the run is made again.
func TestApplyThatDidNotBeginIsMadeAgain(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.tf.idle, h.tf.apply = true, func(state.Workspace, map[string]state.Device) error { return errBroken }
	h.start()
	h.pass()
	h.until("the run is discarded", func() bool { return runsIn(t, h, state.RunDiscarded) == 1 })
	if p := h.phases(); p[state.Pending] != 1 {
		t.Errorf("phases %v", p)
	}
	h.tf.mu.Lock()
	h.tf.apply = nil
	h.tf.mu.Unlock()
	h.wait(time.Minute)
	h.conv.Poke()
	h.until("it was made again", func() bool { return h.phases()[state.Running] == 1 })
}

// A create that failed is no capacity from that moment on: another candidate
// is tried while its siblings still boot.
func TestFailedCreateIsHeardAtOnce(t *testing.T) {
	p := pool(0, 10)
	second := p.Candidates[0]
	second.Name = "sjc1/small"
	p.Candidates = append(p.Candidates, second)
	h := newHouse(t, p)
	h.rec.StackSize = 25
	failed, booted := make(chan struct{}), make(chan struct{})
	h.tf.fail = func(ws state.Workspace, on func(state.ApplyEvent)) {
		if ws.Stack.Candidate == "ewr1/small" {
			on(state.ApplyEvent{Server: ws.Servers[0].Name, Action: "create", Failed: true})
			close(failed)
			<-booted
		}
	}
	h.tf.apply = func(ws state.Workspace, devices map[string]state.Device) error {
		for i, s := range ws.Servers {
			if i > 0 || ws.Stack.Candidate == "sjc1/small" {
				devices[s.Name] = state.Device{ID: "1", State: "active"}
			}
		}
		if ws.Stack.Candidate == "ewr1/small" {
			return errBroken
		}
		return nil
	}
	h.start()
	h.queue.set(waiting(3)...)
	h.pass()
	<-failed
	h.until("it is in error", func() bool { return h.phases()[state.Failed] == 1 })
	if d := h.pass(); d.Pools[0].Create != 1 || d.Pools[0].Candidate != "sjc1/small" {
		t.Errorf("decision %+v", d.Pools[0])
	}
	h.until("the other candidate serves", func() bool { return h.phases()[state.Running] == 1 })
	close(booted)
	h.until("the siblings run", func() bool { return h.phases()[state.Running] == 3 })
	snap, err := h.store.Snapshot(t.Context(), h.clock())
	if err != nil || len(snap.Backoffs) != 1 || snap.Backoffs[0].Failures != 1 || !strings.Contains(snap.Backoffs[0].Error, "broken") {
		t.Errorf("one failure, told once and then with its reason: %+v, %v", snap.Backoffs, err)
	}
}

// Force does not wait for a Drone server that does not answer.
func TestForceDoesNotNeedDrone(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	name := h.oneRuns().Name
	h.queue.mu.Lock()
	h.queue.err = errBroken
	h.queue.mu.Unlock()
	if err := h.rec.Destroy(t.Context(), name, true, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.ages("it is gone", func() bool { return len(h.servers()) == 0 })
}

// What a run that is not applied left in its stack's folder is put right.
func TestFolderOfADiscardedRunIsPutRight(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.tf.plan = func(_ state.Workspace, p *state.Plan) error { p.Changes = nil; return nil }
	h.start()
	h.pass()
	h.until("the run is refused", func() bool { return runsIn(t, h, state.RunRefused) == 1 })
	h.until("its folder is put right", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.rested) > 0 })
}
