package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

const serverColumns = `name, pool, stack, phase, provider, capacity, price, spec,
	device_id, address, private_address, device_state, region, size, image,
	machine, began, absent, doubt, taken, unseen,
	setup, active, reached, told, drained, unreachable, repaired, reason, error, ordered, condemned, forced, progress_action, progress_elapsed,
	created, updated, started, stopped, served, idle_since, quiet_since,
	CASE WHEN phase IN ('pending', 'stopping') THEN coalesce((SELECT max(id) FROM runs WHERE runs.stack = servers.stack AND runs.phase = 'planned'
		AND runs.waits > 0 AND runs.approved = 0
		AND servers.name IN (SELECT value FROM json_each(CASE servers.phase WHEN 'pending' THEN runs.creates ELSE runs.deletes END))), 0) ELSE 0 END`

func scanServer(r row) (s state.Server, err error) {
	var elapsed int64
	err = r.Scan(&s.Name, &s.Pool, &s.Stack, &s.Phase, &s.Provider, &s.Capacity, &s.Price, &s.Spec,
		&s.ID, &s.Address, &s.PrivateAddress, &s.State, &s.Region, &s.Size, &s.Image,
		&s.Machine, stamp{&s.Began}, &s.Absent, stamp{&s.Doubt}, &s.Taken, stamp{&s.Unseen},
		&s.Setup, stamp{&s.Active}, stamp{&s.Reached}, stamp{&s.Told}, stamp{&s.Drained}, stamp{&s.Unreachable}, stamp{&s.Repaired}, &s.Reason, &s.Error, &s.Ordered, &s.Condemned, &s.Forced, &s.Progress.Action, &elapsed,
		stamp{&s.Created}, stamp{&s.Updated}, stamp{&s.Started}, stamp{&s.Stopped},
		stamp{&s.Served}, stamp{&s.IdleSince}, stamp{&s.QuietSince}, &s.Waits)
	s.Progress.Elapsed = time.Duration(elapsed) * time.Microsecond
	return s, err
}

// Server returns a server, also a stopped one; NotFound when there is none of
// that name.
func (s *Store) Server(ctx context.Context, name string) (server state.Server, err error) {
	err = s.read(ctx, "read server "+name, func(t tx) error {
		server, err = oneServer(t, name)
		return err
	})
	return server, err
}

func oneServer(t tx, name string) (state.Server, error) {
	server, found, err := one(t, scanServer, "SELECT "+serverColumns+" FROM servers WHERE name = ?", name)
	if err == nil && !found {
		err = state.Errorf(state.NotFound, "there is no server %s", name)
	}
	return server, err
}

// Servers returns all servers that are kept, stopped ones included, in order of
// creation, then name.
func (s *Store) Servers(ctx context.Context) (servers []state.Server, err error) {
	err = s.read(ctx, "list servers", func(t tx) error {
		servers, err = all(t, scanServer, "SELECT "+serverColumns+" FROM servers ORDER BY created, name")
		return err
	})
	return servers, err
}

// setPhase takes a server to another phase; it is active from the first one in
// which its device is. What was seen of it in the last
// one ends with it: a server that is put back to work has not been idle, and
// one that drains again has not been quiet.
func setPhase(t tx, server string, to state.Phase, reason string, at time.Time) error {
	return t.do(`UPDATE servers SET phase = ?2, reason = ?3, updated = ?4, idle_since = 0, quiet_since = 0,
			active = CASE WHEN ?2 IN ('created', 'staging', 'running') AND active = 0 THEN ?4 ELSE active END,
			started = CASE WHEN ?2 = 'running' AND started = 0 THEN ?4 ELSE started END,
			stopped = CASE WHEN ?2 = 'stopped' THEN ?4 ELSE stopped END
		WHERE name = ?1`, server, to, reason, micros(at))
}
