package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hangar/state"
	"hangar/tfmodules"
)

// NeedsRepair says why a stack's state is to be repaired before anything else
// is done with the stack; empty: it need not be. Newest is the newest version
// of it that was recorded, or nil; its bytes are not needed. No terraform is
// run; a file that is torn while somebody's terraform is at work on it is given
// two seconds to become whole.
func (r *Runner) NeedsRepair(ctx context.Context, stack state.Stack, newest *state.StateVersion) (why string, err error) {
	d, err := r.damage(ctx, stack, newest)
	if err != nil {
		return "", fmt.Errorf("look at the state of stack %s: %w", stack.Name, err)
	}
	var reasons []string
	if d.errored {
		reasons = append(reasons, "terraform left "+erroredFile)
	}
	if d.why != "" {
		reasons = append(reasons, "the state "+d.why)
	}
	return strings.Join(reasons, "; "), nil
}

// Repair makes a stack's state whole. A state that is missing, damaged, older
// than the newest recorded version, or not of its lineage, is replaced by that
// version; then one that terraform could not write to its place is pushed
// there, if it is of the same lineage and not older. Nothing is lost: what is
// replaced, and what is not pushed, is kept beside it under another name. Done
// says in words what was done, also when an error came in between.
func (r *Runner) Repair(ctx context.Context, stack state.Stack, newest *state.StateVersion) (done string, err error) {
	var steps []string
	err = r.repair(ctx, stack, newest, func(format string, args ...any) {
		steps = append(steps, fmt.Sprintf(format, args...))
	})
	if _, ok := errors.AsType[*Error](err); err != nil && !ok {
		err = fmt.Errorf("repair the state of stack %s: %w", stack.Name, err)
	}
	return strings.Join(steps, "; "), err
}

func (r *Runner) repair(ctx context.Context, stack state.Stack, newest *state.StateVersion, step func(string, ...any)) error {
	d, err := r.damage(ctx, stack, newest)
	if err != nil {
		return err
	}
	if d.why != "" && newest == nil {
		kept, err := d.setAside()
		if err != nil {
			return err
		}
		step("the state %s, and none was recorded: it begins anew, and what was there is kept as %s", d.why, kept)
		d.why = ""
	}
	if d.why != "" && len(newest.Bytes) == 0 {
		return fmt.Errorf("the state %s, and the bytes of what was recorded with serial %d are not at hand", d.why, newest.Serial)
	}
	if d.why != "" {
		kept, err := d.replace(newest)
		if err != nil {
			return err
		}
		step("the state %s: it was replaced by what was recorded with serial %d%s", d.why, newest.Serial, kept)
	}
	if d.errored {
		return r.takeErrored(ctx, stack.Name, d.dir, newest, step)
	}
	return nil
}

// damage is what is wrong with a stack's state.
type damage struct {
	dir     string
	errored bool   // there is an errored.tfstate
	why     string // the state is to be replaced; empty: it is not
}

func (r *Runner) damage(ctx context.Context, stack state.Stack, newest *state.StateVersion) (damage, error) {
	dir, err := r.stack(stack.Name)
	if err != nil {
		return damage{}, err
	}
	d := damage{dir: dir}
	if _, err := os.Lstat(filepath.Join(dir, erroredFile)); err == nil {
		d.errored = true
	}
	path := filepath.Join(dir, stateFile)
	content, serial, lineage, err := readState(ctx, path)
	switch {
	case errors.Is(err, tfmodules.ErrIncomplete):
		d.why = "was torn"
	case err != nil:
		return d, err
	case newest == nil: // whole, as far as anybody knows
	case len(content) == 0:
		d.why = "was empty"
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			d.why = "was missing"
		}
	case lineage != newest.Lineage:
		d.why = fmt.Sprintf("was of lineage %s, not %s", lineage, newest.Lineage)
	case serial < newest.Serial:
		d.why = fmt.Sprintf("was of serial %d, older than what was recorded", serial)
	}
	return d, nil
}

// replace puts a recorded version in the place of the state, and says under
// which name what was there is kept.
func (d damage) replace(newest *state.StateVersion) (kept string, err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return "", err
	}
	beside, err := d.setAside()
	if err != nil {
		return "", err
	}
	if beside != "" {
		kept = ", and kept as " + beside
	}
	return kept, writeFile(filepath.Join(d.dir, stateFile), newest.Bytes)
}

// setAside moves the state out of the way, and returns its new name; empty:
// there was none.
func (d damage) setAside() (name string, err error) {
	path := filepath.Join(d.dir, stateFile)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	beside, err := unused(path + ".replaced")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", err
	}
	return filepath.Base(beside), os.Rename(path, beside)
}

// unused returns the first of PATH-1, PATH-2 and so on that does not exist.
func unused(path string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s-%d", path, n)
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}
