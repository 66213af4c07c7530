package sqlite

import (
	"context"
	"slices"
	"time"

	"hangar/state"
)

// Schema is the newest version of the schema, which Open brings a database to.
func Schema() (int, error) {
	steps, err := migrations()
	return len(steps), err
}

// Restored makes records that were put back from a copy fit to go on from. Since
// it was made, machines may have been made, and destroyed, of which they know
// nothing. Therefore:
//
//   - A server that was still to be created may have been: it is treated as if its
//     apply had just been cut off. Its machine is looked for, and no name is
//     created a second time.
//   - Nothing is planned for any stack before its devices have been looked for.
//   - A plan that waited was made of a state that may be gone: it does not count.
//   - What was known of a drain does not count: the runner may have been put back to
//     work since.
//   - Machines that no record knows are held for a person, as after lost records.
func (s *Store) Restored(ctx context.Context, now time.Time) error {
	return s.write(ctx, "make restored records fit to go on from", func(t tx) error {
		stacks, err := all(t, plain[string], "SELECT name FROM stacks WHERE emptied = 0")
		if err != nil {
			return err
		}
		for _, step := range []string{
			`UPDATE runs SET phase = 'applying', applying = ?1, waits = 0 WHERE ` + unfinished,
			`UPDATE stacks SET look_at = ?1, unclean = CASE unclean WHEN '' THEN 'its records were restored from a backup' ELSE unclean END,
				open = 0, retry_at = 0 WHERE emptied = 0`,
			`UPDATE servers SET told = 0, drained = 0, quiet_since = 0 WHERE phase <> 'stopped'`,
			`INSERT INTO settings (name, value) VALUES ('takeover', '') ON CONFLICT (name) DO UPDATE SET value = ''`,
		} {
			if err := t.do(step, micros(now)); err != nil {
				return err
			}
		}
		for _, stack := range stacks {
			if err := restoredStack(t, stack, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// restoredStack has the servers of a stack that were to be created created, by a
// run that will turn out to have been cut off.
func restoredStack(t tx, stack string, now time.Time) error {
	present, err := presentIn(t, stack)
	if err != nil {
		return err
	}
	var pending []string
	for _, server := range present {
		if server.Phase == state.Pending {
			pending = append(pending, server.Name)
		}
	}
	if len(pending) == 0 {
		return nil
	}
	run, found, err := one(t, plain[int64], "SELECT id FROM runs WHERE stack = ? AND "+unfinished, stack)
	if err != nil {
		return err
	}
	creates := pending
	if found {
		begun, err := oneRun(t, run)
		if err != nil {
			return err
		}
		creates = slices.Compact(slices.Sorted(slices.Values(append(creates, begun.Creates...))))
	} else {
		of, err := oneStack(t, stack)
		if err != nil {
			return err
		}
		if run, err = addRun(t, state.Run{Stack: stack, Pool: of.Pool, Generation: of.Generation, Phase: state.RunPlanning}, now); err != nil {
			return err
		}
	}
	if err := t.do("UPDATE runs SET phase = 'applying', applying = ?2, creates = ?3 WHERE id = ?1", run, micros(now), asJSON{creates}); err != nil {
		return err
	}
	for _, server := range pending {
		if err := setPhase(t, server, state.Creating, "it may have been created since the backup that was restored: its device is looked for", now); err != nil {
			return err
		}
		if err := t.do("UPDATE servers SET began = ? WHERE name = ?", micros(now), server); err != nil {
			return err
		}
	}
	return nil
}
