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

// SetTargets records who is told of news from now on, by name. One that was not
// told before is told nothing of what was before.
func (s *Store) SetTargets(ctx context.Context, names []string, now time.Time, w state.Watch) error {
	return s.write(ctx, "record who is told of events", func(t tx) error {
		if _, err := gather(t, now, w); err != nil { // what is so already is no news
			return err
		}
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
		for _, name := range names {
			if err := t.do(`INSERT INTO targets (name, after, since) VALUES (?,
					(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'),
					(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'occurrences'))
				ON CONFLICT DO NOTHING`, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// untold selects the events that a target, ?1, is to be told.
const untold = `FROM events JOIN targets ON targets.name = ?1
	WHERE news = 1 AND events.id > after AND (noted = 0 OR noted > since)`

// News returns what a target is to be told next, in order, at most limit.
func (s *Store) News(ctx context.Context, target string, limit int) (events []state.Event, err error) {
	err = s.read(ctx, "list the events for "+target, func(t tx) error {
		events, err = all(t, scanEvent, "SELECT events.id, body "+untold+" ORDER BY events.id LIMIT ?2", target, limit)
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
		return t.do("UPDATE targets SET after = max(after, ?2) WHERE name = ?1", target, seq)
	})
}

// Overage returns how many events were recorded before a time and not yet told
// to a target, and the place of the last of them.
func (s *Store) Overage(ctx context.Context, target string, before time.Time) (n int, last int64, err error) {
	err = s.read(ctx, "find old events for "+target, func(t tx) error {
		_, _, err := one(t, func(r row) (struct{}, error) { return struct{}{}, r.Scan(&n, &last) },
			"SELECT count(*), coalesce(max(events.id), 0) "+untold+" AND recorded < ?2", target, micros(before))
		return err
	})
	return n, last, err
}

// Events returns the events of the log that f selects, in order, and the place
// up to which the log was read: from there on, nothing is missed and nothing
// comes twice. A place beyond the end, of a log that was lost, is put back to it.
func (s *Store) Events(ctx context.Context, f state.EventFilter) (events []state.Event, read int64, err error) {
	where, args := "id > ?", []any{f.After}
	for column, value := range map[string]string{"server": f.Server, "stack": f.Stack} {
		if value != "" {
			where, args = where+" AND "+column+" <> '' AND "+column+" = ?", append(args, value)
		}
	}
	if len(f.Kinds) > 0 {
		where += " AND EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE kind = wanted.value OR kind GLOB wanted.value || '.*')"
		args = append(args, asJSON{f.Kinds})
	}
	_, limit := page(0, f.Limit)
	err = s.read(ctx, "list events", func(t tx) error {
		if events, err = all(t, scanEvent, "SELECT id, body FROM events WHERE "+where+" ORDER BY id LIMIT ?", append(args, limit)...); err != nil {
			return err
		}
		if len(events) == limit {
			read = events[limit-1].Seq
			return nil
		}
		read, err = lastEvent(t)
		return err
	})
	return events, read, err
}

// LastEvent returns the place of the newest event, also when it is kept no more;
// 0: there was none yet.
func (s *Store) LastEvent(ctx context.Context) (seq int64, err error) {
	err = s.read(ctx, "find the newest event", func(t tx) error {
		seq, err = lastEvent(t)
		return err
	})
	return seq, err
}

func lastEvent(t tx) (int64, error) {
	return t.count("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'")
}

// PruneEvents removes from the log what was recorded before a time.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) error {
	return s.write(ctx, "remove old events", func(t tx) error {
		// They are in the order of their recording: only the old ones are looked at.
		return t.do(`DELETE FROM events WHERE id < coalesce(
			(SELECT id FROM events WHERE recorded >= ? ORDER BY id LIMIT 1), (SELECT max(id) + 1 FROM events))`, micros(before))
	})
}

// note notes what happened and no trigger sees; gather completes it.
func note(t tx, o occurrence) error {
	return t.do("INSERT INTO occurrences (kind, subject, reason, who, at) VALUES (?, ?, ?, ?, ?)", o.kind, o.subject, o.reason, o.who, micros(o.at))
}

// recorder records events as of now.
type recorder struct {
	tx
	instance string
	now      time.Time
	recorded int // events
}

// event records an event, under an id of its own: with the occurrence that it is
// made of (0: none), and whether it is news.
func (r *recorder) event(e state.Event, noted int64, news bool) error {
	e.ID, e.Instance = strings.ToLower(rand.Text()), r.instance // 130 bits
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.recorded++
	return r.do("INSERT INTO events (recorded, noted, news, kind, server, stack, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
		micros(r.now), noted, news, e.Kind, e.Server, e.Stack, string(body))
}
