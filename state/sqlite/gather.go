package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Gather turns what has happened since it was last called into events. An event
// never changes once it is recorded. While nobody is told of events there are
// none.
func (s *Store) Gather(ctx context.Context, now time.Time, w state.Watch) error {
	return s.write(ctx, "gather events", func(t tx) error {
		if targets, err := t.count("SELECT count(*) FROM targets"); err != nil || targets == 0 {
			return err
		}
		r := &recorder{tx: t, now: now}
		var err error
		if r.instance, _, err = one(t, plain[string], "SELECT value FROM settings WHERE name = 'instance'"); err != nil {
			return err
		}
		if err := r.occurrences(); err != nil {
			return err
		}
		return watchConditions(t, now, w, r.event)
	})
}

// occurrence is what a trigger noted.
type occurrence struct {
	id              int64
	kind            state.EventKind
	subject, reason string
	at              time.Time
}

func scanOccurrence(r row) (o occurrence, err error) {
	err = r.Scan(&o.id, &o.kind, &o.subject, &o.reason, stamp{&o.at})
	return o, err
}

// occurrences makes events of what the triggers noted, in order.
func (r *recorder) occurrences() error {
	list, err := all(r.tx, scanOccurrence, "SELECT id, kind, subject, reason, at FROM occurrences ORDER BY id")
	if err != nil {
		return err
	}
	early := make(map[string]bool) // servers whose error is not known in full
	for _, o := range list {
		var news bool
		e := state.Event{Kind: o.kind, At: o.at, Reason: o.reason}
		switch o.kind {
		case state.ServerCreated, state.ServerDestroyed, state.ServerError:
			if !early[o.subject] {
				early[o.subject], err = r.server(o, &e)
			}
			if early[o.subject] {
				continue
			}
			news = true
		case state.PlanRefused:
			news, err = r.refusal(o, &e)
		default:
			news, err = r.finding(o, &e)
		}
		if err == nil && news {
			err = r.event(e)
		}
		if err == nil {
			err = r.do("DELETE FROM occurrences WHERE id = ?", o.id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// server completes an event of a server. It is early to tell of an error while
// the run that creates the server goes on: terraform says why when it ends.
func (r *recorder) server(o occurrence, e *state.Event) (early bool, err error) {
	s, found, err := one(r.tx, scanServer, "SELECT "+serverColumns+" FROM servers WHERE name = ?", o.subject)
	if err != nil {
		return false, err
	}
	if e.Server = o.subject; found {
		describe(e, s)
	}
	switch o.kind {
	case state.ServerCreated:
		e.Phase, e.Error = state.Running, ""
	case state.ServerDestroyed:
		e.Phase = state.Stopped
	case state.ServerError:
		e.Phase = state.Failed
		n, err := r.count(`SELECT count(*) FROM runs WHERE stack = ? AND phase = 'applying'
			AND ? IN (SELECT value FROM json_each(creates))`, s.Stack, s.Name)
		return n > 0, err
	}
	return false, nil
}

func describe(e *state.Event, s state.Server) {
	e.Pool, e.Server, e.Stack, e.Phase, e.Error = s.Pool, s.Name, s.Stack, s.Phase, s.Error
	e.Provider, e.Region, e.Size, e.Device, e.Address = s.Provider, s.Region, s.Size, s.ID, s.Address
	e.Created, e.Started = s.Created, s.Started
}

// refusal completes the event of a refused plan. That the plan of the same wish
// was refused again, for the same reason, is no news.
func (r *recorder) refusal(o occurrence, e *state.Event) (news bool, err error) {
	id, err := strconv.ParseInt(o.subject, 10, 64)
	if err != nil {
		return false, err
	}
	e.Run = id
	run, err := oneRun(r.tx, id)
	if state.CodeOf(err) == state.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.Pool, e.Stack, e.Error = run.Pool, run.Stack, run.Error
	subject := fmt.Sprintf("%s %d", run.Stack, run.Generation)
	told, _, err := one(r.tx, scanCondition, conditionQuery+" WHERE kind = ? AND subject = ?", e.Kind, subject)
	if err != nil || told.event.Reason == e.Reason {
		return false, err
	}
	return true, putCondition(r.tx, condition{kind: e.Kind, subject: subject, event: *e})
}

// finding completes the event of a finding. One whose record has gone is told
// of no more.
func (r *recorder) finding(o occurrence, e *state.Event) (news bool, err error) {
	f, found, err := one(r.tx, scanFinding, "SELECT "+findingColumns+" FROM findings WHERE id = ?", o.subject)
	if err != nil || !found {
		return false, err
	}
	e.Finding, e.Device, e.Server, e.Stack, e.Address, e.Action = f.Kind, f.Device, f.Server, f.Stack, f.Address, f.Action
	return true, nil
}

// condition is something that lasts.
type condition struct {
	kind    state.EventKind
	subject string
	event   state.Event // by which its beginning was told
	unseen  time.Time
}

const conditionQuery = "SELECT kind, subject, body, unseen FROM conditions"

func scanCondition(r row) (c condition, err error) {
	err = r.Scan(&c.kind, &c.subject, asJSON{&c.event}, stamp{&c.unseen})
	return c, err
}

func putCondition(t tx, c condition) error {
	body, err := json.Marshal(c.event)
	if err != nil {
		return err
	}
	return t.do(`INSERT INTO conditions (kind, subject, body) VALUES (?1, ?2, ?3)
		ON CONFLICT DO UPDATE SET body = ?3, unseen = 0`, c.kind, c.subject, string(body))
}

// ends is how the end of a condition is told. That of the others is not.
var ends = map[state.EventKind]state.EventKind{
	state.PoolHeld:        state.PoolReleased,
	state.StagesUnmatched: state.StagesMatched,
}

// watchConditions tells what now is so and was not before, and what has not
// been so for a while.
func watchConditions(t tx, now time.Time, w state.Watch, tell func(state.Event) error) error {
	current, doubtful, err := currentConditions(t, now, w)
	if err != nil {
		return err
	}
	known, err := all(t, scanCondition, conditionQuery+" WHERE kind <> 'plan.refused'")
	if err != nil {
		return err
	}
	is := func(list []condition, c condition) bool {
		return slices.ContainsFunc(list, func(k condition) bool { return k.kind == c.kind && k.subject == c.subject })
	}
	for _, c := range current {
		if is(known, c) {
			continue
		}
		if err := tell(c.event); err != nil {
			return err
		}
		if err := putCondition(t, c); err != nil {
			return err
		}
	}
	for _, c := range known {
		if err := c.review(t, is(current, c) || doubtful(c), now, w.Calm, tell); err != nil {
			return err
		}
	}
	return t.do(`DELETE FROM conditions WHERE kind = 'plan.refused'
		AND subject NOT IN (SELECT name || ' ' || generation FROM stacks WHERE generation <> applied)`)
}

// review judges a condition that was told: it stands, or it has not been seen
// for a while and has ended.
func (c condition) review(t tx, stands bool, now time.Time, calm time.Duration, tell func(state.Event) error) error {
	end, told := ends[c.kind]
	switch {
	case stands && c.unseen.IsZero():
		return nil
	case stands:
		return t.do("UPDATE conditions SET unseen = 0 WHERE kind = ? AND subject = ?", c.kind, c.subject)
	case told && c.unseen.IsZero():
		return t.do("UPDATE conditions SET unseen = ? WHERE kind = ? AND subject = ?", micros(now), c.kind, c.subject)
	case told && now.Sub(c.unseen) < calm:
		return nil
	}
	if told {
		e := c.event
		e.Kind, e.At, e.Reason = end, c.unseen, "no longer so: "+c.event.Reason
		if err := tell(e); err != nil {
			return err
		}
	}
	return t.do("DELETE FROM conditions WHERE kind = ? AND subject = ?", c.kind, c.subject)
}

// currentConditions are what is so by the newest decision and the records. What
// is doubtful neither is so nor has ended: a pool whose creates are held back
// tries one now and then, and while it is paused nothing is tried.
func currentConditions(t tx, now time.Time, w state.Watch) (current []condition, doubtful func(condition) bool, err error) {
	newest, err := newestDecisions(t, 0, 1)
	if err != nil {
		return nil, nil, err
	}
	var d state.Decision
	if len(newest) > 0 {
		d = newest[0]
	}
	for _, p := range d.Pools {
		if p.Held == scale.HeldBudget || p.Held == scale.HeldCost || p.Held == scale.HeldBackoff {
			current = append(current, condition{kind: state.PoolHeld, subject: p.Pool + " " + p.Held,
				event: state.Event{Kind: state.PoolHeld, At: d.At, Pool: p.Pool, Held: p.Held, Reason: p.Reason}})
		}
	}
	for _, u := range d.Unmatched {
		current = append(current, condition{kind: state.StagesUnmatched, subject: u.Asks,
			event: state.Event{Kind: state.StagesUnmatched, At: d.At, Asks: u.Asks, Stages: u.Stages, Reason: u.Reason}})
	}
	// As package scale sees a drain: it began with the phase, and one that is in
	// error drains when its device is there.
	overdue, err := all(t, scanServer, "SELECT "+serverColumns+` FROM servers WHERE phase <> 'stopped' AND taken = 0 AND updated <= ?
		AND (phase = 'shutdown' OR phase = 'error' AND device_id <> '' AND absent = '' AND doubt = 0) ORDER BY updated, name`, micros(now.Add(-w.Overdue)))
	if err != nil {
		return nil, nil, err
	}
	for _, s := range overdue {
		e := state.Event{Kind: state.DrainOverdue, At: s.Updated.Add(w.Overdue), Reason: s.Reason}
		describe(&e, s)
		current = append(current, condition{kind: e.Kind, subject: s.Name, event: e})
	}
	trying, err := all(t, plain[string], "SELECT DISTINCT pool FROM servers WHERE phase IN ('pending', 'creating')")
	return current, func(c condition) bool {
		return c.kind == state.PoolHeld && (d.Paused || slices.Contains(trying, c.event.Pool))
	}, err
}
