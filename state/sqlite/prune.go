package sqlite

import (
	"context"
	"time"
)

// Prune removes what ended before a time: servers that have stopped; runs that
// created or destroyed none of the servers still recorded; stacks that were
// emptied and hold no server any more, with all their runs and state versions;
// decisions, but for the newest; and findings. It returns the names of the stacks, whose
// folders may go too. Every state version of a stack that is not emptied stays,
// and so does every name: it is never given again.
func (s *Store) Prune(ctx context.Context, before time.Time) (stacks []string, err error) {
	err = s.write(ctx, "remove old records", func(t tx) error {
		limit := micros(before)
		for _, statement := range []string{
			"DELETE FROM servers WHERE phase = 'stopped' AND stopped < ?",
			`DELETE FROM runs WHERE finished > 0 AND finished < ? AND NOT EXISTS (
				SELECT 1 FROM servers WHERE servers.stack = runs.stack AND (
					servers.name IN (SELECT value FROM json_each(runs.creates)) OR
					servers.name IN (SELECT value FROM json_each(runs.deletes))))`,
			"DELETE FROM decisions WHERE at < ? AND id < (SELECT max(id) FROM decisions)",
			"DELETE FROM findings WHERE ended > 0 AND ended < ?",
		} {
			if err := t.do(statement, limit); err != nil {
				return err
			}
		}
		stacks, err = all(t, plain[string], `SELECT name FROM stacks WHERE emptied > 0 AND emptied < ?
			AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.stack = stacks.name)
			AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.stack = stacks.name AND runs.`+unfinished+`)
			ORDER BY name`, limit)
		if err != nil {
			return err
		}
		for _, stack := range stacks {
			if err := t.do("DELETE FROM stacks WHERE name = ?", stack); err != nil {
				return err
			}
		}
		return nil
	})
	return stacks, err
}

// PruneVersions removes the state versions of each stack beyond the newest so
// many (0: no bound), and those from before a time, but never a stack's newest.
func (s *Store) PruneVersions(ctx context.Context, newest int, before time.Time) error {
	return s.write(ctx, "remove old state versions", func(t tx) error {
		return t.do(`DELETE FROM versions WHERE id IN (
			SELECT id FROM (SELECT id, at, row_number() OVER (PARTITION BY stack ORDER BY id DESC) AS place FROM versions)
			WHERE place > 1 AND (?1 > 0 AND place > ?1 OR at < ?2))`, newest, micros(before))
	})
}
