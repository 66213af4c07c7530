package reconciler_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

func TestQueueToServersAndBack(t *testing.T) {
	h := newHouse(t, pool(0, 10))
	h.queue.set(waiting(4)...)
	h.pass()
	h.start()
	h.until("four servers run", func() bool { return h.phases()[state.Running] == 4 })
	stacks, err := h.store.Stacks(t.Context())
	if err != nil || len(stacks) != 2 {
		t.Fatalf("4 servers in stacks of at most 3: %d stacks, %v", len(stacks), err)
	}
	names := map[string]bool{}
	for _, s := range h.servers() {
		names[s.Name] = true
		if s.ID != "id-"+s.Name || s.Address == "" || s.Started.IsZero() || s.Provider != "packet" || s.Capacity != 1 {
			t.Errorf("server %+v", s)
		}
	}
	if len(names) != 4 {
		t.Errorf("names %v are not unique", names)
	}

	h.queue.set()
	h.pass() // seen idle
	h.pass() // drains: idle for longer than 0
	h.pass() // quiet once
	h.pass() // quiet twice: stops
	h.conv.Poke()
	h.ages("no server is left", func() bool { return len(h.servers()) == 0 })
}

func TestNothingToDoStartsNoTerraform(t *testing.T) {
	h := newHouse(t, pool(1, 2))
	h.pass()
	h.start()
	h.until("the minimum runs", func() bool { return h.phases()[state.Running] == 1 })
	for range 5 {
		h.pass()
		h.conv.Poke()
	}
	if planned, applied := h.tf.runs(); planned != 1 || applied != 1 {
		t.Errorf("%d plans and %d applies; want one of each", planned, applied)
	}
	before, _ := h.store.Decisions(t.Context(), 0, 100)
	h.pass()
	after, _ := h.store.Decisions(t.Context(), 0, 100)
	if len(before) != len(after) {
		t.Errorf("a pass that found nothing new recorded a decision")
	}
}

// What has come is remembered from pass to pass, and an explanation tells what a
// pass decides by it.
func TestLearnedBuffer(t *testing.T) {
	p := pool(1, 10)
	p.LearnBuffer = true
	h := newHouse(t, p)
	h.pass()
	h.wait(time.Minute)
	h.start()
	h.until("the minimum runs", func() bool { return h.phases()[state.Running] == 1 })
	h.queue.set(waiting(3)...)
	h.pass()
	h.queue.set() // they have run meanwhile
	h.wait(30 * time.Second)
	d := h.pass()
	if !strings.Contains(d.Pools[0].Reason, "3 of buffer") || !strings.Contains(d.Pools[0].Reason, "nine of ten spans") {
		t.Errorf("the pass says %q", d.Pools[0].Reason)
	}
	e, err := h.rec.Explain(t.Context())
	if err != nil || !strings.Contains(e.Pools[0].Reason, "3 of buffer") {
		t.Errorf("explained as %+v, %v", e.Pools, err)
	}
}

func TestFailedReadDecidesNothing(t *testing.T) {
	h := newHouse(t, pool(2, 4))
	h.queue.err = errBroken
	if _, err := h.rec.Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "build queue") {
		t.Errorf("err = %v", err)
	}
	if n := len(h.servers()); n != 0 {
		t.Errorf("%d servers were made", n)
	}
}

// What a person orders is bounded as what the queue asks for is.
func TestOrderWithinTheBudgets(t *testing.T) {
	p := pool(0, 4)
	p.Budget, p.Candidates[0].Price = 1, 5
	h := newHouse(t, p)
	if _, err := h.rec.Create(t.Context(), "", "octocat"); state.CodeOf(err) != state.Conflict || !strings.Contains(err.Error(), "budget of 1.00 a day") {
		t.Errorf("beyond the day's budget: %v", err)
	}
	h = newHouse(t, pool(0, 4))
	h.pools.Max = 1
	if _, err := h.rec.Create(t.Context(), "", "octocat"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.rec.Create(t.Context(), "", "octocat"); state.CodeOf(err) != state.Conflict || !strings.Contains(err.Error(), "maximum of 1 in all pools") {
		t.Errorf("beyond the maximum of all pools: %v", err)
	}
}

func TestOrders(t *testing.T) {
	h := newHouse(t, pool(0, 2))
	ctx := t.Context()
	made, err := h.rec.Create(ctx, "", "octocat")
	if err != nil || made.Phase != state.Pending {
		t.Fatalf("create: %+v, %v", made, err)
	}
	if _, err := h.rec.Create(ctx, "no such", "octocat"); state.CodeOf(err) != state.NotFound {
		t.Errorf("unknown pool: %v", err)
	}
	if _, err := h.rec.Create(ctx, "default", "octocat"); err != nil {
		t.Errorf("second: %v", err)
	}
	if _, err := h.rec.Create(ctx, "default", "octocat"); state.CodeOf(err) != state.Conflict {
		t.Errorf("above the maximum: %v", err)
	}
	if err := h.rec.Destroy(ctx, "no such", false, "octocat"); state.CodeOf(err) != state.NotFound {
		t.Errorf("unknown server: %v", err)
	}
	// A server whose create has not begun is dropped, and no terraform runs for it.
	if err := h.rec.Destroy(ctx, made.Name, false, "octocat"); err != nil {
		t.Fatal(err)
	}
	if s, err := h.store.Server(ctx, made.Name); err != nil || s.Phase != state.Stopped {
		t.Errorf("pending, destroyed: %+v, %v", s, err)
	}
	h.start()
	h.until("the other runs", func() bool { return h.phases()[state.Running] == 1 })
	other := h.servers()[0]
	h.queue.set(working(other.Name)...)
	if err := h.rec.Destroy(ctx, other.Name, false, "octocat"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.pass()
	}
	if s, _ := h.store.Server(ctx, other.Name); s.Phase != state.Shutdown || !s.Condemned {
		t.Errorf("a server that works was not left to drain: %+v", s)
	}
	if err := h.rec.Destroy(ctx, other.Name, true, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.conv.Poke()
	h.ages("force destroys it whatever it runs", func() bool { return len(h.servers()) == 0 })
	if err := h.rec.Destroy(ctx, other.Name, true, "octocat"); err != nil {
		t.Errorf("destroying what is gone: %v", err)
	}
}

func TestPause(t *testing.T) {
	h := newHouse(t, pool(0, 2))
	if err := h.rec.Pause(t.Context(), "octocat"); err != nil {
		t.Fatal(err)
	}
	h.queue.set(waiting(2)...)
	if d := h.pass(); d.Pools[0].Held != "paused" || len(h.servers()) != 0 {
		t.Errorf("paused: %+v", d.Pools[0])
	}
	if err := h.rec.Resume(t.Context(), "octocat"); err != nil {
		t.Fatal(err)
	}
	if h.pass(); len(h.servers()) != 2 {
		t.Errorf("resumed: %d servers", len(h.servers()))
	}
}

func TestHealth(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	answered := h.passThatWaits()
	if err := h.rec.Health(); err != nil {
		t.Errorf("a pass has begun: %v", err)
	}
	h.wait(time.Hour)
	if err := h.rec.Health(); err == nil || !strings.Contains(err.Error(), "hung") {
		t.Errorf("a pass hangs: %v", err)
	}
	answered()
	if err := h.rec.Health(); err != nil {
		t.Errorf("no pass runs: %v", err)
	}
}

// An outage is told when it begins and when it ends, not at every pass.
func TestOutageIsToldOnce(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	var log strings.Builder
	h.rec.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.rec.Interval = time.Millisecond
	h.queue.err = errBroken
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.rec.Run(ctx) }()
	reads := func(n int) {
		h.queue.mu.Lock()
		n += h.queue.reads
		h.queue.mu.Unlock()
		h.until("the queue is read", func() bool { h.queue.mu.Lock(); defer h.queue.mu.Unlock(); return h.queue.reads >= n })
	}
	reads(5)
	h.queue.mu.Lock()
	h.queue.err = nil
	h.queue.mu.Unlock()
	reads(3)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if told, again := strings.Count(log.String(), "nothing is decided"), strings.Count(log.String(), "made again"); told != 1 || again != 1 {
		t.Errorf("told %d times, and its end %d times:\n%s", told, again, log.String())
	}
}

// An order does not wait for a Drone server that does not answer.
func TestOrderDoesNotWaitForDrone(t *testing.T) {
	h := newHouse(t, pool(0, 1))
	answered := h.passThatWaits()
	if _, err := h.rec.Create(t.Context(), "", "octocat"); err != nil {
		t.Error(err)
	}
	answered()
}

// passThatWaits begins a pass whose question Drone answers when answered is
// called, which waits for its end.
func (h *house) passThatWaits() (answered func()) {
	asked, answer := make(chan struct{}), make(chan struct{})
	h.rec.Queue = slowQueue{asked, answer}
	ended := make(chan error, 1)
	go func() { _, err := h.rec.Pass(context.WithoutCancel(h.t.Context())); ended <- err }()
	<-asked
	return func() {
		close(answer)
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	}
}

// slowQueue answers when it is told to.
type slowQueue struct{ asked, answer chan struct{} }

func (q slowQueue) Queue(context.Context) ([]state.Stage, error) {
	close(q.asked)
	<-q.answer
	return nil, nil
}

// An explanation says what the next pass does, and changes nothing; once a
// server has run, it says when the next one is expected.
func TestExplainIsWhatAPassDoes(t *testing.T) {
	h := newHouse(t, pool(0, 10))
	h.queue.set(waiting(1)...)
	e, err := h.rec.Explain(t.Context())
	if err != nil || e.Pools[0].Create != 1 || e.Stages[0].Place != state.StageComing || !e.Stages[0].Expected.IsZero() || len(h.servers()) != 0 {
		t.Fatalf("%v: %+v", err, e)
	}
	d := h.pass()
	if d.Pools[0] != e.Pools[0].PoolDecision {
		t.Errorf("explained %+v, decided %+v", e.Pools[0], d.Pools[0])
	}
	h.start()
	h.until("it runs", func() bool { return h.phases()[state.Running] == 1 })
	h.queue.set(waiting(3)...)
	e, err = h.rec.Explain(t.Context())
	if err != nil || e.Pools[0].Lead.Of != 1 || e.Stages[0].Place != state.StageReady || e.Stages[1].Place != state.StageComing || e.Stages[1].Estimate == "" || !e.Stages[1].Expected.Equal(e.At) {
		t.Errorf("%v: %+v", err, e)
	}
	h.queue.err = errBroken
	if _, err := h.rec.Explain(t.Context()); err == nil || !strings.Contains(err.Error(), "build queue") {
		t.Errorf("err = %v", err)
	}
}
