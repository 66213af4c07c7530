package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

// Snapshot returns what the fast loop decides on, as of one instant; what is
// spent of the creation budgets as of now.
func (s *Store) Snapshot(ctx context.Context, now time.Time) (snap state.Snapshot, err error) {
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
		if snap.Discards, err = all(t, scanDiscard, discardQuery+" ORDER BY pool, server"); err != nil {
			return err
		}
		if snap.Spent, err = spent(t, now); err != nil {
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

// spent counts, by pool, the creates of the last hour that have served nothing
// so far, and what servers have cost since the day (UTC) began. A server costs
// from the begin of its create on, or, when its device was found, of its record;
// one that was refused or never found costs nothing.
func spent(t tx, now time.Time) (map[string]state.Spent, error) {
	type poolSpent struct {
		pool string
		state.Spent
	}
	byPool := make(map[string]state.Spent)
	creates, err := all(t, func(r row) (p poolSpent, err error) {
		err = r.Scan(&p.pool, &p.Creates, stamp{&p.Oldest})
		return p, err
	}, `SELECT pool, count(*), min(began) FROM servers
		WHERE began > 0 AND began > ? AND served = 0 AND absent <> 'refused' GROUP BY pool`, micros(now.Add(-time.Hour)))
	if err != nil {
		return nil, err
	}
	for _, c := range creates {
		byPool[c.pool] = c.Spent
	}
	costs, err := all(t, func(r row) (p poolSpent, err error) {
		var unpriced float64 // microseconds
		err = r.Scan(&p.pool, &p.Cost, &unpriced)
		p.Unpriced = time.Duration(unpriced) * time.Microsecond
		return p, err
	}, `SELECT pool, sum(price * there) / 3.6e9, sum(CASE price WHEN 0 THEN there ELSE 0 END) FROM (
			SELECT pool, price, ?1 - max(?2, CASE began WHEN 0 THEN created ELSE began END) AS there FROM servers INDEXED BY servers_present
				WHERE phase <> 'stopped' AND phase <> 'pending' AND absent NOT IN ('refused', 'lost') AND (began > 0 OR device_id <> '')
			UNION ALL SELECT pool, price, stopped - max(?2, CASE began WHEN 0 THEN created ELSE began END) FROM servers
				WHERE phase = 'stopped' AND stopped > ?2 AND absent NOT IN ('refused', 'lost') AND (began > 0 OR device_id <> ''))
		GROUP BY pool`, micros(now), micros(now.UTC().Truncate(24*time.Hour)))
	for _, c := range costs {
		s := byPool[c.pool]
		s.Cost, s.Unpriced = c.Cost, c.Unpriced
		byPool[c.pool] = s
	}
	return byPool, err
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

// Looks returns the stacks whose devices are to be looked for now. What a run
// is about to do is waited for, unless that run waits for a person; in the course of an apply a look only judges
// what that has left in doubt.
func (s *Store) Looks(ctx context.Context, now time.Time) (stacks []state.Stack, err error) {
	err = s.read(ctx, "find stacks to look at", func(t tx) error {
		stacks, err = all(t, scanStack, "SELECT "+stackColumns+` FROM stacks WHERE look_at > 0 AND look_at <= ?
			AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.stack = stacks.name AND runs.phase IN ('planning', 'planned') AND runs.waits = 0)
			ORDER BY look_at, name`, micros(now))
		return err
	})
	return stacks, err
}

// NextRetry returns the earliest time after now at which a stack becomes due
// again, or is to be looked at; zero when none waits.
func (s *Store) NextRetry(ctx context.Context, now time.Time) (retry time.Time, err error) {
	err = s.read(ctx, "find the next retry", func(t tx) error {
		next, err := t.count(`SELECT coalesce(min(at), 0) FROM (
			SELECT retry_at AS at FROM stacks INDEXED BY stacks_due WHERE `+unconverged+` AND retry_at > ?1
			UNION ALL SELECT look_at FROM stacks WHERE look_at > 0 AND look_at > ?1)`, micros(now))
		retry = instant(next)
		return err
	})
	return retry, err
}
