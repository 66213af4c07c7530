package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/state"
	"hangar/tfmodules"
)

// erroredFile is where terraform leaves a state that it could not write to its
// place, in the stack's folder.
const erroredFile = "errored.tfstate"

// takeErrored pushes errored.tfstate if it belongs to the stack, and renames
// it, so that it is not looked at again.
func (r *Runner) takeErrored(ctx context.Context, stack, dir string, newest *state.StateVersion, step func(string, ...any)) error {
	const left = "terraform had left " + erroredFile + ": "
	path := filepath.Join(dir, erroredFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	current, err := underErrored(ctx, dir, newest, step)
	if err != nil {
		return err
	}
	serial, lineage, err := tfmodules.ParseState(content)
	if err != nil {
		return setAside(path, "refused", left+"it was not pushed: "+err.Error(), step)
	}
	switch {
	case current.Lineage != "" && lineage != current.Lineage:
		return setAside(path, "refused", fmt.Sprintf(left+"it was not pushed, being of lineage %s, not %s", lineage, current.Lineage), step)
	case serial < current.Serial:
		return setAside(path, "refused", fmt.Sprintf(left+"it was not pushed, its serial %d being older than %d", serial, current.Serial), step)
	case bytes.Equal(content, current.Bytes):
		return setAside(path, "pushed", left+"it was what is already there", step)
	}
	// Of two states of one serial, terraform could not write the later one.
	if err := r.push(ctx, stack, dir, serial == current.Serial); err != nil {
		return err
	}
	return setAside(path, "pushed", fmt.Sprintf(left+"it was pushed, with serial %d", serial), step)
}

// underErrored is the state that an errored one is pushed onto: the stack's
// own, or what is recorded of it. One that is torn, which terraform would not
// read, is set aside.
func underErrored(ctx context.Context, dir string, newest *state.StateVersion, step func(string, ...any)) (state.StateVersion, error) {
	path := filepath.Join(dir, stateFile)
	content, serial, lineage, err := readState(ctx, path)
	if errors.Is(err, tfmodules.ErrIncomplete) {
		if err := setAside(path, "replaced", "the state was torn", step); err != nil {
			return state.StateVersion{}, err
		}
	} else if err != nil {
		return state.StateVersion{}, err
	}
	if len(content) == 0 && newest != nil {
		return state.StateVersion{Serial: newest.Serial, Lineage: newest.Lineage}, nil
	}
	return state.StateVersion{Serial: serial, Lineage: lineage, Bytes: content}, nil
}

// setAside renames a file, for its owner only, and tells so.
func setAside(path, how, what string, step func(string, ...any)) error {
	beside, err := unused(path + "." + how)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path, beside); err != nil {
		return err
	}
	step("%s, and is kept as %s", what, filepath.Base(beside))
	return nil
}

// push writes errored.tfstate to where terraform keeps the stack's state,
// after terraform's own checks, or by force without them.
func (r *Runner) push(ctx context.Context, stack, dir string, force bool) error {
	if err := r.writeConfig(); err != nil {
		return err
	}
	tf, err := r.command(dir, "") // which asks no provider
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	tf.SetStdout(io.Discard)
	tf.SetStderr(&stderr)
	options := []tfexec.StatePushCmdOption{tfexec.Lock(true), tfexec.LockTimeout(r.LockTimeout.String()), tfexec.Force(force)}
	if err := r.process("push", func() error { return tf.StatePush(ctx, erroredFile, options...) }); err != nil {
		return r.failure("push "+erroredFile+" of stack "+stack, err, stderr.String())
	}
	return private(dir, stateFile, stateFile+".backup")
}
