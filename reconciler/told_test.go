package reconciler_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"hangar/state"
)

// ear keeps what the loops tell, apart from what wakes them.
type ear struct {
	mu      sync.Mutex
	reads   int
	passes  []state.Decision
	stages  int // of the last pass
	servers int
	guarded int
	ended   []state.RunPhase
	looked  []state.Sighting
}

// listen has an ear hear the loops of a house.
func (h *house) listen() *ear {
	e := &ear{}
	locked := func(note func()) { e.mu.Lock(); defer e.mu.Unlock(); note() }
	h.rec.QueueRead = func() { locked(func() { e.reads++ }) }
	h.rec.Decided = func(stages []state.Stage, servers []state.Server, d state.Decision) {
		locked(func() { e.passes, e.stages, e.servers = append(e.passes, d), len(stages), len(servers) })
	}
	h.conv.Guarded = func(time.Duration) { locked(func() { e.guarded++ }) }
	h.conv.Ended = func(_ state.Run, f state.Finish) { locked(func() { e.ended = append(e.ended, f.Phase) }) }
	h.conv.Looked = func(seen []state.Sighting) { locked(func() { e.looked = append(e.looked, seen...) }) }
	return e
}

// A pass is told once, with what it saw, also when it changes nothing; a read
// of the queue also when nothing could be decided.
func TestPassesAreTold(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	e := h.listen()
	h.queue.set(waiting(1)...)
	h.pass()
	h.pass()
	if e.reads != 2 || len(e.passes) != 2 || !e.passes[0].Changed() || e.passes[1].Changed() || e.stages != 1 || e.servers != 1 {
		t.Errorf("%d reads, %d passes, the last with %d stages and %d servers", e.reads, len(e.passes), e.stages, e.servers)
	}
	h.store.Close()
	if _, err := h.rec.Pass(t.Context()); err == nil || e.reads != 3 || len(e.passes) != 2 {
		t.Errorf("without records: %v, %d reads, %d passes", err, e.reads, len(e.passes))
	}
	h.queue.err = errBroken
	if _, err := h.rec.Pass(t.Context()); err == nil || e.reads != 3 {
		t.Errorf("without a queue: %v, %d reads", err, e.reads)
	}
}

// Runs are told with how they ended, and looks with what they found: here a
// machine that terraform forgot.
func TestRunsAndLooksAreTold(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	e := h.listen()
	h.forget(state.FoundActive)
	h.pass()
	h.start()
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 })
	h.agree()
	h.until("both runs were told", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.ended) == 2 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.guarded != 2 || !slices.Equal(e.ended, []state.RunPhase{state.RunErrored, state.RunApplied}) {
		t.Errorf("%d plans were judged, runs ended as %v", e.guarded, e.ended)
	}
	if !slices.ContainsFunc(e.looked, func(s state.Sighting) bool { return s.Seen.ID == "" && s.Device.ID == "id-"+s.Seen.Name }) {
		t.Errorf("the adoption was not told: %+v", e.looked)
	}
}

// A run that an earlier process left is told when the next one has judged it.
func TestInterruptedRunIsTold(t *testing.T) {
	h := newHouse(t, pool(1, 1))
	h.pass()
	stack := h.servers()[0].Stack
	run, _, err := h.store.BeginRun(t.Context(), stack, h.clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.Planned(t.Context(), run.ID, h.clock(), state.Plan{}, "allowed"); err != nil {
		t.Fatal(err)
	}
	if err := h.store.BeginApply(t.Context(), run.ID, h.clock()); err != nil {
		t.Fatal(err)
	}
	h.restart()
	e := h.listen()
	h.start()
	h.until("it was told", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.ended) > 0 })
	if e.ended[0] != state.RunInterrupted {
		t.Errorf("told as %s", e.ended[0])
	}
}

// What a sweep makes of machines that it found is told.
func TestSweepTellsWhatItMakes(t *testing.T) {
	h := newHouse(t, pool(0, 2))
	var made []state.Server
	h.sweep.Made = func(servers []state.Server) { made = append(made, servers...) }
	h.tf.mu.Lock()
	h.tf.make("s9", "agent-zzzzzzzz", "id-9", state.FoundActive)
	h.tf.mu.Unlock()
	h.swept()
	h.wait(h.sweep.Confirm)
	h.swept()
	if len(made) != 1 || made[0].ID != "id-9" || !made[0].Condemned {
		t.Errorf("made %+v", made)
	}
}
