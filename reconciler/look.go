package reconciler

import (
	"context"
	"fmt"
	"time"

	"hangar/state"
)

// lookTime bounds one look: a state is repaired and a census is made.
const lookTime = 10 * time.Minute

// look finds out what became of a stack's devices: it makes the state file
// whole, reads it, asks the provider for the stack's devices, judges, and
// records what follows. An adoption or a destruction that follows is for the
// next run. A look that fails changes nothing and is made again.
func (c *Converger) look(ctx context.Context, stack state.Stack) error {
	log := c.Log.With("stack", stack.Name)
	bounded, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	sc, version, err := c.scene(bounded, stack)
	if ctx.Err() != nil {
		return nil // stopping: it is due again at the next start
	}
	if err != nil {
		// Later than now, whatever was due: else it would be tried without end.
		pause := c.lookFailed(stack.Name)
		log.Warn("a stack's devices could not be looked for; nothing is concluded", "error", err, "again_in", pause)
		return c.Store.Postpone(ctx, stack.Name, c.Now().Add(pause))
	}
	c.looked(stack.Name)
	j := sc.judge()
	changes := sc.changes(j, c.retryAt(sc.sight.Stack.Failures))
	if version != nil {
		version.Stack, version.Run, version.At = stack.Name, sc.sight.Run.ID, sc.began
		changes.Looks[0].Version = version
	}
	switch err := c.Store.Commit(ctx, changes); {
	case state.CodeOf(err) == state.Conflict:
		return nil // what was looked at has moved on: it is still due
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("record a look: %w", err)
	}
	c.Looked(j.sightings)
	for _, s := range j.sightings {
		log.Info("look", "server", s.Seen.Name, "phase", s.To, "device", s.Device.ID, "absent", s.Absent, "reason", s.Reason)
	}
	for _, s := range changes.Servers {
		log.Warn("look", "server", s.Name, "device", s.ID, "reason", s.Reason)
	}
	if !sc.applying && !sc.sight.Run.Awaits() {
		c.rest(ctx, stack.Name)
	}
	if len(j.strays) > 0 || stack.Unclean != "" {
		c.Unclear()
	}
	c.Finished()
	return nil
}

// lookFailed returns how long a look that failed once more is left alone: 5 s
// of a settle time of a minute, longer each time, at most that minute.
func (c *Converger) lookFailed(stack string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	pause := min(max(c.Settle/12, 100*time.Millisecond)<<min(c.failedLooks[stack], 4), c.Settle)
	c.failedLooks[stack]++
	return pause
}

func (c *Converger) looked(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.failedLooks, stack)
}

// scene gathers what a look judges. version is the state as it was read.
func (c *Converger) scene(ctx context.Context, stack state.Stack) (sc scene, version *state.StateVersion, err error) {
	sight, err := c.Store.Sight(ctx, stack.Name)
	if err != nil {
		return sc, nil, err
	}
	sc = scene{
		sight: sight, inState: sight.InState, applying: sight.Run.Phase == state.RunApplying,
		instance: c.Instance, settle: c.Settle, ready: c.ready(), boot: c.Boot,
	}
	if !sc.applying {
		if version, sc.inState, err = c.wholeState(ctx, sight); err != nil {
			return sc, nil, err
		}
	}
	sc.began = c.Now().UTC().Truncate(time.Microsecond)
	names := make([]string, len(sight.Servers))
	for i, s := range sight.Servers {
		names[i] = s.Runner()
	}
	sc.found, err = c.Terraform.Census(ctx, state.Question{Module: sight.Stack.Module, Settings: sight.Stack.Settings, Tag: sight.Stack.Census(), Names: names})
	if sc.blind = state.CodeOf(err) == state.NotFound; err != nil && !sc.blind {
		return sc, nil, err
	}
	snap, err := c.Store.Snapshot(ctx, sc.began)
	if err != nil {
		return sc, nil, err
	}
	sc.owners = owners(snap.Servers)
	return sc, version, nil
}

// owners finds the server that is known to have a device.
func owners(servers []state.Server) map[string]string {
	byID := make(map[string]string, len(servers))
	for _, s := range servers {
		if s.ID != "" {
			byID[s.ID] = s.Name
		}
	}
	return byID
}

// wholeState repairs a stack's state file where that is needed, and reads it.
func (c *Converger) wholeState(ctx context.Context, sight state.Sight) (*state.StateVersion, map[string]state.Device, error) {
	newest := sight.Version
	why, err := c.Terraform.NeedsRepair(ctx, sight.Stack, newest)
	if err != nil {
		return nil, nil, err
	}
	if why != "" {
		if newest != nil {
			full, err := c.Store.Version(ctx, sight.Stack.Name, newest.Serial)
			if err != nil {
				return nil, nil, err
			}
			newest = &full
		}
		done, err := c.Terraform.Repair(ctx, sight.Stack, newest)
		if err != nil {
			return nil, nil, err
		}
		c.Log.Warn("a state file was repaired", "stack", sight.Stack.Name, "why", why, "done", done)
	}
	return c.Terraform.Read(ctx, sight.Stack)
}
