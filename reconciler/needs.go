package reconciler

import (
	"context"
	"time"

	"hangar/state"
)

// Terraform is what the slow loop needs of the adapter.
type Terraform interface {
	// Plan renders the workspace, initialises it when needed, and plans.
	Plan(ctx context.Context, ws state.Workspace) (state.Plan, error)
	// Apply applies the plan that Plan saved, with so many changes at once.
	Apply(ctx context.Context, ws state.Workspace, changes int, on func(state.ApplyEvent)) (state.ApplyResult, error)
	// Saved tells the plan that is saved for a stack, and its state. It starts no
	// terraform.
	Saved(stack string) (state.Saved, error)
	// Rest renders the workspace into its folder, if there is one, and removes a
	// saved plan. It starts no terraform.
	Rest(ws state.Workspace) error
	// Census asks the provider which devices there are. It is NotFound when the
	// stack's module has no way to ask.
	Census(ctx context.Context, q state.Question) ([]state.Found, error)
	// NeedsRepair says why a stack's state file is not what was recorded last;
	// empty: it is. It starts no terraform.
	NeedsRepair(ctx context.Context, stack state.Stack, newest *state.StateVersion) (why string, err error)
	// Repair makes a stack's state file whole, and says what it did.
	Repair(ctx context.Context, stack state.Stack, newest *state.StateVersion) (done string, err error)
	// Read returns the stack's state, nil when there is none yet, and its devices by server.
	Read(ctx context.Context, stack state.Stack) (*state.StateVersion, map[string]state.Device, error)
}

// Stacks is how the slow loop finds its work.
type Stacks interface {
	Due(ctx context.Context, now time.Time) ([]state.Stack, error)
	Looks(ctx context.Context, now time.Time) ([]state.Stack, error)
	NextRetry(ctx context.Context, now time.Time) (time.Time, error)
	Stack(ctx context.Context, name string) (state.Stack, error)
	Stacks(ctx context.Context) ([]state.Stack, error)
	Sight(ctx context.Context, stack string) (state.Sight, error)
	Rested(ctx context.Context, stack string) (state.Workspace, error)
	Version(ctx context.Context, stack string, serial int64) (state.StateVersion, error)
	LookAgain(ctx context.Context, stack string, at time.Time, unclean string) error
	Postpone(ctx context.Context, stack string, at time.Time) error
}

// Runs is how the slow loop writes down what it does: before it does it, and
// afterwards what came of it.
type Runs interface {
	Unfinished(ctx context.Context) ([]state.Run, error)
	BeginRun(ctx context.Context, stack string, at time.Time) (state.Run, state.Workspace, error)
	Planned(ctx context.Context, run int64, at time.Time, plan state.Plan, verdict string) error
	BeginApply(ctx context.Context, run int64, at time.Time) error
	Finish(ctx context.Context, f state.Finish) error
	Await(ctx context.Context, run int64, at time.Time) error
	Awaiting(ctx context.Context) ([]state.Run, error)
	Resume(ctx context.Context, run int64) (state.Run, state.Workspace, error)
}

// Check is asked whether a plan that passed the guard may be applied.
type Check interface {
	// Check gets the plan's JSON, masked. A refusal is an error of code Forbidden,
	// in words; any other error says that it could not be asked.
	Check(ctx context.Context, run state.Run, planJSON []byte) error
}

// News is how the slow loop tells of servers while an apply still runs.
type News interface {
	Progress(ctx context.Context, server string, p state.Progress, at time.Time) error
	Advance(ctx context.Context, o state.Outcome, at time.Time) error
}

// ConvergerStore is all that the slow loop needs of the store.
type ConvergerStore interface {
	Stacks
	Runs
	News
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Commit(ctx context.Context, c state.Changes) error
}
