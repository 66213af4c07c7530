package reconciler_test

import (
	"slices"
	"testing"
	"time"

	"hangar/state"
)

// settled waits until no look at the first stack is due any more.
func (h *house) settledStack() {
	h.t.Helper()
	h.ages("its stack is settled", func() bool { s, err := h.store.Stacks(h.t.Context()); return err == nil && s[0].LookAt.IsZero() })
}

// long lets time pass in steps; the loops look, sweep and decide at each.
func (h *house) long(steps int, step time.Duration) {
	h.t.Helper()
	for range steps {
		h.later(step)
		h.swept()
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *house) censuses() int {
	h.tf.mu.Lock()
	defer h.tf.mu.Unlock()
	return len(h.tf.asked)
}

// A double that boots for long is destroyed when it has booted.
func TestBootingDoubleIsDestroyed(t *testing.T) {
	h := newHouse(t, pool(1, 3))
	h.tf.fail = func(ws state.Workspace, _ func(state.ApplyEvent)) {
		h.tf.mu.Lock()
		defer h.tf.mu.Unlock()
		if h.tf.fail != nil {
			h.tf.make(ws.Stack.Name, ws.Servers[0].Name, "double", state.FoundBooting)
		}
		h.tf.fail = nil
	}
	h.pass()
	h.start()
	h.until("the double has a record", func() bool { return len(h.servers()) == 2 })
	h.long(6, 10*time.Second)
	if there := h.tf.there(); len(there) != 2 {
		t.Errorf("a booting device was destroyed: %v", there)
	}
	h.set(func(f *state.Found) { f.State = state.FoundActive })
	h.long(10, 10*time.Second)
	h.ages("it is destroyed", func() bool { return len(h.tf.there()) == 1 && len(h.servers()) == 1 })
}

// What was held for a person stays so, also when a list shows nothing for a
// while, before it was first seen or after.
func TestHeldDevicesStayHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first bool
	}{{"nothing is shown at first", true}, {"nothing is shown later", false}} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, pool(0, 4))
			if _, err := h.store.Instance(t.Context(), "i-1"); err != nil {
				t.Fatal(err)
			}
			h.start()
			show := func() {
				h.tf.mu.Lock()
				defer h.tf.mu.Unlock()
				h.tf.make("old", "agent-aaaaaaaa", "1", state.FoundActive)
				h.tf.make("old", "agent-bbbbbbbb", "2", state.FoundActive)
			}
			if !tt.first {
				show()
				h.swept()
			}
			h.tf.mu.Lock()
			h.tf.provider = nil
			h.tf.mu.Unlock()
			h.swept()
			show()
			for range 5 {
				h.wait(h.sweep.Confirm)
				h.swept()
				h.later(time.Second)
			}
			if audit := h.swept(); len(audit.Findings) != 2 || !audit.Findings[0].Held || len(h.servers()) != 0 {
				t.Errorf("audit %+v, servers %v", audit, h.phases())
			}
		})
	}
}

// Nothing is tried again and again without a pause: neither a destruction of
// what is leaving already, nor an adoption, nor a sweep.
func TestFailuresDoNotSpin(t *testing.T) {
	spins := func(t *testing.T, h *house, most int, count func() int) {
		t.Helper()
		before := count()
		time.Sleep(300 * time.Millisecond) // of a clock that stands still
		if n := count() - before; n > most {
			t.Errorf("tried %d times in an instant", n)
		}
	}
	applies := func(h *house) func() int { return func() int { _, n := h.tf.runs(); return n } }
	t.Run("a device that is leaving", func(t *testing.T) {
		h := newHouse(t, pool(0, 1))
		s := h.oneRuns()
		h.settledStack()
		h.tf.mu.Lock()
		h.tf.apply = func(state.Workspace, map[string]state.Device) error { return errBroken }
		h.tf.mu.Unlock()
		h.set(func(f *state.Found) { f.State = state.FoundLeaving })
		if err := h.rec.Destroy(t.Context(), s.Name, true, "octocat"); err != nil {
			t.Fatal(err)
		}
		spins(t, h, 1, applies(h))
	})
	t.Run("an adoption that fails", func(t *testing.T) {
		h := newHouse(t, pool(1, 1))
		h.forget(state.FoundActive)
		h.pass()
		h.tf.mu.Lock()
		forget := h.tf.fail
		h.tf.fail = func(ws state.Workspace, on func(state.ApplyEvent)) {
			if len(ws.Imports) == 0 {
				forget(ws, on)
				return
			}
			h.tf.mu.Lock()
			defer h.tf.mu.Unlock()
			h.tf.apply = func(state.Workspace, map[string]state.Device) error { return errBroken }
		}
		h.tf.mu.Unlock()
		h.start()
		h.until("it was tried", func() bool { return applies(h)() == 2 })
		spins(t, h, 0, applies(h))
	})
	t.Run("a list that cannot be read", func(t *testing.T) {
		h := newHouse(t, pool(0, 4))
		h.tf.make("old", "agent-aaaaaaaa", "1", state.FoundActive)
		h.swept()
		h.wait(h.sweep.Confirm + time.Second)
		h.tf.mu.Lock()
		h.tf.census = errBroken
		h.tf.mu.Unlock()
		go h.sweep.Run(t.Context())
		spins(t, h, 1, h.censuses)
	})
}

// What fails again and again is left alone for longer each time.
func TestFailuresBackOff(t *testing.T) {
	t.Run("destructions", func(t *testing.T) {
		h := newHouse(t, pool(0, 1))
		s := h.oneRuns()
		h.settledStack()
		h.tf.mu.Lock()
		h.tf.apply = func(state.Workspace, map[string]state.Device) error { return errBroken }
		h.tf.mu.Unlock()
		if err := h.rec.Destroy(t.Context(), s.Name, true, "octocat"); err != nil {
			t.Fatal(err)
		}
		for range 120 {
			h.later(11 * time.Second)
			time.Sleep(5 * time.Millisecond)
		}
		if _, n := h.tf.runs(); n > 12 {
			t.Errorf("%d tries in 22 minutes", n)
		}
	})
	t.Run("refused plans", func(t *testing.T) {
		h := newHouse(t, pool(1, 1))
		h.tf.plan = func(ws state.Workspace, p *state.Plan) error {
			p.Changes = append(p.Changes, state.Change{Address: `module.devices.x.y["other"]`, Actions: []string{"delete"}})
			return nil
		}
		h.pass()
		h.start()
		for range 120 {
			h.later(11 * time.Second)
			time.Sleep(5 * time.Millisecond)
		}
		if planned, _ := h.tf.runs(); planned > 12 || h.censuses() > 12 {
			t.Errorf("%d plans and %d censuses in 22 minutes", planned, h.censuses())
		}
	})
}

// A list that shows nothing for a moment verifies no destruction.
func TestEmptyListVerifiesNothing(t *testing.T) {
	h := newHouse(t, pool(3, 3))
	h.pass()
	h.start()
	h.until("three run", func() bool { return h.phases()[state.Running] == 3 && runsIn(t, h, state.RunApplied) == 1 })
	h.settledStack()
	h.tf.mu.Lock()
	all := slices.Clone(h.tf.provider)
	h.tf.denied, h.tf.provider = true, nil
	h.tf.mu.Unlock()
	name, before := h.servers()[0].Name, h.censuses()
	if err := h.rec.Destroy(t.Context(), name, true, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.until("it was looked for", func() bool { return h.censuses() > before })
	h.later(5 * time.Second)
	h.tf.mu.Lock()
	h.tf.denied, h.tf.provider = false, all
	h.tf.mu.Unlock()
	if s, err := h.store.Server(t.Context(), name); err != nil || s.Phase != state.Stopping {
		t.Errorf("server %+v, %v", s, err)
	}
	h.ages("it is destroyed in truth", func() bool { return len(h.tf.there()) == 2 && len(h.servers()) == 2 })
}

// A device that no longer carries our tag is never destroyed.
func TestTakenDeviceIsLeftAlone(t *testing.T) {
	h := newHouse(t, pool(0, 2))
	s := h.oneRuns()
	h.settledStack()
	h.set(func(f *state.Found) { f.Instance = "i-2" })
	h.swept()
	h.queue.set()
	for _, force := range []bool{false, true} {
		if err := h.rec.Destroy(t.Context(), s.Name, force, "octocat"); state.CodeOf(err) != state.Conflict {
			t.Errorf("err = %v", err)
		}
		h.long(5, time.Minute)
	}
	if there := h.tf.there(); len(there) != 1 {
		t.Errorf("devices %v", there)
	}
	h.set(func(f *state.Found) { f.Instance = "i-1" })
	h.long(3, time.Minute)
	h.long(4, time.Minute)
	h.ages("it goes when it is ours again", func() bool { return len(h.tf.there()) == 0 })
}

// A fleet whose every machine is gone is replaced in the end.
func TestMissingFleetIsReplaced(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.pass()
	h.start()
	h.until("one runs", func() bool { return h.phases()[state.Running] == 1 && runsIn(t, h, state.RunApplied) == 1 })
	first := h.servers()[0].Name
	h.settledStack()
	h.tf.mu.Lock()
	h.tf.provider = nil
	h.tf.mu.Unlock()
	h.long(10, time.Minute)
	if s := h.servers()[0]; s.Name != first || s.Phase != state.Running {
		t.Errorf("believed too early: %+v", s)
	}
	h.long(40, time.Minute)
	h.ages("another works", func() bool { s := h.servers(); return len(s) == 1 && s[0].Name != first && s[0].Phase == state.Running })
}

// A device that never boots is not capacity for ever.
func TestDeviceThatNeverBoots(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	h.forget(state.FoundBooting)
	h.queue.set(waiting(1)...)
	h.pass()
	h.start()
	h.until("it is adopted", func() bool { return h.phases()[state.Created] == 1 })
	h.ages("it is given up", func() bool { return h.phases()[state.Created] == 0 })
	if s := h.servers()[0]; s.Phase != state.Failed || s.Error == "" {
		t.Errorf("server %+v", s)
	}
}

// One device that cannot be adopted keeps no other from being destroyed.
func TestUnadoptableDeviceHoldsNothingUp(t *testing.T) {
	h := newHouse(t, pool(0, 3))
	h.queue.set(waiting(3)...)
	h.start()
	h.pass()
	h.until("three run", func() bool { return h.phases()[state.Running] == 3 && runsIn(t, h, state.RunApplied) == 1 })
	h.settledStack()
	servers := h.servers()
	h.tf.mu.Lock()
	delete(h.tf.states[servers[0].Stack], servers[0].Name)
	h.tf.plan = func(ws state.Workspace, _ *state.Plan) error {
		if len(ws.Imports) > 0 {
			return errBroken
		}
		return nil
	}
	h.tf.mu.Unlock()
	h.queue.set(working(servers[0].Name)...)
	for _, s := range servers[1:] {
		if err := h.rec.Destroy(t.Context(), s.Name, true, "octocat"); err != nil {
			t.Fatal(err)
		}
	}
	h.long(20, time.Minute)
	h.ages("the others are gone", func() bool { return len(h.tf.there()) == 1 })
}

// A server whose create was thought not to have begun, and whose device is
// found, is not created again.
func TestPendingServerWithADevice(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.tf.idle = true
	h.tf.apply = func(ws state.Workspace, _ map[string]state.Device) error {
		h.tf.apply = nil
		h.tf.make(ws.Stack.Name, ws.Servers[0].Name, "first", state.FoundActive)
		return errBroken
	}
	h.pass()
	h.start()
	h.until("the run is discarded", func() bool { return runsIn(t, h, state.RunDiscarded) == 1 })
	h.until("it is adopted", func() bool { h.conv.Poke(); return h.servers()[0].ID == "first" })
	h.tf.mu.Lock()
	h.tf.idle = false
	h.tf.mu.Unlock()
	h.ages("its state knows it", func() bool { h.tf.mu.Lock(); defer h.tf.mu.Unlock(); return len(h.tf.states[h.tf.planned[0]]) == 1 })
	if there := h.tf.there(); !slices.Equal(there, []string{"first"}) {
		t.Errorf("devices %v", there)
	}
}

// A run that was interrupted clears no backoff, and looking at what boots
// raises nothing.
func TestNothingIsForgottenOrRaisedInVain(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.forget(state.FoundBooting)
	h.pass()
	h.start()
	h.until("it is adopted", func() bool { return h.phases()[state.Created] == 1 })
	h.until("and in the state", func() bool { return runsIn(t, h, state.RunApplied) == 1 })
	before, err := h.store.Stacks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		h.later(10 * time.Second)
		time.Sleep(5 * time.Millisecond)
	}
	after, err := h.store.Stacks(t.Context())
	if err != nil || after[0].Generation != before[0].Generation {
		t.Errorf("generation %d, was %d: %v", after[0].Generation, before[0].Generation, err)
	}
	snap, err := h.store.Snapshot(t.Context(), h.clock())
	if err != nil || len(snap.Backoffs) != 1 {
		t.Errorf("backoffs %v, %v", snap.Backoffs, err)
	}
}
