package terraform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/state"
	"hangar/tfmodules"
)

// lockFile is terraform's record of the chosen providers.
const lockFile = ".terraform.lock.hcl"

// marker is where a stack remembers for what it was initialised.
var marker = filepath.Join(".terraform", "hangar")

// place is a folder in which terraform runs.
type place struct {
	name      string // what is there, in words: stack s1
	dir       string
	module    tfmodules.Module
	providers []tfmodules.Provider
	prepared  string // where what init made is kept for others of the kind
}

// stackPlace is where a stack is worked on.
func (r *Runner) stackPlace(name string, module tfmodules.Module) (place, error) {
	dir, err := r.stack(name)
	return place{
		name: "stack " + name, dir: dir, module: module, providers: module.Providers,
		prepared: filepath.Join(r.prepared(), module.Folder()),
	}, err
}

// initialise runs init when the module, its providers or terraform are not
// those of the last time. A new place takes what init made for another one of
// the same kind, if there is one.
func (r *Runner) initialise(ctx context.Context, tf *tfexec.Terraform, p place) error {
	op := "init " + p.name
	print, err := r.fingerprint(p)
	if err != nil {
		return &Error{Op: op, Err: err, Diagnostics: []state.Diagnostic{{Severity: "error", Summary: err.Error()}}}
	}
	if hasMarker(p.dir, print) {
		return nil
	}
	select {
	case r.init <- struct{}{}:
		defer func() { <-r.init }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	if hasMarker(p.prepared, print) {
		if err := copyInitialised(p.prepared, p.dir); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	}
	if err := r.runInit(ctx, tf, op); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(p.dir, marker), []byte(print)); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := copyInitialised(p.dir, p.prepared); err != nil {
		return fmt.Errorf("%s: keep for others: %w", op, err)
	}
	return nil
}

// distrust makes the next initialise run init: perhaps the folder, or what
// others take from it, is not what init left.
func (p place) distrust() {
	os.Remove(filepath.Join(p.dir, marker))
	os.Remove(filepath.Join(p.prepared, marker))
}

func (r *Runner) runInit(ctx context.Context, tf *tfexec.Terraform, op string) error {
	old := []string{".terraform"}
	if r.Mirror != "" {
		// The mirror decides: a lock of what it held before would be refused.
		old = append(old, lockFile)
	}
	for _, name := range old {
		if err := os.RemoveAll(filepath.Join(tf.WorkingDir(), name)); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	var stderr bytes.Buffer
	tf.SetStdout(io.Discard)
	tf.SetStderr(&stderr)
	if err := r.process("init", func() error { return tf.Init(ctx) }); err != nil {
		return r.failure(op, err, stderr.String())
	}
	if err := os.Chmod(filepath.Join(tf.WorkingDir(), ".terraform"), 0o700); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return private(tf.WorkingDir(), lockFile)
}

// fingerprint changes whenever init has to be run again.
func (r *Runner) fingerprint(p place) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", r.Binary.Path, r.Binary.Version, r.Mirror, p.module.Folder())
	for _, provider := range p.providers {
		if r.Mirror == "" {
			continue
		}
		files, err := r.mirrored(provider)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q\n", files)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// hasMarker says whether init did in a folder what print tells of, and its
// providers, which are links into a mirror or a cache, are still there.
func hasMarker(dir, print string) bool {
	b, err := os.ReadFile(filepath.Join(dir, marker))
	if err != nil || string(b) != print {
		return false
	}
	// .terraform/providers/HOST/NAMESPACE/TYPE/VERSION/PLATFORM
	links, err := filepath.Glob(filepath.Join(dir, ".terraform", "providers", "*", "*", "*", "*", "*"))
	for _, link := range links {
		if _, gone := os.Stat(link); gone != nil {
			return false
		}
	}
	return err == nil
}

// copyInitialised replaces what init made in one folder by what it made in
// another. The marker appears with all the rest, or not at all.
func copyInitialised(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(to, ".terraform-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := copyTree(filepath.Join(from, ".terraform"), tmp); err != nil {
		return err
	}
	target := filepath.Join(to, ".terraform")
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	lock, err := os.ReadFile(filepath.Join(from, lockFile))
	if err == nil {
		err = writeFile(filepath.Join(to, lockFile), lock)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) { // no providers, no lock file
		return err
	}
	return os.Rename(tmp, target)
}
