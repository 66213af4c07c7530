package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Gather turns what has happened since it was last called into events of the
// log, and returns how many. An event never changes once it is recorded.
func (s *Store) Gather(ctx context.Context, now time.Time, w state.Watch) (recorded int, err error) {
	err = s.write(ctx, "gather events", func(t tx) error {
		recorded, err = gather(t, now, w)
		return err
	})
	return recorded, err
}

func gather(t tx, now time.Time, w state.Watch) (recorded int, err error) {
	r := &recorder{tx: t, now: now}
	if r.instance, _, err = one(t, plain[string], "SELECT value FROM settings WHERE name = 'instance'"); err != nil {
		return 0, err
	}
	if err := r.occurrences(); err != nil {
		return 0, err
	}
	err = r.conditions(w)
	return r.recorded, err
}

// occurrence is what was noted.
type occurrence struct {
	id              int64
	kind            state.EventKind
	subject, reason string
	phase           state.Phase
	who             string
	at              time.Time
}

func scanOccurrence(r row) (o occurrence, err error) {
	err = r.Scan(&o.id, &o.kind, &o.subject, &o.phase, &o.reason, &o.who, stamp{&o.at})
	return o, err
}

// occurrences makes events of what was noted, in order.
func (r *recorder) occurrences() error {
	list, err := all(r.tx, scanOccurrence, "SELECT id, kind, subject, phase, reason, who, at FROM occurrences ORDER BY id")
	if err != nil {
		return err
	}
	early := make(map[string]bool) // servers whose error is not known in full
	for _, o := range list {
		e := state.Event{Kind: o.kind, At: o.at, Reason: o.reason, By: o.who}
		is := true // it happened, as far as can still be told
		news := false
		switch o.kind {
		case state.ServerCreated, state.ServerDestroyed, state.ServerError:
			if !early[o.subject] {
				early[o.subject], err = r.server(o, &e)
			}
			if early[o.subject] {
				continue
			}
			news = true
		case state.ServerPhase, state.OrderedServer, state.OrderedDestroy:
			_, err = r.server(o, &e)
		case state.PlanRefused:
			news, err = r.refusal(o, &e)
		case state.FindingBegan, state.FindingEnded:
			is, err = r.finding(o, &e)
			news = true
		case state.DecisionMade:
			err = r.decision(o, &e)
		case state.PauseBegan, state.PauseEnded, state.OrderedAdoption, state.OrderedRemoval:
		default:
			err = r.run(o, &e)
			news = o.kind == state.RunWaits
		}
		if err == nil && is {
			err = r.event(e, o.id, news)
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
	if o.phase != "" {
		e.Phase = o.phase
	}
	switch o.kind {
	case state.ServerCreated:
		e.Error = ""
	case state.ServerError:
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

// run completes an event of a run.
func (r *recorder) run(o occurrence, e *state.Event) error {
	id, err := strconv.ParseInt(o.subject, 10, 64)
	if err != nil {
		return err
	}
	e.Run = id
	run, err := oneRun(r.tx, id)
	if state.CodeOf(err) == state.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	e.Pool, e.Stack, e.Error, e.Decision = run.Pool, run.Stack, run.Error, run.Decision
	switch o.kind {
	case state.RunBegun:
		e.Error, e.Reason = "", fmt.Sprintf("%d to create, %d to destroy, %d to adopt", len(run.Creates), len(run.Deletes), len(run.Imports))
	case state.RunWaits:
		e.Reason = fmt.Sprintf("%d to create, %d to destroy; hangar approve %d, or hangar discard %d", len(run.Creates), len(run.Deletes), id, id)
	}
	return nil
}

// refusal completes the event of a refused plan. That the plan of the same wish
// was refused again, for the same reason, is no news.
func (r *recorder) refusal(o occurrence, e *state.Event) (news bool, err error) {
	if err := r.run(o, e); err != nil || e.Stack == "" {
		return true, err
	}
	run, err := oneRun(r.tx, e.Run)
	if err != nil {
		return false, err
	}
	subject := fmt.Sprintf("%s %d", run.Stack, run.Generation)
	told, _, err := one(r.tx, scanCondition, conditionQuery+" WHERE kind = ? AND subject = ?", e.Kind, subject)
	if err != nil || told.event.Reason == e.Reason {
		return false, err
	}
	return true, putCondition(r.tx, condition{kind: e.Kind, subject: subject, event: *e})
}

// decision completes the event of a decision: what it makes and moves.
func (r *recorder) decision(o occurrence, e *state.Event) error {
	d, found, err := one(r.tx, scanDecision, "SELECT id, at, body FROM decisions WHERE id = ?", o.subject)
	if err != nil || !found {
		return err
	}
	e.Decision = d.ID
	var words []string
	for _, p := range d.Pools {
		if p.Create > 0 {
			words = append(words, fmt.Sprintf("create %d in %s", p.Create, p.Pool))
		}
	}
	moved := map[state.Action]int{}
	for _, s := range d.Servers {
		moved[s.Action]++
	}
	for _, action := range []state.Action{state.Drain, state.Revive, state.Stop, state.Drop} {
		if moved[action] > 0 {
			words = append(words, fmt.Sprintf("%s %d", action, moved[action]))
		}
	}
	e.Reason = strings.Join(words, ", ")
	return nil
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

// conditions records what now is so and was not before, and what has not been so
// for a while.
func (r *recorder) conditions(w state.Watch) error {
	current, doubtful, err := currentConditions(r.tx, r.now, w)
	if err != nil {
		return err
	}
	known, err := all(r.tx, scanCondition, conditionQuery+" WHERE kind <> 'plan.refused'")
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
		if err := r.event(c.event, 0, true); err != nil {
			return err
		}
		if err := putCondition(r.tx, c); err != nil {
			return err
		}
	}
	for _, c := range known {
		if err := r.review(c, is(current, c) || doubtful(c), w.Calm); err != nil {
			return err
		}
	}
	return r.do(`DELETE FROM conditions WHERE kind = 'plan.refused'
		AND subject NOT IN (SELECT name || ' ' || generation FROM stacks WHERE generation <> applied)`)
}

// review judges a condition that was told: it stands, or it has not been seen
// for a while and has ended.
func (r *recorder) review(c condition, stands bool, calm time.Duration) error {
	end, told := ends[c.kind]
	switch {
	case stands && c.unseen.IsZero():
		return nil
	case stands:
		return r.do("UPDATE conditions SET unseen = 0 WHERE kind = ? AND subject = ?", c.kind, c.subject)
	case told && c.unseen.IsZero():
		return r.do("UPDATE conditions SET unseen = ? WHERE kind = ? AND subject = ?", micros(r.now), c.kind, c.subject)
	case told && r.now.Sub(c.unseen) < calm:
		return nil
	}
	if told {
		e := c.event
		e.Kind, e.At, e.Reason = end, c.unseen, "no longer so: "+c.event.Reason
		if err := r.event(e, 0, true); err != nil {
			return err
		}
	}
	return r.do("DELETE FROM conditions WHERE kind = ? AND subject = ?", c.kind, c.subject)
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
