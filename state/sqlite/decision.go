package sqlite

import (
	"context"
	"math"
	"strconv"
	"time"

	"hangar/state"
)

func addDecision(t tx, d state.Decision, at time.Time) (id int64, err error) {
	at = or(d.At, at)
	id, err = t.count("INSERT INTO decisions (at, body) VALUES (?, ?) RETURNING id", micros(at), asJSON{d})
	if err == nil && d.Changed() {
		err = note(t, occurrence{kind: state.DecisionMade, subject: strconv.FormatInt(id, 10), at: at})
	}
	return id, err
}

func scanDecision(r row) (d state.Decision, err error) {
	var id int64
	var at time.Time
	err = r.Scan(&id, stamp{&at}, asJSON{&d})
	d.ID, d.At = id, at
	d.Pools, d.Servers, d.Unmatched = present(d.Pools), present(d.Servers), present(d.Unmatched)
	return d, err
}

// Decisions returns recorded decisions, newest first: at most limit (zero:
// 100), and only those with ids below before (zero: from the newest).
func (s *Store) Decisions(ctx context.Context, before int64, limit int) (decisions []state.Decision, err error) {
	err = s.read(ctx, "list decisions", func(t tx) error {
		decisions, err = newestDecisions(t, before, limit)
		return err
	})
	return decisions, err
}

func newestDecisions(t tx, before int64, limit int) ([]state.Decision, error) {
	before, limit = page(before, limit)
	return all(t, scanDecision, "SELECT id, at, body FROM decisions WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit)
}

// page puts in the defaults of a list that is read from its newest end.
func page(before int64, limit int) (int64, int) {
	if before <= 0 {
		before = math.MaxInt64
	}
	if limit <= 0 {
		limit = 100
	}
	return before, limit
}
