package reconciler_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler"
	"hangar/state"
)

// forget makes the next apply lose what it creates: the devices come into being
// in the given state, and terraform ends with an error and knows none of them.
func (h *house) forget(s state.FoundState) {
	h.tf.mu.Lock()
	defer h.tf.mu.Unlock()
	h.tf.forgets = s
	h.tf.fail = func(state.Workspace, func(state.ApplyEvent)) {
		h.tf.fail = func(state.Workspace, func(state.ApplyEvent)) {
			h.tf.mu.Lock()
			defer h.tf.mu.Unlock()
			h.tf.forgets = ""
		}
	}
}

// set changes the provider's devices.
func (h *house) set(change func(*state.Found)) {
	h.tf.mu.Lock()
	defer h.tf.mu.Unlock()
	for i := range h.tf.provider {
		change(&h.tf.provider[i])
	}
}

// later lets time pass, and the loops look and decide.
func (h *house) later(d time.Duration) {
	h.t.Helper()
	h.wait(d)
	h.pass()
	h.conv.Poke()
}

// agree waits until devices, states and records are the same.
func (h *house) agree() {
	h.t.Helper()
	h.ages("devices, states and records agree", func() bool {
		var recorded, inState []string
		for _, s := range h.servers() {
			if s.ID != "" {
				recorded = append(recorded, s.ID)
			}
		}
		h.tf.mu.Lock()
		for _, devices := range h.tf.states {
			for _, d := range devices {
				inState = append(inState, d.ID)
			}
		}
		h.tf.mu.Unlock()
		slices.Sort(recorded)
		slices.Sort(inState)
		return slices.Equal(recorded, inState) && slices.Equal(recorded, h.tf.there())
	})
}

func (h *house) findings() (kinds []string) {
	h.t.Helper()
	findings, err := h.store.Findings(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range findings {
		kinds = append(kinds, string(f.Kind))
	}
	slices.Sort(kinds)
	return kinds
}

func (h *house) swept() state.Audit {
	h.t.Helper()
	h.wait(time.Second)
	audit, err := h.sweep.Sweep(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.conv.Poke()
	return audit
}

func TestForgottenDevicesAreAdopted(t *testing.T) {
	h := newHouse(t, pool(2, 2))
	h.forget(state.FoundActive)
	h.pass()
	names := []string{h.servers()[0].Name, h.servers()[1].Name}
	h.start()
	h.until("both run", func() bool { return h.phases()[state.Running] == 2 })
	h.agree()
	for _, s := range h.servers() {
		if !slices.Contains(names, s.Name) || s.ID != "id-"+s.Name {
			t.Errorf("server %+v", s)
		}
	}
	runs, _ := h.store.Runs(t.Context(), state.RunFilter{})
	if len(runs) != 2 || len(runs[0].Imports) != 2 || len(runs[0].Creates) != 0 || !strings.Contains(runs[0].Verdict, "0 to create, 0 to destroy, 2 to import") {
		t.Errorf("runs %+v", runs)
	}
}

// What is not there yet is looked for until the settle time is over; then
// another name takes its place, and no earlier.
func TestLostCreateIsGivenUpWhenSettled(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.tf.apply = func(state.Workspace, map[string]state.Device) error { return errBroken }
	h.pass()
	lost := h.servers()[0].Name
	h.start()
	h.until("its run has ended", func() bool { return runsIn(t, h, state.RunErrored) == 1 })
	h.until("it was looked for", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.asked) > 0 })
	h.tf.mu.Lock()
	h.tf.apply = nil
	if want := "hangar-stack=" + h.tf.planned[0]; h.tf.asked[0] != want {
		t.Errorf("asked for %s, want %s alone", h.tf.asked[0], want)
	}
	h.tf.mu.Unlock()
	for range 5 {
		h.later(9 * time.Second)
		if p := h.phases(); p[state.Creating] != 1 || len(h.servers()) != 1 {
			t.Fatalf("before the settle time is over: %v", p)
		}
	}
	h.later(16 * time.Second)
	h.until("it is in error", func() bool { return h.phases()[state.Failed] == 1 })
	if s := h.servers()[0]; s.Absent != state.Lost || s.Billed() || !strings.Contains(s.Error, "no device of it was found") {
		t.Errorf("server %+v", s)
	}
	h.pass()
	h.until("another name takes its place", func() bool { return h.phases()[state.Running] == 1 })
	h.swept()
	h.until("the sweep ends it", func() bool { return len(h.servers()) == 1 })
	if name := h.servers()[0].Name; name == lost {
		t.Errorf("%s was created twice", name)
	}

	// Should it turn up all the same, it is removed: after a second sweep, when
	// no stage is on it.
	h.tf.mu.Lock()
	h.tf.make(h.tf.planned[0], lost, "late", state.FoundActive)
	h.tf.mu.Unlock()
	h.queue.set(working(lost)...)
	if audit := h.swept(); len(audit.Findings) != 1 || audit.Findings[0].Kind != state.Orphan || audit.Findings[0].Device != "late" {
		t.Errorf("audit %+v", audit)
	}
	h.pass()
	if len(h.servers()) != 1 {
		t.Error("acted upon before it was confirmed")
	}
	h.wait(h.sweep.Confirm)
	h.swept()
	for range 4 {
		h.later(time.Second)
	}
	if there := h.tf.there(); !slices.Contains(there, "late") {
		t.Error("destroyed with a stage on it")
	}
	h.queue.set()
	for range 4 {
		h.later(time.Second)
	}
	h.ages("the late one is gone", func() bool { return len(h.tf.there()) == 1 })
	h.agree()
	if audit := h.swept(); len(audit.Findings) != 0 {
		t.Errorf("findings %+v", audit.Findings)
	}
}

func TestFailedDeviceIsAdoptedAndDestroyed(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.forget(state.FoundFailed)
	h.pass()
	broken := h.servers()[0].Name
	h.start()
	h.until("it is in error", func() bool { return h.phases()[state.Failed] == 1 })
	for range 4 {
		h.later(time.Second)
	}
	h.later(10 * time.Second) // its candidate has cooled off
	h.ages("another serves", func() bool { return h.phases()[state.Running] == 1 && len(h.servers()) == 1 })
	h.agree()
	if s, err := h.store.Server(t.Context(), broken); err != nil || s.Phase != state.Stopped || !strings.Contains(s.Error, "has failed") {
		t.Errorf("server %+v, %v", s, err)
	}
}

func TestBootingDeviceIsAdoptedAndAwaited(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.forget(state.FoundBooting)
	h.pass()
	h.start()
	h.ages("it is adopted", func() bool { return h.phases()[state.Created] == 1 })
	h.agree()
	h.later(10 * time.Minute)
	if p := h.phases(); p[state.Created] != 1 {
		t.Errorf("phases %v", p)
	}
	h.set(func(f *state.Found) { f.State, f.Address = state.FoundActive, "10.0.0.7" })
	h.later(11 * time.Second)
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 })
	if s := h.servers()[0]; s.Address != "10.0.0.7" {
		t.Errorf("server %+v", s)
	}
}

// A booting device is destroyed only when that can work.
func TestBootingDeviceIsDestroyedWhenItHasBooted(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.forget(state.FoundBooting)
	h.pass()
	h.start()
	h.ages("it is adopted", func() bool { return h.phases()[state.Created] == 1 })
	if err := h.rec.Destroy(t.Context(), h.servers()[0].Name, true, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.later(10 * time.Second)
	h.later(10 * time.Second)
	if there := h.tf.there(); len(there) != 1 || runsIn(t, h, state.RunErrored) != 1 {
		t.Errorf("devices %v", there)
	}
	h.set(func(f *state.Found) { f.State = state.FoundActive })
	h.later(11 * time.Second)
	h.ages("it is gone", func() bool { return h.phases()[state.Stopping] == 0 })
}

// A process that died in mid-apply left a run that the next one judges by the
// state, and a stack whose devices it looks for first.
func TestInterruptedRunIsRecovered(t *testing.T) {
	h := newHouse(t, pool(3, 3))
	h.pass()
	due, err := h.store.Due(t.Context(), h.now)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v, %v", due, err)
	}
	run, ws, err := h.store.BeginRun(t.Context(), due[0].Name, h.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.Planned(t.Context(), run.ID, h.now, state.Plan{}, "passed"); err != nil {
		t.Fatal(err)
	}
	if err := h.store.BeginApply(t.Context(), run.ID, h.now); err != nil {
		t.Fatal(err)
	}
	a, b := ws.Servers[0].Name, ws.Servers[1].Name
	h.tf.devices(ws.Stack.Name)[a] = state.Device{ID: "id-" + a, State: "active"}
	h.tf.make(ws.Stack.Name, a, "id-"+a, state.FoundActive)
	h.tf.make(ws.Stack.Name, b, "id-"+b, state.FoundActive)
	h.restart()
	h.start()
	h.until("the one in the state and the one at the provider run", func() bool { return h.phases()[state.Running] == 2 })
	h.agree()
	if p := h.phases(); p[state.Creating] != 1 {
		t.Errorf("the third is not waited for: %v", p)
	}
	h.later(time.Minute)
	h.until("the third is given up", func() bool { return h.phases()[state.Failed] == 1 })
	h.pass()
	h.until("and replaced", func() bool { return h.phases()[state.Running] == 3 })
	h.agree()
}

// A process that died between an adoption and its record leaves a stack that is
// looked at and goes on: what was adopted is destroyed when its time has come.
func TestInterruptedAdoptionIsRecovered(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	h.tf.applying, h.tf.proceed = make(chan string), make(chan struct{})
	h.forget(state.FoundActive)
	h.queue.set(waiting(1)...)
	h.pass()
	stop := h.start()
	<-h.tf.applying
	h.tf.proceed <- struct{}{}
	stack, dead := <-h.tf.applying, h.tf.proceed
	t.Cleanup(func() { close(dead) })
	h.ages("no look is due any more", func() bool {
		stacks, err := h.store.Stacks(t.Context())
		return err == nil && stacks[0].LookAt.IsZero()
	})
	go stop() // which waits for the apply
	name := h.servers()[0].Name
	h.tf.mu.Lock()
	h.tf.devices(stack)[name] = state.Device{ID: "id-" + name, State: "active"}
	h.tf.applying, h.tf.proceed = nil, nil
	h.tf.mu.Unlock()
	h.restart()
	h.start()
	if run := h.lastRun(); len(run.Imports) != 1 {
		t.Fatalf("run %+v", run)
	}
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 && h.lastRun().Phase == state.RunInterrupted })
	h.queue.set()
	h.later(time.Minute)
	h.later(time.Second)
	h.ages("it is destroyed", func() bool { h.pass(); return len(h.servers()) == 0 && len(h.tf.there()) == 0 })
}

// What the API refuses for good is no capacity, and does not count: the next
// candidate is asked at once. The name is watched all the same.
func TestRefusedCreateCountsNoMore(t *testing.T) {
	p := pool(2, 2)
	second := p.Candidates[0]
	second.Name = "sjc1/small"
	p.Candidates = append(p.Candidates, second)
	h := newHouse(t, p)
	h.tf.apply = func(ws state.Workspace, _ map[string]state.Device) error { h.tf.apply = nil; return refusal(ws) }
	h.pass()
	first := h.servers()[0]
	h.start()
	h.until("both are refused, and not there", func() bool {
		for _, s := range h.servers() {
			if s.Phase != state.Failed || s.Billed() {
				return false
			}
		}
		return true
	})
	if d := h.pass(); d.Pools[0].Create != 2 || d.Pools[0].Candidate != "sjc1/small" {
		t.Fatalf("decision %+v", d.Pools[0])
	}
	h.until("the second candidate serves", func() bool { return h.phases()[state.Running] == 2 })
	// One of them appears after all, within the settle time.
	h.tf.mu.Lock()
	h.tf.make(first.Stack, first.Name, "late", state.FoundActive)
	h.tf.mu.Unlock()
	h.later(30 * time.Second)
	h.until("it is seen", func() bool { s, _ := h.store.Server(t.Context(), first.Name); return s.ID == "late" })
	for range 4 {
		h.later(time.Second)
	}
	h.ages("it is destroyed", func() bool { return len(h.tf.there()) == 2 })
	h.later(time.Minute)
	h.ages("the refused ones have ended", func() bool { return len(h.servers()) == 2 })
	h.agree()
}

// A destruction that terraform calls complete while the device lives is made
// again, more and more slowly, until it has happened.
func TestDeniedDestructionIsMadeAgain(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	name := h.oneRuns().Name
	h.tf.mu.Lock()
	h.tf.denied = true
	h.tf.mu.Unlock()
	h.queue.set()
	for range 4 {
		h.pass()
	}
	h.until("it was called destroyed", func() bool { _, applied := h.tf.runs(); return applied == 2 })
	h.until("it is known to live", func() bool { s, _ := h.store.Server(t.Context(), name); return strings.Contains(s.Reason, "once more") })
	if s, _ := h.store.Server(t.Context(), name); s.Phase != state.Stopping {
		t.Errorf("server %+v", s)
	}
	h.later(11 * time.Second) // adopted, and called destroyed again
	h.until("it was adopted and destroyed again", func() bool { _, applied := h.tf.runs(); return applied == 4 })
	h.until("it is known to live", func() bool {
		stacks, _ := h.store.Stacks(t.Context())
		return stacks[0].Failures == 2 && stacks[0].RetryAt.Sub(h.clock()) > 19*time.Second
	})
	h.tf.mu.Lock()
	h.tf.denied = false
	h.tf.mu.Unlock()
	h.later(21 * time.Second)
	h.ages("it is gone", func() bool { return len(h.servers()) == 0 })
	h.agree()
}

// A clean run that left two devices of one name: the one in the state stays.
func TestDoubleIsDestroyed(t *testing.T) {
	h := newHouse(t, pool(1, 3))
	h.tf.fail = func(ws state.Workspace, _ func(state.ApplyEvent)) {
		h.tf.mu.Lock()
		defer h.tf.mu.Unlock()
		if h.tf.fail != nil {
			h.tf.make(ws.Stack.Name, ws.Servers[0].Name, "double", state.FoundActive)
		}
		h.tf.fail = nil
	}
	h.pass()
	name := h.servers()[0].Name
	h.queue.set(working(name)...)
	h.start()
	h.until("the double has a record", func() bool { return len(h.servers()) == 2 })
	if got := h.findings(); !slices.Equal(got, []string{"duplicate"}) {
		t.Errorf("findings %v", got)
	}
	for range 4 {
		h.later(time.Second)
	}
	if there := h.tf.there(); len(there) != 2 {
		t.Error("destroyed while the queue shows a stage under its name")
	}
	h.queue.set()
	for range 4 {
		h.later(time.Second)
	}
	h.ages("it is destroyed", func() bool { return len(h.servers()) == 1 })
	h.agree()
	if s := h.servers()[0]; s.Name != name || s.ID != "id-"+name {
		t.Errorf("the wrong one stayed: %+v", s)
	}
	if audit := h.swept(); len(audit.Findings) != 0 {
		t.Errorf("findings %+v", audit.Findings)
	}
}

// A machine that somebody else removed is replaced, after a second look, and
// never comes back to work.
func TestMissingDeviceIsReplaced(t *testing.T) {
	h := newHouse(t, pool(3, 3))
	h.pass()
	h.start()
	h.until("three run", func() bool { return h.phases()[state.Running] == 3 && runsIn(t, h, state.RunApplied) == 1 })
	gone := h.servers()[0]
	h.tf.mu.Lock()
	h.tf.unmake(gone.ID)
	h.tf.mu.Unlock()
	if audit := h.swept(); len(audit.Findings) != 1 || audit.Findings[0].Kind != state.Gone {
		t.Fatalf("audit %+v", audit)
	}
	if p := h.phases(); p[state.Running] != 3 {
		t.Errorf("believed at first sight: %v", p)
	}
	h.wait(h.sweep.Confirm)
	h.swept()
	if s, _ := h.store.Server(t.Context(), gone.Name); s.Phase != state.Shutdown || s.Absent != state.Missing {
		t.Errorf("server %+v", s)
	}
	if d := h.pass(); d.Pools[0].Create != 1 {
		t.Errorf("not replaced at once: %+v", d.Pools[0])
	}
	for range 4 {
		h.later(time.Second)
	}
	h.ages("it is gone from the records", func() bool { return h.phases()[state.Running] == 3 && len(h.servers()) == 3 })
	h.agree()
}

// An empty list, a list without most of what is known, and no list at all
// conclude nothing.
func TestImplausibleCensusChangesNothing(t *testing.T) {
	h := newHouse(t, pool(3, 3))
	h.pass()
	h.start()
	h.until("three run", func() bool { return h.phases()[state.Running] == 3 && runsIn(t, h, state.RunApplied) == 1 })
	h.later(time.Minute)
	h.until("the stack is settled", func() bool { s, _ := h.store.Stacks(t.Context()); return s[0].LookAt.IsZero() })
	h.tf.mu.Lock()
	all := h.tf.provider
	h.tf.mu.Unlock()
	for _, tt := range []struct {
		name  string
		shown []state.Found
		err   error
		says  string
		kind  state.FindingKind
	}{
		{"empty", nil, nil, "3 of 3 known devices are absent", state.Implausible},
		{"most are absent", all[:1], nil, "2 of 3 known devices are absent", state.Implausible},
		{"denied", nil, errBroken, "broken", state.Unreadable},
	} {
		h.tf.mu.Lock()
		h.tf.provider, h.tf.census = tt.shown, tt.err
		h.tf.mu.Unlock()
		for range 3 {
			h.wait(h.sweep.Confirm)
			if audit := h.swept(); !strings.Contains(audit.Error, tt.says) || len(audit.Findings) == 0 || audit.Findings[len(audit.Findings)-1].Kind != tt.kind {
				t.Errorf("%s: audit %+v", tt.name, audit)
			}
			h.pass()
		}
		if p := h.phases(); p[state.Running] != 3 || len(h.servers()) != 3 {
			t.Errorf("%s: %v", tt.name, p)
		}
	}
	h.tf.mu.Lock()
	h.tf.provider, h.tf.census = all, nil
	h.tf.mu.Unlock()
	if audit := h.swept(); audit.Error != "" || len(audit.Findings) != 0 || audit.Devices != 3 {
		t.Errorf("audit %+v", audit)
	}
}

// What was changed by hand is told and left alone; what is not ours is not
// even told.
func TestDriftAndForeignDevices(t *testing.T) {
	h := newHouse(t, pool(2, 2))
	h.pass()
	h.start()
	h.until("two run", func() bool { return h.phases()[state.Running] == 2 && runsIn(t, h, state.RunApplied) == 1 })
	h.set(func(f *state.Found) {
		if f.ID == h.servers()[0].ID {
			f.Instance, f.Server, f.Hostname = "", "", "taken-over"
		}
	})
	h.tf.mu.Lock()
	h.tf.provider = append(h.tf.provider, state.Found{ID: "theirs", Server: h.servers()[1].Name, Stack: h.servers()[1].Stack, Instance: "i-2", State: state.FoundActive})
	h.tf.mu.Unlock()
	for range 3 {
		h.wait(h.sweep.Confirm)
		audit := h.swept()
		if len(audit.Findings) != 1 || audit.Findings[0].Kind != state.Drifted || !strings.Contains(audit.Findings[0].Detail, `host name is "taken-over"`) {
			t.Errorf("audit %+v", audit)
		}
		h.later(time.Minute)
	}
	if p := h.phases(); p[state.Running] != 2 || len(h.tf.there()) != 3 {
		t.Errorf("phases %v, devices %v", p, h.tf.there())
	}
}

// A guard that refuses leads to a look, which puts right what the records had
// wrong.
func TestRefusedPlanLeadsToALook(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	s := h.oneRuns()
	h.tf.mu.Lock()
	h.tf.plan = func(ws state.Workspace, p *state.Plan) error {
		if ws.Stack.Name == s.Stack { // a person has just taken it out of the state
			h.tf.states[s.Stack], h.tf.plan, p.Changes = map[string]state.Device{}, nil, nil
		}
		return nil
	}
	h.tf.mu.Unlock()
	if err := h.rec.Destroy(t.Context(), s.Name, false, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.queue.set()
	for range 4 {
		h.later(time.Second)
	}
	h.until("the run is refused", func() bool { return runsIn(t, h, state.RunRefused) == 1 })
	h.ages("it is adopted and destroyed", func() bool { return !slices.Contains(h.tf.there(), s.ID) })
	h.agree()
}

// After a lost volume the old machines wait for a person's word.
func TestLostRecordsAreRebuilt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		adopt bool
	}{{"adopt", true}, {"destroy", false}} {
		t.Run(tt.name, func(t *testing.T) {
			do, left := (*reconciler.Sweeper).Destroy, 0
			if tt.adopt {
				do, left = (*reconciler.Sweeper).Adopt, 2
			}
			h := newHouse(t, pool(left, 4))
			if _, err := h.store.Instance(t.Context(), "i-1"); err != nil {
				t.Fatal(err)
			}
			h.tf.make("old", "agent-aaaaaaaa", "1", state.FoundActive)
			h.tf.make("old", "agent-bbbbbbbb", "2", state.FoundActive)
			h.tf.make("old", "agent-bbbbbbbb", "3", state.FoundActive)
			h.start()
			for range 3 {
				h.wait(h.sweep.Confirm)
				audit := h.swept()
				if len(audit.Findings) != 3 || !audit.Findings[0].Held {
					t.Fatalf("audit %+v", audit)
				}
			}
			if len(h.servers()) != 0 {
				t.Fatal("acted upon without being asked")
			}
			h.queue.set(working("agent-aaaaaaaa", "agent-bbbbbbbb")...)
			if _, err := do(h.sweep, t.Context(), "octocat"); err != nil {
				t.Fatal(err)
			}
			if _, err := h.store.Gather(t.Context(), h.clock(), state.Watch{}); err != nil {
				t.Fatal(err)
			}
			if orders, _, err := h.store.Events(t.Context(), state.EventFilter{Kinds: []state.EventKind{"order"}}); err != nil || len(orders) != 1 || orders[0].By != "octocat" {
				t.Errorf("orders %+v, %v", orders, err)
			}
			h.conv.Poke()
			for range 4 {
				h.later(time.Second)
			}
			if there := h.tf.there(); len(there) != 3 {
				t.Errorf("destroyed with stages on them: %v", there)
			}
			h.queue.set()
			for range 4 {
				h.later(time.Second)
			}
			h.ages("as asked for", func() bool { return len(h.tf.there()) == left })
			h.agree()
			if audit := h.swept(); len(audit.Findings) != 0 {
				t.Errorf("findings %+v", audit.Findings)
			}
		})
	}
}

// Creates that serve nothing stop at the budget, and that is said.
func TestCreationBudget(t *testing.T) {
	p := pool(2, 2)
	p.CreateBudget = 5
	h := newHouse(t, p)
	h.start()
	h.tf.forgets = state.FoundFailed
	held := false
	for range 60 {
		held = held || h.pass().Pools[0].Held == "budget"
		h.later(20 * time.Second)
		time.Sleep(5 * time.Millisecond)
	}
	servers, err := h.store.Servers(t.Context())
	if err != nil || len(servers) != 5 || !held {
		t.Errorf("%d creates, held %t; want the budget of 5 and no more: %v", len(servers), held, err)
	}
}

// A census that fails concludes nothing, and is made again.
func TestLookThatFailsIsMadeAgain(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.forget(state.FoundActive)
	h.tf.census = errBroken
	h.pass()
	h.start()
	h.until("it was looked for", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.asked) > 0 })
	for range 5 {
		h.later(30 * time.Second)
		time.Sleep(5 * time.Millisecond)
	}
	if p := h.phases(); p[state.Creating] != 1 {
		t.Errorf("concluded from nothing: %v", p)
	}
	h.tf.mu.Lock()
	h.tf.census = nil
	h.tf.mu.Unlock()
	h.later(time.Minute)
	h.ages("it is adopted", func() bool { return h.phases()[state.Running] == 1 })
	h.agree()
}

// A state file that is not as recorded is repaired before anything else.
func TestBrokenStateIsRepaired(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.pass()
	stop := h.start()
	h.until("one runs", func() bool { return h.phases()[state.Running] == 1 })
	h.until("it was looked at", func() bool { s, _ := h.store.Stacks(t.Context()); return s[0].LookAt.Equal(s[0].LookUntil) })
	stop()
	h.tf.broken = "it is torn"
	h.restart()
	h.start()
	h.until("it is repaired", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.repaired) == 1 })
	h.until("the stack may be run again", func() bool { s, _ := h.store.Stacks(t.Context()); return s[0].Unclean == "" })
	h.agree()
}

// Force on a server in error ends in a verified destruction.
func TestForceOnAServerInError(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.tf.apply = func(ws state.Workspace, _ map[string]state.Device) error { h.tf.apply = nil; return refusal(ws) }
	h.pass()
	s := h.servers()[0]
	h.start()
	h.until("it is refused", func() bool { return h.phases()[state.Failed] == 1 })
	h.until("it was looked for", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.asked) > 0 })
	h.tf.mu.Lock()
	asked := len(h.tf.asked)
	h.tf.mu.Unlock()
	if err := h.rec.Destroy(t.Context(), s.Name, true, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.ages("it is gone", func() bool { s, _ := h.store.Server(t.Context(), s.Name); return s.Phase == state.Stopped })
	h.tf.mu.Lock()
	defer h.tf.mu.Unlock()
	if len(h.tf.asked) == asked {
		t.Error("nobody looked whether it is")
	}
}
