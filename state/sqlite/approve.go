package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

// Await records that a planned run waits for a person. It is a Conflict when the
// run is not planned.
func (s *Store) Await(ctx context.Context, run int64, at time.Time) error {
	return s.write(ctx, fmt.Sprintf("have run %d wait", run), func(t tx) error {
		if _, err := runIn(t, run, state.RunPlanned); err != nil {
			return err
		}
		return t.do("UPDATE runs SET waits = ? WHERE id = ?", micros(at), run)
	})
}

// Awaiting returns the runs that wait for a person, or have been approved and
// are about to be applied, oldest first.
func (s *Store) Awaiting(ctx context.Context) (runs []state.Run, err error) {
	err = s.read(ctx, "find runs that wait", func(t tx) error {
		runs, err = all(t, scanRun, "SELECT "+runColumns+" FROM runs WHERE phase = 'planned' AND waits > 0 ORDER BY id")
		return err
	})
	return runs, err
}

// Resume returns a run that waits as it is now, with what was rendered for it. It
// is a Conflict when it does not wait.
func (s *Store) Resume(ctx context.Context, id int64) (run state.Run, ws state.Workspace, err error) {
	err = s.read(ctx, fmt.Sprintf("resume run %d", id), func(t tx) error {
		if run, err = awaiting(t, id); err != nil {
			return err
		}
		if ws.Stack, err = oneStack(t, run.Stack); err != nil {
			return err
		}
		present, err := presentIn(t, run.Stack)
		for _, server := range present {
			if slices.Contains(run.Creates, server.Name) || slices.Contains(run.Keeps, server.Name) {
				ws.Servers = append(ws.Servers, server)
			}
		}
		return err
	})
	return run, ws, err
}

// Approve records that a person approved a run that waits. It is a Conflict when
// the run does not wait, or is stale.
func (s *Store) Approve(ctx context.Context, run int64, by string, at time.Time) error {
	return s.write(ctx, fmt.Sprintf("approve run %d", run), func(t tx) error {
		r, err := undecided(t, run)
		if err != nil {
			return err
		}
		stack, err := oneStack(t, r.Stack)
		if err == nil && stack.Generation != r.Generation {
			err = state.Errorf(state.Conflict, "what is wanted of stack %s has changed since; it is planned anew", r.Stack)
		}
		if err != nil {
			return err
		}
		return t.do("UPDATE runs SET approved = ?2, decided_by = ?3 WHERE id = ?1", run, micros(at), by)
	})
}

// Discard ends a run that waits, because a person does not want it. The servers
// that it was to create are given up. Those that it was to destroy go back to
// work, also when a person had asked for them to leave; one whose machine is of no
// use stays as it is, and is not planned for. None of it is asked for again while
// the demand of their pool is the given one. It is a Conflict when the run does
// not wait.
func (s *Store) Discard(ctx context.Context, run int64, by string, at time.Time, demand state.Demand) error {
	return s.write(ctx, fmt.Sprintf("discard run %d", run), func(t tx) error {
		r, err := undecided(t, run)
		if err != nil {
			return err
		}
		reason := fmt.Sprintf("%s discarded run %d, which was to ", by, run)
		keep := func(server string) error {
			return t.do(`INSERT INTO discards (pool, server, at, decided_by, demand) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET at = excluded.at, decided_by = excluded.decided_by, demand = excluded.demand`,
				r.Pool, server, micros(at), by, asJSON{demand})
		}
		if len(r.Creates) > 0 {
			err = keep("")
		}
		for _, name := range r.Creates {
			if err == nil {
				err = giveUp(t, name, reason+"create it", at)
			}
		}
		for _, name := range r.Deletes {
			if err == nil {
				err = takeBack(t, name, reason+"destroy it", at)
			}
			if err == nil {
				err = keep(name)
			}
		}
		if err == nil {
			err = raise(t, r.Stack, at)
		}
		if err != nil {
			return err
		}
		return t.do("UPDATE runs SET phase = 'discarded', decided_by = ?2, finished = ?3, error = ?4 WHERE id = ?1",
			run, by, micros(at), "discarded by "+by)
	})
}

// giveUp ends a server whose create has not begun.
func giveUp(t tx, name, reason string, at time.Time) error {
	server, err := oneServer(t, name)
	if err != nil || server.Phase != state.Pending {
		return err
	}
	return setPhase(t, name, state.Stopped, reason, at)
}

// takeBack puts a server that was to be destroyed back to work. One whose runner
// was told to end is set up once more. What cannot work is left.
func takeBack(t tx, name, reason string, at time.Time) error {
	server, err := oneServer(t, name)
	if err != nil || server.Phase != state.Stopping {
		return err
	}
	if server.Machine != "" || server.Absent != "" || server.Error != "" || server.Taken || !server.Doubt.IsZero() ||
		server.State == state.Tainted || server.State == string(state.FoundFailed) {
		return t.do("UPDATE servers SET reason = ? WHERE name = ?", reason+"; it cannot go back to work", name)
	}
	to := state.Running
	if !server.Told.IsZero() || server.Started.IsZero() {
		to = state.Staging
	}
	if err := setPhase(t, name, to, reason, at); err != nil {
		return err
	}
	return t.do("UPDATE servers SET condemned = 0, forced = 0 WHERE name = ?", name)
}

func awaiting(t tx, id int64) (state.Run, error) {
	run, err := oneRun(t, id)
	if err == nil && !run.Awaits() {
		err = state.Errorf(state.Conflict, "the run is %s: it does not wait for a person", run.Phase)
	}
	return run, err
}

// undecided is a run about which a person may decide.
func undecided(t tx, id int64) (state.Run, error) {
	run, err := awaiting(t, id)
	if err == nil && !run.Approved.IsZero() {
		err = state.Errorf(state.Conflict, "%s has approved it, and it is about to be applied", run.By)
	}
	return run, err
}

func scanDiscard(r row) (d state.Discard, err error) {
	err = r.Scan(&d.Pool, &d.Server, stamp{&d.At}, &d.By, asJSON{&d.Demand})
	return d, err
}

const discardQuery = "SELECT pool, server, at, decided_by, demand FROM discards"

// endDiscards lets what was discarded be asked for again: a server that could not
// go back to work is planned for once more.
func endDiscards(t tx, over []state.Discard, at time.Time) error {
	for _, d := range over {
		if err := t.do("DELETE FROM discards WHERE pool = ? AND server = ?", d.Pool, d.Server); err != nil {
			return err
		}
		if d.Server == "" {
			continue
		}
		server, err := oneServer(t, d.Server)
		if state.CodeOf(err) == state.NotFound {
			continue
		}
		if err == nil && server.Phase == state.Stopping {
			err = raise(t, server.Stack, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parked are the servers of which a person discarded the destruction and that
// could not go back to work.
func parked(t tx) (map[string]bool, error) {
	names, err := all(t, plain[string], "SELECT server FROM discards WHERE server <> ''")
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set, err
}
