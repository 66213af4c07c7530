package reconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Create adds one server to the named pool, or to the first one when the name
// is empty, whatever the queue shows. A pool at its maximum is a Conflict.
func (r *Reconciler) Create(ctx context.Context, pool string) (state.Server, error) {
	roster := r.Pools.At(r.Now())
	if pool == "" {
		pool = roster.Pools[0].Name
	}
	p := roster.Pool(pool)
	if p.Name == "" {
		names := make([]string, len(roster.Pools))
		for i, p := range roster.Pools {
			names[i] = p.Name
		}
		return state.Server{}, state.Errorf(state.NotFound, "there is no pool %q; the pools are: %s", pool, strings.Join(names, ", "))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var made state.Server
	err := r.order(ctx, func(snap state.Snapshot) (state.Changes, error) {
		at := r.Now().UTC()
		if why := scale.Full(scale.Observation{At: at, Servers: snap.Servers, Backoffs: snap.Backoffs, Spent: snap.Spent, Max: roster.Max}, roster.Pools, p.Name); why != "" {
			return state.Changes{}, state.Errorf(state.Conflict, "pool %s: %s; raise it (DRONE_POOL_MAX, or the pools file), or destroy a server first", p.Name, why)
		}
		stacks, servers := place(p, scale.Candidate(p, snap.Backoffs, at), 1, r.StackSize, snap, at)
		servers[0].Ordered, servers[0].Reason = true, "asked for by an admin"
		made = servers[0]
		return state.Changes{At: at, Stacks: stacks, Servers: servers}, nil
	})
	return made, err
}

// Destroy lets a server leave: it drains first and is destroyed when no stage
// is left on it. With force it is destroyed at once, whatever runs on it; so is
// one that is on its way out already, and one in error: what is not known of
// its device is looked for first. Destroying what is gone changes nothing.
func (r *Reconciler) Destroy(ctx context.Context, name string, force bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order(ctx, func(state.Snapshot) (state.Changes, error) {
		s, err := r.Records.Server(ctx, name)
		if err != nil {
			return state.Changes{}, err
		}
		if s.Taken {
			return state.Changes{}, state.Errorf(state.Conflict,
				"server %s (%s) is not destroyed: its device %s no longer carries the tag hangar-instance of this installation; put the tag back, or remove the device at the provider", name, s.Phase, s.ID)
		}
		m := state.Move{Server: name, From: s.Phase, To: s.Phase, Condemned: true, Forced: force, Reason: "an admin asked for it to be destroyed"}
		if force {
			m.Reason += " at once, whatever runs on it"
		}
		switch s.Phase {
		case state.Stopped:
			return state.Changes{}, errGone
		case state.Pending:
			m.To = state.Stopped
		case state.Creating, state.Created, state.Staging, state.Running, state.Shutdown, state.Failed:
			switch {
			case force:
				m.To = state.Stopping
			case s.Phase == state.Running:
				m.To = state.Shutdown
			}
		}
		return state.Changes{At: r.Now().UTC(), Moves: []state.Move{m}}, nil
	})
}

// errGone ends an order that has nothing left to do.
var errGone = errors.New("the server is gone")

// order commits what make builds on the newest snapshot, again as long as the
// slow loop gets in between.
func (r *Reconciler) order(ctx context.Context, make func(state.Snapshot) (state.Changes, error)) error {
	for {
		snap, err := r.Records.Snapshot(ctx, r.Now())
		if err != nil {
			return fmt.Errorf("read the records: %w", err)
		}
		c, err := make(snap)
		if errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		err = r.Records.Commit(ctx, c)
		if state.CodeOf(err) == state.Conflict {
			continue
		}
		if err != nil {
			return fmt.Errorf("commit the order: %w", err)
		}
		r.Log.Info("ordered", "servers", len(c.Servers), "moves", len(c.Moves))
		r.Committed()
		r.Poke()
		return nil
	}
}

// Pause stops the making and removing of servers until Resume. What has begun
// goes on.
func (r *Reconciler) Pause(ctx context.Context) error { return r.setPaused(ctx, true) }

// Resume ends a pause.
func (r *Reconciler) Resume(ctx context.Context) error { return r.setPaused(ctx, false) }

func (r *Reconciler) setPaused(ctx context.Context, paused bool) error {
	if err := r.Records.SetPaused(ctx, paused); err != nil {
		return fmt.Errorf("record the pause: %w", err)
	}
	if paused {
		r.Log.Info("paused by an admin")
	} else {
		r.Log.Info("resumed by an admin")
	}
	r.Poke()
	return nil
}
