package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

// Snapshot returns what the fast loop decides on, as of one instant.
func (s *Store) Snapshot(ctx context.Context) (snap state.Snapshot, err error) {
	err = s.read(ctx, "read a snapshot", func(t tx) error {
		snap.Servers, err = all(t, scanServer, "SELECT "+serverColumns+" FROM servers WHERE phase <> 'stopped' ORDER BY created, name")
		if err != nil {
			return err
		}
		if snap.Backoffs, err = all(t, scanBackoff, "SELECT pool, candidate, failures, until, error FROM backoffs ORDER BY pool, candidate"); err != nil {
			return err
		}
		if snap.Paused, err = paused(t); err != nil {
			return err
		}
		if snap.Open, err = all(t, scanStack, "SELECT "+stackColumns+" FROM stacks WHERE open = 1 ORDER BY created, name"); err != nil {
			return err
		}
		if snap.Unclean, err = uncleanStacks(t); err != nil {
			return err
		}
		last, err := newestDecisions(t, 0, 1)
		if len(last) > 0 {
			snap.Last = last[0]
		}
		return err
	})
	return snap, err
}

// uncleanStacks returns why each stack that is not planned again is not.
func uncleanStacks(t tx) (map[string]string, error) {
	stacks, err := all(t, scanStack, "SELECT "+stackColumns+" FROM stacks WHERE unclean <> ''")
	why := make(map[string]string, len(stacks))
	for _, s := range stacks {
		why[s.Name] = s.Unclean
	}
	return why, err
}

func scanBackoff(r row) (b state.Backoff, err error) {
	err = r.Scan(&b.Pool, &b.Candidate, &b.Failures, stamp{&b.Until}, &b.Error)
	return b, err
}

// unconverged are the stacks on which there is work, now or later.
const unconverged = "generation <> applied AND unclean = ''"

// Due returns the stacks that are to be planned now: what is wanted of them is
// not what was applied, their last run ended cleanly, their retry time has
// come, and no run of theirs is under way. The oldest change comes first.
func (s *Store) Due(ctx context.Context, now time.Time) (stacks []state.Stack, err error) {
	err = s.read(ctx, "find due stacks", func(t tx) error {
		stacks, err = all(t, scanStack, "SELECT "+stackColumns+" FROM stacks WHERE "+unconverged+` AND retry_at <= ?
			AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.stack = stacks.name AND runs.`+unfinished+`)
			ORDER BY changed, name`, micros(now))
		return err
	})
	return stacks, err
}

// NextRetry returns the earliest time after now at which a stack becomes due
// again; zero when none waits.
func (s *Store) NextRetry(ctx context.Context, now time.Time) (retry time.Time, err error) {
	err = s.read(ctx, "find the next retry", func(t tx) error {
		next, err := t.count("SELECT coalesce(min(retry_at), 0) FROM stacks WHERE "+unconverged+" AND retry_at > ?", micros(now))
		retry = instant(next)
		return err
	})
	return retry, err
}
