package sqlite

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hangar/state"
)

// Commit records what one pass of the reconciler changes, all or nothing; see
// state.Changes. It is a Conflict when a server has left the phase From, when
// a joined stack has begun its first run or is gone, when a name of a new
// server or stack was ever used before, and when what a look saw is no longer
// so.
//
// The marks are taken before the moves: they were seen in the phase that a
// move ends. A stack whose generation is raised is due at once, whatever its
// retry time was: its plan will be another one.
func (s *Store) Commit(ctx context.Context, c state.Changes) error {
	return s.write(ctx, "commit changes", func(t tx) error {
		decision := int64(0) // of what is changed
		if c.Decision != nil {
			var err error
			if decision, err = addDecision(t, *c.Decision, c.At); err != nil {
				return err
			}
		}
		if o := c.Order; o != nil {
			if err := note(t, occurrence{kind: o.Kind, subject: o.Server, reason: o.Reason, who: o.By, at: c.At}); err != nil {
				return err
			}
		}
		for _, stack := range c.Stacks {
			if err := addStack(t, stack, opens(c, stack.Name), c.At); err != nil {
				return err
			}
		}
		raised, err := addServers(t, c)
		if err != nil {
			return err
		}
		for _, m := range c.Marks {
			if err := mark(t, m); err != nil {
				return err
			}
		}
		for _, m := range c.Moves {
			stack, changed, err := move(t, m, c.At)
			if err != nil {
				return err
			}
			if changed {
				raised[stack] = true
			}
		}
		if err := addSightings(t, c); err != nil {
			return err
		}
		if c.Backoff != nil {
			if err := addBackoff(t, *c.Backoff); err != nil {
				return err
			}
		}
		for stack := range raised {
			if err := raise(t, stack, c.At); err != nil {
				return err
			}
		}
		if err := endDiscards(t, c.Over, c.At); err != nil {
			return err
		}
		for _, stack := range c.Stacks {
			raised[stack.Name] = true
		}
		for stack := range raised {
			if err := t.do("UPDATE stacks SET decision = ? WHERE name = ?", decision, stack); err != nil {
				return err
			}
		}
		return addFindings(t, c)
	})
}

// claim takes a name for ever.
func claim(t tx, kind, name string) error {
	claimed, err := t.exec("INSERT INTO names (kind, name) VALUES (?, ?) ON CONFLICT DO NOTHING", kind, name)
	if err == nil && claimed == 0 {
		err = state.Errorf(state.Conflict, "the name of %s %s was used before", kind, name)
	}
	return err
}

// opens says whether more servers may join a new stack: not when it is made
// for devices that exist.
func opens(c state.Changes, stack string) bool {
	return !slices.ContainsFunc(c.Servers, func(s state.Server) bool { return s.Stack == stack && s.ID != "" })
}

func addStack(t tx, stack state.Stack, open bool, at time.Time) error {
	if err := claim(t, "stack", stack.Name); err != nil {
		return err
	}
	return t.do(`INSERT INTO stacks (name, pool, provider, candidate, settings, module, resource, tag, look_at, look_until, open, changed, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		stack.Name, stack.Pool, stack.Provider, stack.Candidate, asJSON{stack.Settings}, stack.Module, stack.Resource,
		stack.Tag, micros(stack.LookAt), micros(stack.LookUntil), open, micros(at), micros(or(stack.Created, at)))
}

// addServers adds the new servers and returns the stacks that were there
// before and have grown.
func addServers(t tx, c state.Changes) (grown map[string]bool, err error) {
	made, joins := make(map[string]bool), make(map[string]bool)
	for _, stack := range c.Stacks {
		made[stack.Name] = true
	}
	for _, server := range c.Servers {
		if !made[server.Stack] {
			joins[server.Stack] = true
		}
	}
	for stack := range joins {
		if open, err := t.count("SELECT count(*) FROM stacks WHERE name = ? AND open = 1", stack); err != nil {
			return nil, err
		} else if open == 0 {
			return nil, state.Errorf(state.Conflict, "servers can no longer join stack %s", stack)
		}
	}
	for _, server := range c.Servers {
		if err := claim(t, "server", server.Name); err != nil {
			return nil, err
		}
		if err := t.do(`INSERT INTO servers (name, pool, stack, phase, provider, capacity, price, spec, machine, reason, ordered, condemned, created, updated, started)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			server.Name, server.Pool, server.Stack, cmp.Or(server.Phase, state.Pending), server.Provider, server.Capacity,
			server.Price, server.Spec, server.Machine,
			server.Reason, server.Ordered, server.Condemned, micros(or(server.Created, c.At)), micros(c.At), micros(server.Started)); err != nil {
			return nil, err
		}
		if server.ID != "" {
			if err := setDevice(t, server.Name, server.Device); err != nil {
				return nil, err
			}
		}
	}
	return joins, nil
}

func or(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// mark keeps the first time that a stage was seen on a server, and the last
// word on the rest.
func mark(t tx, m state.Mark) error {
	return t.do(`UPDATE servers SET served = CASE served WHEN 0 THEN ?3 ELSE served END, idle_since = ?4, quiet_since = ?5,
			reason = CASE ?6 WHEN '' THEN reason ELSE ?6 END
		WHERE name = ?1 AND phase = ?2`,
		m.Server, m.Phase, micros(m.Served), micros(m.IdleSince), micros(m.QuietSince), m.Reason)
}

// move takes a server from one phase to another and says whether that changes
// what is wanted of its stack.
func move(t tx, m state.Move, at time.Time) (stack string, changed bool, err error) {
	server, err := oneServer(t, m.Server)
	if state.CodeOf(err) == state.NotFound {
		return "", false, state.Errorf(state.Conflict, "server %s is gone", m.Server)
	}
	if err != nil {
		return "", false, err
	}
	if server.Phase != m.From {
		return "", false, state.Errorf(state.Conflict, "server %s is %s, no longer %s", m.Server, server.Phase, m.From)
	}
	if m.From == state.Stopping && m.To.Usable() && server.Waits == 0 {
		return "", false, state.Errorf(state.Conflict, "the destruction of server %s does not wait any more", m.Server)
	}
	if m.To != m.From {
		err = setPhase(t, m.Server, m.To, m.Reason, at)
	} else if m.Reason != "" {
		err = t.do("UPDATE servers SET reason = ? WHERE name = ?", m.Reason, m.Server)
	}
	if err == nil && m.To == state.Stopping && (server.ID == "" || server.Absent != "" || server.Booting()) {
		// Nothing that can be destroyed is known: a look tells whether there is.
		err = t.do("UPDATE stacks SET look_at = ?2 WHERE name = ?1 AND (look_at = 0 OR look_at > ?2)", server.Stack, micros(at))
	}
	if err == nil && (m.Condemned || m.Forced) {
		err = t.do("UPDATE servers SET condemned = condemned OR ?, forced = forced OR ? WHERE name = ?", m.Condemned, m.Forced, m.Server)
	}
	return server.Stack, m.From.Wanted() != m.To.Wanted(), err
}

func raise(t tx, stack string, at time.Time) error {
	return t.do(`UPDATE stacks SET generation = generation + 1, retry_at = 0,
			changed = CASE WHEN generation = applied THEN ?2 ELSE changed END
		WHERE name = ?1`, stack, micros(at))
}
