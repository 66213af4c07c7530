package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/state"
)

// planTime is how long rendering, init and plan may take: a person's lock for
// five minutes, and the download of a provider.
const planTime = 15 * time.Minute

// converge takes one stack through one run: begin, plan, guard, check, last look,
// write-ahead, apply, finish. A run that needs a person's approval is left
// planned; see approval.go. An error means that nothing began.
func (c *Converger) converge(ctx context.Context, stack state.Stack, in lane) error {
	if !in.plans.take(ctx, stack.Pool) {
		return nil
	}
	planning := true
	defer func() {
		if planning {
			in.plans.give()
		}
	}()
	run, ws, err := c.Store.BeginRun(ctx, stack.Name, c.Now())
	if state.CodeOf(err) == state.Conflict || ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	if run.ID == 0 { // nothing left to create, destroy or adopt
		c.rest(ctx, stack.Name)
		c.Finished()
		return nil
	}
	log := c.Log.With("run", run.ID, "stack", run.Stack, "pool", run.Pool)
	log.Info("run", "phase", run.Phase, "create", len(run.Creates), "destroy", len(run.Deletes), "adopt", len(run.Imports))

	f := c.prepare(ctx, run, ws, log)
	if f == nil && c.Approval.Needs(run) {
		err := c.Store.Await(ctx, run.ID, c.Now())
		if err == nil {
			log.Info("run", "phase", state.RunPlanned, "waits", "for the approval of an admin: hangar approve, or hangar discard, "+strconv.FormatInt(run.ID, 10))
			c.Finished()
			return nil
		}
		f = c.discarded(run, "it could not be recorded that it waits: "+err.Error(), c.retryAt(ws.Stack.Failures))
	}
	if f == nil {
		in.plans.give()
		planning = false
		if in.applies.take(ctx, stack.Pool) {
			f = c.apply(ctx, run, ws)
			in.applies.give()
		} else {
			f = c.discarded(run, "hangar is stopping", time.Time{})
		}
	}
	c.conclude(ctx, run, f, log)
	return nil
}

// conclude records the end of a run, tells of it, and leaves its stack's folder
// at rest.
func (c *Converger) conclude(ctx context.Context, run state.Run, f *state.Finish, log *slog.Logger) {
	if err := c.finish(ctx, *f); err != nil {
		log.Error("the end of the run could not be recorded; its state is judged at the next start", "error", err)
		return
	}
	c.Ended(run, *f)
	c.rest(ctx, run.Stack)
	if f.Error == "" && f.Unclean == "" {
		log.Info("run", "phase", f.Phase)
	} else {
		log = log.With("phase", f.Phase, "error", f.Error)
		if f.Unclean != "" {
			log = log.With("unclean", f.Unclean)
		}
		if !f.RetryAt.IsZero() {
			log = log.With("again", f.RetryAt.UTC().Format(time.RFC3339))
		}
		log.Warn("run")
	}
	c.Finished()
}

// rest leaves a stack's folder such that a person's terraform plan there wants
// nothing that hangar does not: without import blocks, which are for one run
// only, and without servers of which the state knows nothing.
func (c *Converger) rest(ctx context.Context, stack string) {
	ws, err := c.Store.Rested(context.WithoutCancel(ctx), stack)
	if err == nil {
		err = c.Terraform.Rest(ws)
	}
	if err != nil {
		c.Log.Warn("a stack's folder could not be brought up to date", "stack", stack, "error", err)
	}
}

// prepare plans, guards and checks. It returns nil when the plan may be applied,
// and otherwise how the run ends.
func (c *Converger) prepare(ctx context.Context, run state.Run, ws state.Workspace, log *slog.Logger) *state.Finish {
	bounded, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	plan, err := c.Terraform.Plan(bounded, ws)
	if ctx.Err() != nil {
		return c.discarded(run, "hangar is stopping", time.Time{})
	}
	if err != nil {
		f := c.ended(run, state.RunErrored)
		f.Error, f.Timings = err.Error(), plan.Timings
		f.Diagnostics = diagnosticsOf(err)
		f.RetryAt = c.retryAt(ws.Stack.Failures)
		f.Servers = waiting(run, f.RetryAt, "could not be planned: "+f.Error)
		if len(run.Imports) > 0 { // perhaps what it was to adopt is gone
			f.LookAt = f.At
		}
		return f
	}
	began := c.Now()
	verdict, ok := Guard(Wanted{Resource: ws.Stack.Resource, Creates: run.Creates, Deletes: run.Deletes, Imports: run.Imports}, plan)
	took := c.Now().Sub(began)
	c.Guarded(took)
	plan.Timings.Guard = took.Seconds()
	refused := ""
	if ok {
		if refused, err = c.checked(ctx, run, &plan); ctx.Err() != nil {
			return c.discarded(run, "hangar is stopping", time.Time{})
		} else if err != nil {
			return c.unchecked(run, ws.Stack, err)
		}
		if refused != "" {
			verdict += "; " + refused
		}
	}
	if err := c.Store.Planned(ctx, run.ID, c.Now(), plan, verdict); err != nil {
		return c.discarded(run, "the plan could not be recorded: "+err.Error(), c.retryAt(ws.Stack.Failures))
	}
	log.Info("run", "phase", state.RunPlanned, "verdict", verdict)
	if !ok {
		f := c.ended(run, state.RunRefused)
		f.Verdict = verdict
		f.RetryAt = c.retryAt(ws.Stack.Failures)
		f.Servers = waiting(run, f.RetryAt, "the guard "+verdict)
		// Such a plan was made from a state that is not what the records say:
		// state and devices are looked at before another one is made.
		f.LookAt, f.Unclean = f.At, fmt.Sprintf("run %d was %s", run.ID, verdict)
		return f
	}
	if refused != "" {
		f := c.ended(run, state.RunRefused)
		f.Verdict = verdict
		f.RetryAt = c.retryAt(ws.Stack.Failures)
		f.Servers = waiting(run, f.RetryAt, "was "+refused)
		return f
	}
	return nil
}

// apply looks at the queue once more, writes down that it begins, applies, and
// returns how the run ends.
func (c *Converger) apply(ctx context.Context, run state.Run, ws state.Workspace) *state.Finish {
	if busy, err := c.lastLook(ctx, run); err != nil {
		return c.discarded(run, "the queue could not be read before destroying: "+err.Error(), c.retryAt(ws.Stack.Failures))
	} else if len(busy) > 0 {
		return c.putBack(ctx, run, busy)
	}
	if err := c.Store.BeginApply(ctx, run.ID, c.Now()); state.CodeOf(err) == state.Conflict {
		return c.discarded(run, "what is wanted changed after it was planned", time.Time{})
	} else if err != nil {
		return c.discarded(run, "the apply could not be recorded: "+err.Error(), c.retryAt(ws.Stack.Failures))
	}
	c.begun(run.Stack)
	c.Finished()

	// From here on nothing cancels: an apply that is cut off forgets machines.
	ctx = context.WithoutCancel(ctx)
	heard := &news{Converger: c, ctx: ctx, run: run, stack: ws.Stack}
	result, err := c.Terraform.Apply(ctx, ws, len(run.Creates)+len(run.Deletes)+len(run.Imports), heard.hear)
	c.applied(run.Stack)
	var f *state.Finish
	if err != nil && !result.Begun {
		f = c.notBegun(run, ws.Stack, err)
	} else {
		f = c.read(ctx, run, ws.Stack, result.Diagnostics, err, heard.backoff)
	}
	f.Log, f.Diagnostics = result.Log, result.Diagnostics
	return f
}

// notBegun ends a run whose terraform ended before it touched anything: a
// person holds the lock, or terraform or its provider did not start.
func (c *Converger) notBegun(run state.Run, stack state.Stack, err error) *state.Finish {
	f := c.discarded(run, err.Error(), c.retryAt(stack.Failures))
	f.Servers = waiting(run, f.RetryAt, "terraform did not begin: "+f.Error)
	f.LookAt = f.At // in case it did
	return f
}

// read ends a run with what its stack's state shows, whatever became of the
// apply: applyErr is nil when terraform said that all went well. cooling is
// the backoff that was recorded already while it went on.
func (c *Converger) read(ctx context.Context, run state.Run, stack state.Stack, diagnostics []state.Diagnostic, applyErr error, cooling *state.Backoff) *state.Finish {
	version, devices, readErr := c.Terraform.Read(ctx, stack)
	if readErr == nil && version == nil && len(run.Deletes)+len(run.Keeps) > 0 {
		readErr = fmt.Errorf("the state is missing or empty, although it held %d servers", len(run.Deletes)+len(run.Keeps))
	}
	f := end{
		run: run, resource: stack.Resource, settle: c.Settle, ready: c.ready(), at: c.Now(),
		devices: devices, applyErr: applyErr, readErr: readErr, diagnostics: diagnostics,
	}.outcome()
	if version != nil {
		version.Stack, version.Run, version.At = run.Stack, run.ID, f.At
		f.Version = version
	}
	if f.Unclean == "" || f.Phase == state.RunInterrupted { // which is no failure of the provider's
		return &f
	}
	if len(run.Deletes)+len(run.Imports) > 0 {
		f.RetryAt = c.retryAt(stack.Failures)
	}
	switch {
	case len(run.Creates) == 0:
	case cooling != nil:
		cooling.Error = f.Error
		f.Backoff = cooling
	default:
		f.Backoff = c.backoff(ctx, run.Pool, stack.Candidate, f.Error)
	}
	return &f
}

// lastLook returns the servers about to be destroyed that hold a stage after
// all. Without a way to stop a runner from taking work, it is what keeps the
// moment small in which a build could be killed. Servers that a person forces
// to leave are not looked at.
func (c *Converger) lastLook(ctx context.Context, run state.Run) ([]string, error) {
	snap, err := c.Store.Snapshot(ctx, c.Now())
	if err != nil {
		return nil, err
	}
	leaving := make(map[string]string) // servers, by the name under which they work
	for _, s := range snap.Servers {
		if s.Forced || s.Double() && !s.Drained.IsZero() { // whose own runner has ended
			continue
		}
		if slices.Contains(run.Deletes, s.Name) {
			leaving[s.Runner()] = s.Name
		}
	}
	if len(leaving) == 0 {
		return nil, nil
	}
	stages, err := c.Queue.Queue(ctx)
	if err != nil {
		return nil, err
	}
	var busy []string
	for _, s := range stages {
		if server, leaves := leaving[s.Machine]; leaves {
			busy = append(busy, server)
			delete(leaving, s.Machine)
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
