package reconciler

import (
	"context"
	"fmt"
	"time"

	"hangar/state"
)

// startAwaiting goes on with the runs that waited for a person: those that have
// been approved are applied, and those whose plan has gone stale end, so that
// their stacks are planned anew. A run that goes on waiting holds nothing.
func (c *Converger) startAwaiting(ctx context.Context, creates, others lane) error {
	runs, err := c.Store.Awaiting(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		stack, err := c.Store.Stack(ctx, run.Stack)
		if err != nil {
			return err
		}
		if (run.Approved.IsZero() && c.stale(run, stack) == "") || !c.claim(stack) {
			continue
		}
		in := others
		if isNew(stack) {
			in = creates
		}
		c.work.Go(func() {
			err := c.resume(ctx, run.ID, in)
			c.release(stack.Name)
			c.again(stack.Name, err)
		})
	}
	return nil
}

// stale says why a plan that waited is not to be applied any more; empty: it may
// be.
func (c *Converger) stale(run state.Run, stack state.Stack) string {
	saved, err := c.Terraform.Saved(stack.Name)
	switch {
	case stack.Generation != run.Generation:
		return "what is wanted changed after it was planned"
	case stack.Unclean != "":
		return "its devices are to be looked for first: " + stack.Unclean
	case err != nil:
		return err.Error()
	case saved.Plan == "":
		return "its saved plan is gone"
	case saved.Plan != run.Saved.Plan:
		return "its saved plan is not the one that was shown"
	case saved.State != run.Saved.State:
		return "the state of its stack has changed"
	case run.Approved.IsZero() && !c.Approval.Needs(run):
		return fmt.Sprintf("no approval is needed any more (DRONE_TERRAFORM_APPROVAL=%s)", c.Approval)
	}
	return ""
}

// resume applies a run that a person has approved, or ends one that is stale. The
// last look is made now: what was looked at before the run waited is old.
func (c *Converger) resume(ctx context.Context, id int64, in lane) error {
	run, ws, err := c.Store.Resume(ctx, id)
	if state.CodeOf(err) == state.Conflict || ctx.Err() != nil {
		return nil // a person has discarded it meanwhile
	}
	if err != nil {
		return err
	}
	log := c.Log.With("run", run.ID, "stack", run.Stack, "pool", run.Pool)
	why := c.stale(run, ws.Stack)
	if why == "" {
		if run.Approved.IsZero() || !in.applies.take(ctx, run.Pool) {
			return nil // it goes on waiting, also over a restart
		}
		log.Info("run", "phase", run.Phase, "approved_by", run.By)
		f := c.apply(ctx, run, ws)
		in.applies.give()
		c.conclude(ctx, run, f, log)
		return nil
	}
	c.conclude(ctx, run, c.discarded(run, "stale: "+why+"; planned anew", time.Time{}), log)
	return nil
}

// checked puts a plan to the check, and says in words how it was refused; empty:
// it was not. An adoption changes no machine, and is not put to it: a machine
// would be left to itself.
func (c *Converger) checked(ctx context.Context, run state.Run, plan *state.Plan) (refused string, err error) {
	if c.Check == nil || len(run.Imports) > 0 {
		return "", nil
	}
	began := c.Now()
	err = c.Check.Check(ctx, run, plan.JSON)
	plan.Timings.Check = c.Now().Sub(began).Seconds()
	if state.CodeOf(err) == state.Forbidden {
		return "refused by DRONE_TERRAFORM_CHECK: " + err.Error(), nil
	}
	return "", err
}

// unchecked ends a run whose plan could not be put to the check.
func (c *Converger) unchecked(run state.Run, stack state.Stack, err error) *state.Finish {
	f := c.ended(run, state.RunErrored)
	f.Error = "could not be put to DRONE_TERRAFORM_CHECK: " + err.Error()
	f.RetryAt = c.retryAt(stack.Failures)
	f.Servers = waiting(run, f.RetryAt, f.Error)
	return f
}
