package sqlite

import (
	"context"

	"hangar/state"
)

const stackColumns = `name, pool, provider, candidate, settings, module, resource,
	generation, applied, unclean, failures, retry_at, created, emptied`

func scanStack(r row) (s state.Stack, err error) {
	err = r.Scan(&s.Name, &s.Pool, &s.Provider, &s.Candidate, asJSON{&s.Settings}, &s.Module, &s.Resource,
		&s.Generation, &s.Applied, &s.Unclean, &s.Failures, stamp{&s.RetryAt}, stamp{&s.Created}, stamp{&s.Emptied})
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

// Outputs returns the devices that the newest state of a stack showed, by
// server.
func (s *Store) Outputs(ctx context.Context, stack string) (devices map[string]state.Device, err error) {
	err = s.read(ctx, "read the outputs of stack "+stack, func(t tx) error {
		if _, err := oneStack(t, stack); err != nil {
			return err
		}
		return t.sql.QueryRowContext(ctx, "SELECT outputs FROM stacks WHERE name = ?", stack).Scan(asJSON{&devices})
	})
	return devices, err
}

const versionColumns = "stack, serial, lineage, sha256, size, run, at"

func scanVersion(r row) (v state.StateVersion, err error) {
	err = r.Scan(&v.Stack, &v.Serial, &v.Lineage, &v.SHA256, &v.Size, &v.Run, stamp{&v.At})
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
			err = r.Scan(&v.Stack, &v.Serial, &v.Lineage, &v.SHA256, &v.Size, &v.Run, stamp{&v.At}, &v.Bytes)
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
