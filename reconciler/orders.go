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
// is empty, whatever the queue shows, for the person of a login. A pool at its
// maximum is a Conflict.
func (r *Reconciler) Create(ctx context.Context, pool, by string) (state.Server, error) {
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
		stacks, servers := place(p, scale.Candidate(p, snap.Backoffs, at), 1, r.stackSize(1), snap, at)
		servers[0].Ordered, servers[0].Reason = true, "asked for by an admin"
		made = servers[0]
		order := &state.Order{Kind: state.OrderedServer, Server: made.Name, By: by, Reason: made.Reason}
		return state.Changes{At: at, Stacks: stacks, Servers: servers, Order: order}, nil
	})
	return made, err
}

// Destroy lets a server leave, for the person of a login: it drains first and is destroyed when no stage
// is left on it. With force it is destroyed at once, whatever runs on it; so is
// one that is on its way out already, and one in error: what is not known of
// its device is looked for first. Destroying what is gone changes nothing.
func (r *Reconciler) Destroy(ctx context.Context, name string, force bool, by string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order(ctx, func(snap state.Snapshot) (state.Changes, error) {
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
		c := state.Changes{At: r.Now().UTC(), Moves: []state.Move{m}, Order: &state.Order{Kind: state.OrderedDestroy, Server: name, By: by, Reason: m.Reason}}
		for _, d := range snap.Discards {
			if d.Server == name {
				c.Over = append(c.Over, d)
			}
		}
		return c, nil
	})
}

// Approve has a run that waits for a person applied, as long as its plan is not
// stale. It is NotFound, or a Conflict when the run does not wait.
func (r *Reconciler) Approve(ctx context.Context, run int64, by string) error {
	if err := r.Records.Approve(ctx, run, by, r.Now().UTC()); err != nil {
		return err
	}
	r.Log.Info("run", "run", run, "approved_by", by)
	r.Committed()
	return nil
}

// Discard ends a run that waits for a person. The servers that it was to create
// are given up, and those that it was to destroy go back to work, if they can;
// neither is asked for again before the demand of their pool changes. It is
// NotFound, or a Conflict when the run does not wait.
func (r *Reconciler) Discard(ctx context.Context, run int64, by string) error {
	found, err := r.Records.Run(ctx, run)
	if err != nil {
		return err
	}
	stages, err := r.Queue.Queue(ctx)
	if err != nil {
		return state.Errorf(state.Unavailable, "the build queue cannot be read, so that it is not known for which demand the run is discarded: %v", err)
	}
	var demand state.Demand // also that of a pool that is there no more
	if pool := r.Pools.At(r.Now()).Pool(found.Pool); pool.Name != "" {
		demand = scale.Demand(stages, pool)
	}
	r.mu.Lock() // a pass that began before does not know of it
	defer r.mu.Unlock()
	if err := r.Records.Discard(ctx, run, by, r.Now().UTC(), demand); err != nil {
		return err
	}
	r.Log.Info("run", "run", run, "discarded_by", by)
	r.Ended(found, state.Finish{Run: run, Phase: state.RunDiscarded})
	r.Committed()
	r.Poke()
	return nil
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

// Pause stops the making and removing of servers until Resume, for the person
// of a login. What has begun goes on.
func (r *Reconciler) Pause(ctx context.Context, by string) error { return r.setPaused(ctx, true, by) }

// Resume ends a pause, for the person of a login.
func (r *Reconciler) Resume(ctx context.Context, by string) error { return r.setPaused(ctx, false, by) }

func (r *Reconciler) setPaused(ctx context.Context, paused bool, by string) error {
	if err := r.Records.SetPaused(ctx, paused, by, r.Now().UTC()); err != nil {
		return fmt.Errorf("record the pause: %w", err)
	}
	if paused {
		r.Log.Info("paused by an admin")
	} else {
		r.Log.Info("resumed by an admin")
	}
	r.Committed()
	r.Poke()
	return nil
}
