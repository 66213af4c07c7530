package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"hangar/state"
)

// SetTargets records who is told of events from now on, by name. One that was
// not told before is told nothing of what was before, and what one that is not
// among them was not told yet is forgotten.
func (s *Store) SetTargets(ctx context.Context, names []string, now time.Time, w state.Watch) error {
	return s.write(ctx, "record who is told of events", func(t tx) error {
		known, err := all(t, plain[string], "SELECT name FROM targets")
		if err != nil {
			return err
		}
		for _, name := range known {
			if !slices.Contains(names, name) {
				if err := t.do("DELETE FROM targets WHERE name = ?", name); err != nil {
					return err
				}
			}
		}
		if len(names) == 0 {
			return forget(t)
		}
		for _, name := range names {
			if err := t.do(`INSERT INTO targets (name, after) VALUES (?, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'))
				ON CONFLICT DO NOTHING`, name); err != nil {
				return err
			}
		}
		if len(known) == 0 { // what is so already is no news
			return watchConditions(t, now, w, func(state.Event) error { return nil })
		}
		return dropTold(t)
	})
}

// forget removes what is noted for nobody.
func forget(t tx) error {
	for _, table := range []string{"occurrences", "conditions", "events"} {
		if err := t.do("DELETE FROM " + table); err != nil {
			return err
		}
	}
	return nil
}

// dropTold removes the events that every target has been told.
func dropTold(t tx) error {
	return t.do("DELETE FROM events WHERE id <= (SELECT min(after) FROM targets)")
}

// Events returns what a target is to be told next, in order, at most limit.
func (s *Store) Events(ctx context.Context, target string, limit int) (events []state.Event, err error) {
	err = s.read(ctx, "list the events for "+target, func(t tx) error {
		events, err = all(t, scanEvent, `SELECT id, body FROM events
			WHERE id > (SELECT after FROM targets WHERE name = ?) ORDER BY id LIMIT ?`, target, limit)
		return err
	})
	return events, err
}

func scanEvent(r row) (e state.Event, err error) {
	var seq int64
	err = r.Scan(&seq, asJSON{&e})
	e.Seq = seq
	return e, err
}

// Told records that a target was told all events up to the one at seq, or is
// not to be told of them.
func (s *Store) Told(ctx context.Context, target string, seq int64) error {
	return s.write(ctx, "record what "+target+" was told", func(t tx) error {
		if err := t.do("UPDATE targets SET after = max(after, ?2) WHERE name = ?1", target, seq); err != nil {
			return err
		}
		return dropTold(t)
	})
}

// Overage returns how many events were recorded before a time and not yet told
// to a target, and the place of the last of them.
func (s *Store) Overage(ctx context.Context, target string, before time.Time) (n int, last int64, err error) {
	err = s.read(ctx, "find old events for "+target, func(t tx) error {
		_, _, err := one(t, func(r row) (struct{}, error) { return struct{}{}, r.Scan(&n, &last) },
			`SELECT count(*), coalesce(max(id), 0) FROM events
				WHERE id > (SELECT after FROM targets WHERE name = ?) AND recorded < ?`, target, micros(before))
		return err
	})
	return n, last, err
}

// recorder records events as of now.
type recorder struct {
	tx
	instance string
	now      time.Time
}

// event records an event, under an id of its own.
func (r *recorder) event(e state.Event) error {
	e.ID, e.Instance = strings.ToLower(rand.Text()), r.instance // 130 bits
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return r.do("INSERT INTO events (recorded, body) VALUES (?, ?)", micros(r.now), string(body))
}
