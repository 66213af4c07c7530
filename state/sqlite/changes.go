package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

// Commit records what one pass of the reconciler changes, all or nothing; see
// state.Changes. It is a Conflict when a server has left the phase From, when
// a joined stack has begun its first run or is gone, and when a name of a new
// server or stack was ever used before.
//
// The marks are taken before the moves: they were seen in the phase that a
// move ends. A stack whose generation is raised is due at once, whatever its
// retry time was: its plan will be another one.
func (s *Store) Commit(ctx context.Context, c state.Changes) error {
	return s.write(ctx, "commit changes", func(t tx) error {
		for _, stack := range c.Stacks {
			if err := addStack(t, stack, c.At); err != nil {
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
		if c.Decision != nil {
			return addDecision(t, *c.Decision, c.At)
		}
		return nil
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

func addStack(t tx, stack state.Stack, at time.Time) error {
	if err := claim(t, "stack", stack.Name); err != nil {
		return err
	}
	return t.do(`INSERT INTO stacks (name, pool, provider, candidate, settings, module, resource, changed, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		stack.Name, stack.Pool, stack.Provider, stack.Candidate, asJSON{stack.Settings}, stack.Module, stack.Resource,
		micros(at), micros(or(stack.Created, at)))
}

// addServers adds the new servers and returns the stacks that were there
// before and have grown.
func addServers(t tx, c state.Changes) (grown map[string]bool, err error) {
	joins := make(map[string]bool)
	for _, server := range c.Servers {
		joins[server.Stack] = true
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
		if err := t.do(`INSERT INTO servers (name, pool, stack, phase, provider, capacity, reason, ordered, created, updated)
			VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)`,
			server.Name, server.Pool, server.Stack, server.Provider, server.Capacity, server.Reason, server.Ordered,
			micros(or(server.Created, c.At)), micros(c.At)); err != nil {
			return nil, err
		}
	}
	for _, stack := range c.Stacks { // at generation 1, whoever is in it
		delete(joins, stack.Name)
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
	return t.do(`UPDATE servers SET served = CASE served WHEN 0 THEN ?3 ELSE served END, idle_since = ?4, quiet_since = ?5
		WHERE name = ?1 AND phase = ?2`,
		m.Server, m.Phase, micros(m.Served), micros(m.IdleSince), micros(m.QuietSince))
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
	if m.To != m.From {
		err = setPhase(t, m.Server, m.To, m.Reason, at)
	} else if m.Reason != "" {
		err = t.do("UPDATE servers SET reason = ? WHERE name = ?", m.Reason, m.Server)
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
