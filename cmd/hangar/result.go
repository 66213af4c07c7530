package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// result is the line that --exit prints.
type result struct {
	Builds    int     `json:"builds"`
	Succeeded int     `json:"succeeded"`
	Failed    int     `json:"failed"`
	Created   int     `json:"created"`
	Destroyed int     `json:"destroyed"`
	Devices   int     `json:"devices"` // alive at the end
	Leaked    int     `json:"leaked"`  // alive and in no record
	Seconds   float64 `json:"seconds"`
}

// print writes the line; it is an error if a build failed or a device leaked.
func (r result) print(out io.Writer) error {
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	if r.Failed > 0 || r.Leaked > 0 {
		return fmt.Errorf("%d builds failed and %d devices leaked", r.Failed, r.Leaked)
	}
	return nil
}

// untilDone waits until every build has ended and the pool is back at its
// minimum, and counts.
func (c simulateCommand) untilDone(ctx context.Context, world simulation, s *service, began time.Time, served chan error) (*result, error) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-served:
			served <- nil
			return nil, errors.Join(errors.New("hangar ended before the builds did"), err)
		case <-look.C:
		}
		if time.Since(began) > c.Within {
			return nil, fmt.Errorf("the builds did not end within %s; the log says why", c.Within)
		}
		snap, err := s.store.Snapshot(ctx, time.Now())
		if err != nil {
			return nil, err
		}
		stats := world.Stats()
		if stats.Succeeded+stats.Failed+stats.Orphaned < stats.Builds || !settled(snap, s.pools.At(time.Now())) {
			continue
		}
		return &result{
			Builds: stats.Builds, Succeeded: stats.Succeeded, Failed: stats.Failed, Created: stats.Created,
			Destroyed: stats.Destroyed, Devices: stats.Alive, Leaked: leaked(world.Devices(), snap),
			Seconds: float64(time.Since(began).Milliseconds()/100) / 10,
		}, nil
	}
}

// settled says whether the pools are at their minimums and nothing is on its way.
func settled(snap state.Snapshot, roster state.Roster) bool {
	min := 0
	for _, p := range roster.Pools {
		min += p.Min
	}
	for _, s := range snap.Servers {
		if s.Phase != state.Running {
			return false
		}
	}
	return len(snap.Servers) == min
}

// leaked counts the devices that no record knows.
func leaked(devices []simulator.Device, snap state.Snapshot) (n int) {
	known := make(map[string]bool)
	for _, s := range snap.Servers {
		known[s.ID] = true
	}
	for _, d := range devices {
		if !known[d.ID] {
			n++
		}
	}
	return n
}
