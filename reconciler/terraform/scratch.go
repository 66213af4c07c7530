package terraform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Scratch returns a runner like r in another folder, which has copies of the
// modules and of the named stacks: what it plans there changes nothing here.
// A stack that has never been planned has nothing to copy.
func (r *Runner) Scratch(ctx context.Context, dir string, stacks ...string) (*Runner, error) {
	s, err := New(dir, r.Binary)
	if err != nil {
		return nil, err
	}
	s.Mirror, s.Env, s.Keys, s.Provider = r.Mirror, r.Env, r.Keys, r.Provider
	s.Instance, s.ExtraTags, s.UserData = r.Instance, r.ExtraTags, r.UserData
	s.Secrets, s.LockTimeout = r.Secrets, r.LockTimeout
	for _, folder := range [][2]string{{r.modules(), s.modules()}, {r.prepared(), s.prepared()}} {
		if err := copyFolder(folder[0], folder[1]); err != nil {
			return nil, fmt.Errorf("copy to plan aside: %w", err)
		}
	}
	for _, name := range stacks {
		if err := copyStack(ctx, r, s, name); err != nil {
			return nil, fmt.Errorf("copy stack %s to plan aside: %w", name, err)
		}
	}
	return s, nil
}

// copyStack copies what a plan needs of a stack.
func copyStack(ctx context.Context, from, to *Runner, name string) error {
	source, err := from.stack(name)
	if err != nil {
		return err
	}
	target, err := to.stack(name)
	if err != nil {
		return err
	}
	for _, folder := range []string{"cloud-init", ".terraform"} {
		if err := copyFolder(filepath.Join(source, folder), filepath.Join(target, folder)); err != nil {
			return err
		}
	}
	lock, err := os.ReadFile(filepath.Join(source, lockFile))
	if err == nil {
		err = writeFile(filepath.Join(target, lockFile), lock)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content, _, _, err := readState(ctx, filepath.Join(source, stateFile))
	if err != nil || len(content) == 0 {
		return err
	}
	return writeFile(filepath.Join(target, stateFile), content)
}

// copyFolder copies a folder; one that is not there is empty.
func copyFolder(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	err := copyTree(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
