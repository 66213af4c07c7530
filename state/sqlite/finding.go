package sqlite

import (
	"context"

	"hangar/state"
)

const findingColumns = "kind, device, server, stack, address, detail, action, held, first, last, ended"

func scanFinding(r row) (f state.Finding, err error) {
	err = r.Scan(&f.Kind, &f.Device, &f.Server, &f.Stack, &f.Address, &f.Detail, &f.Action, &f.Held,
		stamp{&f.First}, stamp{&f.Last}, stamp{&f.Ended})
	return f, err
}

// addFindings records what is found now: since when, if it is so already. After
// a sweep what is found no more has ended.
func addFindings(t tx, c state.Changes) error {
	for _, f := range c.Findings {
		if err := t.do(`INSERT INTO findings (kind, device, server, stack, address, detail, action, held, first, last)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
			ON CONFLICT (kind, device, server) WHERE ended = 0 DO UPDATE SET
				stack = ?4, address = ?5, detail = ?6, action = ?7, held = ?8, last = ?9`,
			f.Kind, f.Device, f.Server, f.Stack, f.Address, f.Detail, f.Action, f.Held, micros(c.At)); err != nil {
			return err
		}
	}
	if c.TakenOver {
		if err := t.do("DELETE FROM settings WHERE name = 'takeover'"); err != nil {
			return err
		}
	}
	if !c.Swept {
		return nil
	}
	if err := t.do("UPDATE settings SET value = ?1 WHERE name = 'takeover' AND value = ''", micros(c.At)); err != nil {
		return err
	}
	return t.do("UPDATE findings SET ended = ?1 WHERE ended = 0 AND last < ?1", micros(c.At))
}

// Findings returns what is found and has not ended, the oldest first.
func (s *Store) Findings(ctx context.Context) (findings []state.Finding, err error) {
	err = s.read(ctx, "list findings", func(t tx) error {
		findings, err = all(t, scanFinding, "SELECT "+findingColumns+" FROM findings WHERE ended = 0 ORDER BY first, id")
		return err
	})
	return findings, err
}
