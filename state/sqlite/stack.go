package sqlite

import (
	"context"

	"hangar/state"
)

const stackColumns = `name, pool, provider, candidate, settings, module, resource,
	tag, generation, applied, unclean, look_at, look_until, failures, retry_at, created, emptied`

func scanStack(r row) (s state.Stack, err error) {
	err = r.Scan(&s.Name, &s.Pool, &s.Provider, &s.Candidate, asJSON{&s.Settings}, &s.Module, &s.Resource,
		&s.Tag, &s.Generation, &s.Applied, &s.Unclean, stamp{&s.LookAt}, stamp{&s.LookUntil}, &s.Failures, stamp{&s.RetryAt}, stamp{&s.Created}, stamp{&s.Emptied})
	return s, err
}

// Stack returns a stack; NotFound when there is none of that name.
func (s *Store) Stack(ctx context.Context, name string) (stack state.Stack, err error) {
	err = s.read(ctx, "read stack "+name, func(t tx) error {
		stack, err = oneStack(t, name)
		return err
	})
	return stack, err
}

func oneStack(t tx, name string) (state.Stack, error) {
	stack, found, err := one(t, scanStack, "SELECT "+stackColumns+" FROM stacks WHERE name = ?", name)
	if err == nil && !found {
		err = state.Errorf(state.NotFound, "there is no stack %s", name)
	}
	return stack, err
}

// Stacks returns all stacks, emptied ones included, in order of creation.
func (s *Store) Stacks(ctx context.Context) (stacks []state.Stack, err error) {
	err = s.read(ctx, "list stacks", func(t tx) error {
		stacks, err = all(t, scanStack, "SELECT "+stackColumns+" FROM stacks ORDER BY created, name")
		return err
	})
	return stacks, err
}

// UncleanStacks counts, by pool, the stacks that are not run again before a look
// has told what became of their devices.
func (s *Store) UncleanStacks(ctx context.Context) (byPool map[string]int, err error) {
	err = s.read(ctx, "count unclean stacks", func(t tx) error {
		pools, err := all(t, plain[string], "SELECT pool FROM stacks WHERE unclean <> ''")
		byPool = make(map[string]int)
		for _, pool := range pools {
			byPool[pool]++
		}
		return err
	})
	return byPool, err
}

// Outputs returns the devices that the newest state of a stack showed, by
// server.
func (s *Store) Outputs(ctx context.Context, stack string) (devices map[string]state.Device, err error) {
	err = s.read(ctx, "read the outputs of stack "+stack, func(t tx) error {
		if _, err := oneStack(t, stack); err != nil {
			return err
		}
		devices, err = outputsOf(t, stack)
		return err
	})
	return devices, err
}

// Sight returns what a look at a stack starts from, as of one instant: the
// stack, its servers that are not stopped, the devices that its newest recorded
// state shows, by server, its newest run (of ID 0 when it has none) and its
// newest state version without its bytes, nil when it has none.
func (s *Store) Sight(ctx context.Context, stack string) (sight state.Sight, err error) {
	err = s.read(ctx, "look at stack "+stack, func(t tx) error {
		if sight.Stack, err = oneStack(t, stack); err != nil {
			return err
		}
		if sight.Servers, err = presentIn(t, stack); err != nil {
			return err
		}
		if sight.InState, err = outputsOf(t, stack); err != nil {
			return err
		}
		if sight.Run, err = newestRun(t, stack); err != nil {
			return err
		}
		version, found, err := one(t, scanVersion, "SELECT "+versionColumns+" FROM versions WHERE stack = ? ORDER BY id DESC LIMIT 1", stack)
		if found {
			sight.Version = &version
		}
		return err
	})
	return sight, err
}

func presentIn(t tx, stack string) ([]state.Server, error) {
	return all(t, scanServer, "SELECT "+serverColumns+" FROM servers WHERE stack = ? AND phase <> 'stopped' ORDER BY name", stack)
}

func outputsOf(t tx, stack string) (devices map[string]state.Device, err error) {
	err = t.sql.QueryRowContext(t.ctx, "SELECT outputs FROM stacks WHERE name = ?", stack).Scan(asJSON{&devices})
	return devices, err
}

func newestRun(t tx, stack string) (state.Run, error) {
	run, _, err := one(t, scanRun, "SELECT "+runColumns+" FROM runs WHERE stack = ? ORDER BY id DESC LIMIT 1", stack)
	return run, err
}

const versionColumns = "stack, serial, lineage, sha256, size, run, decision, at"

func scanVersion(r row) (v state.StateVersion, err error) {
	err = r.Scan(&v.Stack, &v.Serial, &v.Lineage, &v.SHA256, &v.Size, &v.Run, &v.Decision, stamp{&v.At})
	return v, err
}

// Versions returns the state versions of a stack without their bytes, newest
// first.
func (s *Store) Versions(ctx context.Context, stack string) (versions []state.StateVersion, err error) {
	err = s.read(ctx, "list the state versions of stack "+stack, func(t tx) error {
		if _, err := oneStack(t, stack); err != nil {
			return err
		}
		versions, err = all(t, scanVersion, "SELECT "+versionColumns+" FROM versions WHERE stack = ? ORDER BY id DESC", stack)
		return err
	})
	return versions, err
}

// Version returns a state version with its bytes: the newest one of that
// serial, should a state that was lost have begun again.
func (s *Store) Version(ctx context.Context, stack string, serial int64) (version state.StateVersion, err error) {
	err = s.read(ctx, "read a state version", func(t tx) error {
		var found bool
		version, found, err = one(t, func(r row) (v state.StateVersion, err error) {
			err = r.Scan(&v.Stack, &v.Serial, &v.Lineage, &v.SHA256, &v.Size, &v.Run, &v.Decision, stamp{&v.At}, &v.Bytes)
			return v, err
		}, "SELECT "+versionColumns+", bytes FROM versions WHERE stack = ? AND serial = ? ORDER BY id DESC LIMIT 1", stack, serial)
		if err == nil && !found {
			err = state.Errorf(state.NotFound, "stack %s has no state version %d", stack, serial)
		}
		if err == nil {
			version.Bytes, err = expand(version.Bytes)
		}
		return err
	})
	return version, err
}

// StateBytes returns the bytes of a version that Versions returned. A serial
// alone does not tell one version from another after a state was lost.
func (s *Store) StateBytes(ctx context.Context, v state.StateVersion) (stateJSON []byte, err error) {
	err = s.read(ctx, "read a state version", func(t tx) error {
		packed, found, err := one(t, plain[[]byte], "SELECT bytes FROM versions WHERE stack = ? AND serial = ? AND sha256 = ? LIMIT 1", v.Stack, v.Serial, v.SHA256)
		if err == nil && !found {
			err = state.Errorf(state.NotFound, "stack %s has no state version %d any more", v.Stack, v.Serial)
		}
		if err == nil {
			stateJSON, err = expand(packed)
		}
		return err
	})
	return stateJSON, err
}
