package sqlite

import (
	"context"
	"fmt"

	"hangar/state"
)

// Unfinished returns the runs that have not ended, oldest first.
func (s *Store) Unfinished(ctx context.Context) (runs []state.Run, err error) {
	err = s.read(ctx, "find unfinished runs", func(t tx) error {
		runs, err = all(t, scanRun, "SELECT "+runColumns+" FROM runs WHERE "+unfinished+" ORDER BY id")
		return err
	})
	return runs, err
}

// Runs returns the runs that f selects, newest first.
func (s *Store) Runs(ctx context.Context, f state.RunFilter) (runs []state.Run, err error) {
	before, limit := page(f.Before, f.Limit)
	where, args := "id < ?", []any{before}
	if f.Stack != "" {
		where, args = where+" AND stack = ?", append(args, f.Stack)
	}
	if f.Phase != "" {
		where, args = where+" AND phase = ?", append(args, f.Phase)
	}
	err = s.read(ctx, "list runs", func(t tx) error {
		runs, err = all(t, scanRun, "SELECT "+runColumns+" FROM runs WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
		return err
	})
	return runs, err
}

// Run returns a run; NotFound when there is none of that id.
func (s *Store) Run(ctx context.Context, id int64) (run state.Run, err error) {
	err = s.read(ctx, fmt.Sprintf("read run %d", id), func(t tx) error {
		run, err = oneRun(t, id)
		return err
	})
	return run, err
}

// RunPlan returns the text and the JSON of a run's plan; NotFound when there
// is no such run, or it has no plan.
func (s *Store) RunPlan(ctx context.Context, id int64) (plan state.Plan, err error) {
	err = s.read(ctx, fmt.Sprintf("read the plan of run %d", id), func(t tx) error {
		if _, err := oneRun(t, id); err != nil {
			return err
		}
		var found bool
		plan, found, err = one(t, func(r row) (p state.Plan, err error) {
			err = r.Scan(&p.Text, &p.JSON)
			return p, err
		}, "SELECT text, json FROM plans WHERE run = ?", id)
		if err == nil && !found {
			err = state.Errorf(state.NotFound, "run %d has no plan", id)
		}
		if err == nil {
			plan.JSON, err = expand(plan.JSON)
		}
		return err
	})
	return plan, err
}

// RunLog returns what terraform said while a run was applied; empty when it
// was not.
func (s *Store) RunLog(ctx context.Context, id int64) (log string, err error) {
	err = s.read(ctx, fmt.Sprintf("read the log of run %d", id), func(t tx) error {
		var found bool
		log, found, err = one(t, plain[string], "SELECT log FROM runs WHERE id = ?", id)
		if err == nil && !found {
			err = state.Errorf(state.NotFound, "there is no run %d", id)
		}
		return err
	})
	return log, err
}
