package reconciler

import (
	"context"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"hangar/state"
)

// Converger is the slow loop.
type Converger struct {
	Store     ConvergerStore
	Terraform Terraform
	Queue     Queue // looked at once more before a server is destroyed

	Instance string // whose devices are ours
	SSH      bool   // an active device is not ready yet: the agents' loop tells when it is

	Approval state.Approval // which runs wait for a person
	Check    Check          // asked about plans that create or destroy; nil: nobody is

	Plans   int           // plans at once, in each lane, and looks at once
	Applies int           // applies at once, in each lane
	Settle  time.Duration // for how long after a run a device of it may yet appear
	Boot    time.Duration // for how long an adopted device may boot
	Retry   time.Duration // from a first failure to the second try; longer each time

	Now      func() time.Time
	Log      *slog.Logger
	Finished func()                   // called when a run ended or a server's phase changed
	Unclear  func()                   // called when there may be devices that no stack accounts for
	Guarded  func(took time.Duration) // called when the guard has judged a plan
	// Ended is called when the end of a run is recorded, Looked when it is what a
	// look tells of servers.
	Ended  func(run state.Run, f state.Finish)
	Looked func(seen []state.Sighting)

	wake chan struct{}
	work sync.WaitGroup

	mu          sync.Mutex
	inFlight    map[string]bool      // stacks with a run
	applying    map[string]bool      // those of them whose apply has begun
	looking     map[string]bool      // stacks with a look
	failedLooks map[string]int       // in a row, by stack
	making      map[string]makingRun // stacks whose creates are being prepared
}

// makingRun is a stack between its first look and its apply.
type makingRun struct {
	pool    string
	created time.Time
}

// lane bounds the terraform processes of one kind of work. Creates have a lane
// of their own, so that a destroy never waits behind them.
type lane struct{ plans, applies *turns }

// NewConverger returns a Converger with the defaults of the settings that have
// one.
func NewConverger(store ConvergerStore, terraform Terraform, queue Queue) *Converger {
	return &Converger{
		Store: store, Terraform: terraform, Queue: queue,
		Plans: max(2, runtime.NumCPU()), Applies: 16, Settle: time.Minute, Boot: 30 * time.Minute, Retry: 10 * time.Second,
		Now: time.Now, Log: slog.Default(), Finished: func() {}, Unclear: func() {},
		Guarded: func(time.Duration) {}, Ended: func(state.Run, state.Finish) {}, Looked: func([]state.Sighting) {},
		wake:     make(chan struct{}, 1),
		inFlight: map[string]bool{}, applying: map[string]bool{}, looking: map[string]bool{}, failedLooks: map[string]int{}, making: map[string]makingRun{},
	}
}

// ready is the phase of a server whose device is active.
func (c *Converger) ready() state.Phase {
	if c.SSH {
		return state.Created
	}
	return state.Running
}

// Poke asks for a look at the store at once. It never blocks; pokes coalesce.
func (c *Converger) Poke() { poke(c.wake) }

// Run converges every stack that is due, several at once, until ctx ends; then
// it starts nothing new and waits for the applies in flight, which are never
// cancelled.
func (c *Converger) Run(ctx context.Context) error {
	defer c.work.Wait()
	if err := c.settle(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	creates, others, looks := c.newLane(), c.newLane(), make(chan struct{}, c.Plans)
	for ctx.Err() == nil {
		// The alarm is a safety net for a poke that was missed while the store
		// could not be read.
		wait := 30 * time.Second
		err := c.startLooks(ctx, looks)
		if err == nil {
			err = c.startAwaiting(ctx, creates, others)
		}
		if err == nil {
			err = c.start(ctx, creates, others)
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("no stack was looked at", "error", err)
			wait = patience
		}
		now := c.Now()
		if retry, err := c.Store.NextRetry(ctx, now); err == nil && !retry.IsZero() {
			wait = max(10*time.Millisecond, min(wait, retry.Sub(now)))
		}
		alarm := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-alarm.C:
		case <-c.wake:
		}
		alarm.Stop()
	}
	c.tellWhatIsLeft()
	return nil
}

// tellWhatIsLeft says what a stopping hangar waits for.
func (c *Converger) tellWhatIsLeft() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inFlight) > 0 {
		c.Log.Warn("stopping: nothing new is begun; waiting for what is in flight, since an apply that is cut off forgets machines (a second signal ends hangar at once)",
			"stacks", slices.Sorted(maps.Keys(c.inFlight)))
	}
}

func (c *Converger) newLane() lane {
	return lane{plans: newTurns(c.Plans), applies: newTurns(c.Applies)}
}

// start begins the work on every stack that is due and not in flight.
func (c *Converger) start(ctx context.Context, creates, others lane) error {
	due, err := c.Store.Due(ctx, c.Now())
	if err != nil {
		return err
	}
	for _, stack := range due {
		if !c.claim(stack) {
			continue
		}
		in := others
		if isNew(stack) {
			in = creates
		}
		c.work.Go(func() {
			err := c.converge(ctx, stack, in)
			c.release(stack.Name)
			c.again(stack.Name, err)
		})
	}
	return nil
}

// startLooks begins a look at every stack that is due for one. No run of a
// stack begins while it is looked at; in the course of an apply a look is
// possible, since it only judges what that has left in doubt.
func (c *Converger) startLooks(ctx context.Context, slots chan struct{}) error {
	due, err := c.Store.Looks(ctx, c.Now())
	if err != nil {
		return err
	}
	for _, stack := range due {
		if !c.claimLook(stack.Name) {
			continue
		}
		c.work.Go(func() {
			var err error
			if take(ctx, slots) {
				err = c.look(ctx, stack)
				<-slots
			}
			c.releaseLook(stack.Name)
			c.again(stack.Name, err)
		})
	}
	return nil
}

// again wakes the loop when the work on a stack has ended: at once, or, when
// it could not be done, after a while.
func (c *Converger) again(stack string, err error) {
	if err == nil {
		c.Poke()
		return
	}
	c.Log.Error("nothing is done to a stack", "stack", stack, "error", err, "again_in", patience)
	time.AfterFunc(patience, c.Poke)
}

// isNew says whether a stack is made for new servers, not for devices that
// are there already.
func isNew(s state.Stack) bool { return s.Applied == 0 && s.Tag == "" }

// patience is how long the loop waits when the store fails it.
const patience = 5 * time.Second

// claim takes a stack into flight. A stack of new servers is held back while
// an earlier one of its pool is being prepared: what is decided in the course
// of a burst then joins it, and the burst makes few stacks. Stacks of one
// decision go together.
func (c *Converger) claim(s state.Stack) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight[s.Name] || c.looking[s.Name] {
		return false
	}
	if isNew(s) {
		for _, m := range c.making {
			if m.pool == s.Pool && m.created.Before(s.Created) {
				return false
			}
		}
		c.making[s.Name] = makingRun{s.Pool, s.Created}
	}
	c.inFlight[s.Name] = true
	return true
}

func (c *Converger) claimLook(stack string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looking[stack] || c.inFlight[stack] && !c.applying[stack] {
		return false
	}
	c.looking[stack] = true
	return true
}

func (c *Converger) releaseLook(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.looking, stack)
}

// begun notes that a stack is being applied, and lets the next stacks of the
// pool begin.
func (c *Converger) begun(stack string) {
	c.mu.Lock()
	delete(c.making, stack)
	c.applying[stack] = true
	c.mu.Unlock()
	c.Poke()
}

// applied notes that terraform has ended.
func (c *Converger) applied(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.applying, stack)
}

func (c *Converger) release(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.making, stack)
	delete(c.inFlight, stack)
}

// take waits for a place among slots; it reports false when ctx ends first.
func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
