package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

// addSightings records what looks and sweeps tell of servers and stacks.
func addSightings(t tx, c state.Changes) error {
	for _, l := range c.Looks {
		if err := unchanged(t, l); err != nil {
			return err
		}
	}
	for _, s := range c.Sightings {
		if err := addSighting(t, s, c.At); err != nil {
			return err
		}
	}
	for _, l := range c.Looks {
		if err := endLook(t, l, c.At); err != nil {
			return err
		}
	}
	return nil
}

func unchanged(t tx, l state.Look) error {
	run, err := newestRun(t, l.Seen.Name)
	if err == nil && (run.ID != l.Run || run.Phase != l.RunPhase) {
		return state.Errorf(state.Conflict, "run %d of stack %s is %s: it was looked at before", run.ID, l.Seen.Name, run.Phase)
	}
	if err != nil {
		return err
	}
	stack, err := oneStack(t, l.Seen.Name)
	if err == nil && stack.Generation != l.Seen.Generation {
		err = state.Errorf(state.Conflict, "what is wanted of stack %s has changed since it was looked at", stack.Name)
	}
	return err
}

func addSighting(t tx, s state.Sighting, at time.Time) error {
	now, err := oneServer(t, s.Seen.Name)
	if err != nil {
		return err
	}
	if now.Phase != s.Seen.Phase || now.ID != s.Seen.ID || now.Absent != s.Seen.Absent || !now.Doubt.Equal(s.Seen.Doubt) {
		return state.Errorf(state.Conflict, "server %s is %s: it has changed since it was looked at", now.Name, now.Phase)
	}
	if s.To != now.Phase {
		err = setPhase(t, now.Name, s.To, s.Reason, at)
	} else if s.Reason != "" {
		err = t.do("UPDATE servers SET reason = ? WHERE name = ?", s.Reason, now.Name)
	}
	if err != nil {
		return err
	}
	if s.Device != now.Device {
		if err := setDevice(t, now.Name, s.Device); err != nil {
			return err
		}
	}
	if now.Taken && !s.Taken { // what was left alone may be destroyed
		if err := raise(t, now.Stack, at); err != nil {
			return err
		}
	}
	if a := s.Agent; a != now.Agent {
		if err := t.do(`UPDATE servers SET setup = ?, active = ?, reached = ?, told = ?, drained = ?, unreachable = ?, repaired = ? WHERE name = ?`,
			a.Setup, micros(a.Active), micros(a.Reached), micros(a.Told), micros(a.Drained), micros(a.Unreachable), micros(a.Repaired), now.Name); err != nil {
			return err
		}
	}
	return t.do(`UPDATE servers SET absent = ?2, doubt = ?3, error = CASE ?4 WHEN '' THEN error ELSE ?4 END, condemned = condemned OR ?5,
			taken = ?6, unseen = ?7
		WHERE name = ?1`, now.Name, s.Absent, micros(s.Doubt), s.Error, s.Condemned, s.Taken, micros(s.Unseen))
}

func endLook(t tx, l state.Look, at time.Time) error {
	err := t.do(`UPDATE stacks SET look_at = CASE look_at WHEN ?8 THEN ?2 ELSE look_at END,
			unclean = CASE WHEN ?3 THEN '' ELSE unclean END,
			changed = CASE WHEN ?4 AND generation = applied THEN ?7 ELSE changed END,
			generation = generation + ?4,
			retry_at = CASE WHEN ?5 THEN ?6 WHEN ?4 AND failures = 0 THEN 0 ELSE retry_at END,
			failures = CASE WHEN ?5 THEN failures + 1 WHEN ?9 THEN 0 ELSE failures END
		WHERE name = ?1`, l.Seen.Name, micros(l.Next), l.Clean, l.Raise, l.Failed, micros(l.RetryAt), micros(at), micros(l.Seen.LookAt), l.Settled)
	if err == nil && l.Outputs != nil {
		err = t.do("UPDATE stacks SET outputs = ? WHERE name = ?", asJSON{l.Outputs}, l.Seen.Name)
	}
	if err == nil && l.Version != nil {
		err = addVersion(t, *l.Version, at)
	}
	if err == nil {
		err = keepDue(t, l.Seen.Name, at)
	}
	if err != nil {
		return err
	}
	return noteEmpty(t, l.Seen.Name, at)
}

// LookAgain has a stack's devices looked for at a time, unless that is to
// happen sooner, and with a reason not run again before. It is an ordinary case
// that the stack is gone.
func (s *Store) LookAgain(ctx context.Context, stack string, at time.Time, unclean string) error {
	return s.write(ctx, "have stack "+stack+" looked at", func(t tx) error {
		return t.do(`UPDATE stacks SET look_at = CASE WHEN look_at > 0 AND look_at < ?2 THEN look_at ELSE ?2 END,
				unclean = CASE ?3 WHEN '' THEN unclean ELSE ?3 END
			WHERE name = ?1 AND emptied = 0`, stack, micros(at), unclean)
	})
}

// Postpone has a stack's devices looked for at a time, and not before.
func (s *Store) Postpone(ctx context.Context, stack string, at time.Time) error {
	return s.write(ctx, "postpone the look at stack "+stack, func(t tx) error {
		return t.do("UPDATE stacks SET look_at = ?2 WHERE name = ?1", stack, micros(at))
	})
}
