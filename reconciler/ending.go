package reconciler

import (
	"context"
	"fmt"
	"time"

	"hangar/state"
)

// finish records the end of a run, again and again while the store cannot: a
// full disk or a long backup may pass. When hangar is stopping it gives up
// soon; the next start judges the run by its state.
func (c *Converger) finish(ctx context.Context, f state.Finish) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := c.Store.Finish(context.WithoutCancel(ctx), f)
		if code := state.CodeOf(err); err == nil || code == state.Conflict || code == state.Invalid || code == state.NotFound {
			return err
		}
		if ctx.Err() != nil && pause > time.Second {
			return err
		}
		c.Log.Error("the end of a run cannot be recorded; trying again", "run", f.Run, "again_in", pause, "error", err)
		time.Sleep(pause)
	}
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
// Retry after the first failure, twice as long after each further one, at most
// 15 minutes.
func (c *Converger) retryAt(failures int) time.Time {
	return c.Now().Add(min(15*time.Minute, c.Retry<<min(failures, 10)))
}

// settle ends the runs that an earlier process left unfinished. One that was
// not applying has done nothing; one that was is judged by the state it left,
// and its stack's devices are looked for. So are those of a stack whose state
// file is not what was recorded. One that waits for a person goes on waiting.
func (c *Converger) settle(ctx context.Context) error {
	runs, err := c.Store.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.Awaits() {
			continue
		}
		f := c.discarded(run, "hangar ended before it was applied", time.Time{})
		if run.Phase == state.RunApplying {
			stack, err := c.Store.Stack(ctx, run.Stack)
			if err != nil {
				return fmt.Errorf("settle run %d: %w", run.ID, err)
			}
			f = c.read(ctx, run, stack, nil, errInterrupted, nil)
		}
		if err := c.Store.Finish(ctx, *f); err != nil {
			return fmt.Errorf("settle run %d: %w", run.ID, err)
		}
		c.Ended(run, *f)
		c.Log.Warn("run", "run", run.ID, "stack", run.Stack, "phase", f.Phase, "unclean", f.Unclean)
		c.rest(ctx, run.Stack)
	}
	return c.inspect(ctx)
}

// inspect finds the stacks whose state files are missing, torn or old.
func (c *Converger) inspect(ctx context.Context) error {
	stacks, err := c.Store.Stacks(ctx)
	if err != nil {
		return err
	}
	for _, stack := range stacks {
		if !stack.Emptied.IsZero() {
			continue
		}
		sight, err := c.Store.Sight(ctx, stack.Name)
		if err != nil {
			return err
		}
		why, err := c.Terraform.NeedsRepair(ctx, stack, sight.Version)
		if err != nil {
			why = err.Error()
		}
		if why == "" {
			continue
		}
		c.Log.Warn("a state file is not as it was recorded; its stack is looked at first", "stack", stack.Name, "why", why)
		if err := c.Store.LookAgain(ctx, stack.Name, c.Now(), why); err != nil {
			return err
		}
	}
	return nil
}

// waiting leaves a run's servers where they were before it, and says why.
func waiting(run state.Run, until time.Time, why string) (outcomes []state.Outcome) {
	reason := fmt.Sprintf("run %d %s; tried again at %s", run.ID, why, until.UTC().Format("15:04:05 UTC"))
	for _, server := range run.Creates {
		outcomes = append(outcomes, state.Outcome{Server: server, Phase: state.Pending, Reason: reason})
	}
	for _, server := range run.Deletes {
		outcomes = append(outcomes, state.Outcome{Server: server, Reason: reason})
	}
	return outcomes
}

// backoff is for how long a candidate that has just failed is left alone: the
// longer, the more often it failed in a row.
func (c *Converger) backoff(ctx context.Context, pool, candidate, why string) *state.Backoff {
	b := state.Backoff{Pool: pool, Candidate: candidate, Error: why}
	snap, err := c.Store.Snapshot(ctx, c.Now())
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
