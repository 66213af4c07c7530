package reconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"hangar/state"
)

// converge takes one stack through one run: begin, plan, guard, last look,
// write-ahead, apply, finish.
func (c *Converger) converge(ctx context.Context, stack state.Stack, in lane) {
	if !take(ctx, in.plans) {
		return
	}
	planning := true
	defer func() {
		if planning {
			<-in.plans
		}
	}()
	run, ws, err := c.Store.BeginRun(ctx, stack.Name, c.Now())
	if err != nil {
		c.report(ctx, stack.Name, "begin the run", err)
		return
	}
	if run.ID == 0 { // nothing left to create or destroy
		c.Finished()
		return
	}
	log := c.Log.With("run", run.ID, "stack", run.Stack, "pool", run.Pool)
	log.Info("run", "phase", run.Phase, "create", len(run.Creates), "destroy", len(run.Deletes))

	f := c.prepare(ctx, run, ws, log)
	if f == nil {
		<-in.plans
		planning = false
		if !take(ctx, in.applies) {
			f = c.discarded(run, "hangar is stopping", time.Time{})
		} else {
			f = c.apply(ctx, run, ws)
			<-in.applies
		}
	}
	// What came of the run is recorded even when hangar is stopping.
	if err := c.finish(context.WithoutCancel(ctx), *f); err != nil {
		log.Error("the end of the run could not be recorded; it is read again at the next start", "error", err)
		return
	}
	if f.Error == "" && f.Unclean == "" {
		log.Info("run", "phase", f.Phase)
	} else {
		log.Warn("run", "phase", f.Phase, "error", f.Error, "unclean", f.Unclean, "again", f.RetryAt)
	}
	c.Finished()
}

// prepare plans and guards. It returns nil when the plan may be applied, and
// otherwise how the run ends.
func (c *Converger) prepare(ctx context.Context, run state.Run, ws state.Workspace, log *slog.Logger) *state.Finish {
	plan, err := c.Terraform.Plan(ctx, ws)
	if ctx.Err() != nil {
		return c.discarded(run, "hangar is stopping", time.Time{})
	}
	if err != nil {
		f := c.ended(run, state.RunErrored)
		f.Error = err.Error()
		f.Diagnostics = diagnosticsOf(err)
		f.RetryAt = c.retryAt(ws.Stack.Failures)
		return f
	}
	verdict, ok := Guard(Wanted{Resource: ws.Stack.Resource, Creates: run.Creates, Deletes: run.Deletes}, plan)
	if err := c.Store.Planned(ctx, run.ID, c.Now(), plan, verdict); err != nil {
		return c.discarded(run, "the plan could not be recorded: "+err.Error(), c.retryAt(ws.Stack.Failures))
	}
	log.Info("run", "phase", state.RunPlanned, "verdict", verdict)
	if !ok {
		f := c.ended(run, state.RunRefused)
		f.Verdict = verdict
		f.RetryAt = c.retryAt(ws.Stack.Failures)
		return f
	}
	return nil
}

// apply looks at the queue once more, writes down that it begins, applies, and
// returns how the run ends.
func (c *Converger) apply(ctx context.Context, run state.Run, ws state.Workspace) *state.Finish {
	if busy, err := c.lastLook(ctx, run, ws); err != nil {
		return c.discarded(run, "the queue could not be read before destroying: "+err.Error(), c.retryAt(ws.Stack.Failures))
	} else if len(busy) > 0 {
		return c.putBack(ctx, run, busy)
	}
	if err := c.Store.BeginApply(ctx, run.ID, c.Now()); state.CodeOf(err) == state.Conflict {
		return c.discarded(run, "what is wanted changed after it was planned", time.Time{})
	} else if err != nil {
		return c.discarded(run, "the apply could not be recorded: "+err.Error(), c.retryAt(ws.Stack.Failures))
	}
	c.prepared(run.Stack)
	c.Finished()

	// From here on nothing cancels: an apply that is cut off forgets machines.
	ctx = context.WithoutCancel(ctx)
	result, applyErr := c.Terraform.Apply(ctx, ws, len(run.Creates)+len(run.Deletes), func(e state.ApplyEvent) { c.news(ctx, e) })
	f := c.read(ctx, run, ws.Stack, applyErr)
	f.Log, f.Diagnostics = result.Log, result.Diagnostics
	return f
}

// read ends a run with what its stack's state shows, whatever became of the
// apply: applyErr is nil when terraform said that all went well.
func (c *Converger) read(ctx context.Context, run state.Run, stack state.Stack, applyErr error) *state.Finish {
	version, devices, readErr := c.Terraform.Read(ctx, stack)
	f := outcome(run, devices, applyErr, readErr)
	f.At = c.Now()
	if version != nil {
		version.Stack, version.Run, version.At = run.Stack, run.ID, f.At
		f.Version = version
	}
	if f.Unclean != "" && len(run.Creates) > 0 && !errors.Is(applyErr, errInterrupted) {
		f.Backoff = c.backoff(ctx, run.Pool, stack.Candidate, f.Error)
	}
	return &f
}

// backoff is for how long a candidate that has just failed is left alone: the
// longer, the more often it failed in a row.
func (c *Converger) backoff(ctx context.Context, pool, candidate, why string) *state.Backoff {
	b := state.Backoff{Pool: pool, Candidate: candidate, Error: why}
	snap, err := c.Store.Snapshot(ctx)
	if err != nil { // it counts as the first failure then
		c.Log.Warn("earlier failures of a candidate could not be read", "pool", pool, "candidate", candidate, "error", err)
	}
	for _, known := range snap.Backoffs {
		if known.Pool == pool && known.Candidate == candidate {
			b.Failures = known.Failures
		}
	}
	b.Until = c.retryAt(b.Failures)
	b.Failures++
	return &b
}

// lastLook returns the servers about to be destroyed that hold a stage after
// all. Without a way to stop a runner from taking work, it is what keeps the
// moment small in which a build could be killed.
func (c *Converger) lastLook(ctx context.Context, run state.Run, ws state.Workspace) ([]string, error) {
	if len(run.Deletes) == 0 {
		return nil, nil
	}
	stages, err := c.Queue.Queue(ctx)
	if err != nil {
		return nil, err
	}
	var busy []string
	for _, s := range stages {
		if slices.Contains(run.Deletes, s.Machine) && !slices.Contains(run.Forced, s.Machine) && !slices.Contains(busy, s.Machine) {
			busy = append(busy, s.Machine)
		}
	}
	return busy, nil
}

// putBack discards a run whose servers took a stage between the drain and the
// destruction, and takes them back into the stack.
func (c *Converger) putBack(ctx context.Context, run state.Run, busy []string) *state.Finish {
	reason := "took a stage before it was destroyed"
	moves := []state.Move{}
	for _, server := range busy {
		moves = append(moves, state.Move{Server: server, From: state.Stopping, To: state.Shutdown, Reason: reason})
	}
	if err := c.Store.Commit(ctx, state.Changes{At: c.Now(), Moves: moves}); err != nil {
		return c.discarded(run, "busy servers could not be taken back: "+err.Error(), c.retryAt(0))
	}
	return c.discarded(run, strings.Join(busy, ", ")+" "+reason, time.Time{})
}

// news records what terraform tells of a server while its siblings still boot.
func (c *Converger) news(ctx context.Context, e state.ApplyEvent) {
	at := c.Now()
	err := c.Store.Progress(ctx, e.Server, state.Progress{Action: e.Action, Elapsed: e.Elapsed}, at)
	if err == nil && e.Done && e.Action == "create" {
		o := state.Outcome{Server: e.Server, Phase: state.Created, Device: &state.Device{ID: e.ID}, Reason: "its device exists"}
		if e.Device != nil {
			o = state.Outcome{Server: e.Server, Phase: state.Running, Device: e.Device, Reason: "its device is " + e.Device.State}
		}
		err = c.Store.Advance(ctx, o, at)
		c.Finished()
	}
	if err != nil { // told again when the run finishes
		c.Log.Warn("news of a server could not be recorded", "server", e.Server, "error", err)
	}
}

func (c *Converger) finish(ctx context.Context, f state.Finish) error {
	err := c.Store.Finish(ctx, f)
	for try := 1; err != nil && try < 4; try++ { // a full disk or a long reader may pass
		time.Sleep(time.Duration(try) * 100 * time.Millisecond)
		err = c.Store.Finish(ctx, f)
	}
	return err
}

func (c *Converger) ended(run state.Run, phase state.RunPhase) *state.Finish {
	return &state.Finish{Run: run.ID, Phase: phase, At: c.Now()}
}

func (c *Converger) discarded(run state.Run, why string, retryAt time.Time) *state.Finish {
	f := c.ended(run, state.RunDiscarded)
	f.Error, f.RetryAt = why, retryAt
	return f
}

// retryAt is when something that has now failed once more may be tried again:
// 10 s after the first failure, twice as long after each further one, at most
// 15 minutes.
func (c *Converger) retryAt(failures int) time.Time {
	return c.Now().Add(min(15*time.Minute, 10*time.Second<<min(failures, 10)))
}

func (c *Converger) report(ctx context.Context, stack, what string, err error) {
	if ctx.Err() == nil && state.CodeOf(err) != state.Conflict {
		c.Log.Error(what, "stack", stack, "error", err)
	}
}

// settle ends the runs that an earlier process left unfinished. One that was
// not applying has done nothing; one that was is judged by the state it left.
func (c *Converger) settle(ctx context.Context) error {
	runs, err := c.Store.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		f := c.discarded(run, "hangar ended before it was applied", time.Time{})
		if run.Phase == state.RunApplying {
			stack, err := c.Store.Stack(ctx, run.Stack)
			if err != nil {
				return fmt.Errorf("settle run %d: %w", run.ID, err)
			}
			f = c.read(ctx, run, stack, errInterrupted)
			f.Phase = state.RunInterrupted
		}
		if err := c.Store.Finish(ctx, *f); err != nil {
			return fmt.Errorf("settle run %d: %w", run.ID, err)
		}
		c.Log.Warn("run", "run", run.ID, "stack", run.Stack, "phase", f.Phase, "unclean", f.Unclean)
	}
	return nil
}
