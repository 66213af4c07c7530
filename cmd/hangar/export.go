package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"hangar/reconciler/history"
)

type stateExportCommand struct {
	Stack       string `arg:"" help:"Name of the stack."`
	File        string `arg:"" help:"File to write, a tar.gz; it replaces one of that name. You alone can read it (0600)."`
	WithSecrets bool   `help:"Add the state files as they were, with the secrets in them."`
}

func (stateExportCommand) Help() string {
	return `For an audit, or to keep what is about to be removed (DRONE_STATE_KEEP, DRONE_KEEP). Without --with-secrets every secret is masked, as in the other commands. What terraform left of a stack can be restored from the .tfstate files only, which --with-secrets adds.

    hangar state export default-k3v7q2mn history.tar.gz
    tar -xzOf history.tar.gz default-k3v7q2mn/versions.json | jq '.[] | {serial, sha256, run, decision}'`
}

// Run writes the file, whole or not at all.
func (c stateExportCommand) Run(p *program) error {
	if err := secretFile(c.File, c.WithSecrets); err != nil {
		return err
	}
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	var done history.Exported
	err = writeWhole(c.File, func(file io.Writer) (err error) {
		done, err = history.Export(p.ctx, h.Store, c.Stack, c.WithSecrets, file)
		return err
	})
	if err != nil {
		return err
	}
	warning := ""
	if c.WithSecrets {
		warning = "; it holds secrets"
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s, %s, %s, %s of stack %s%s\n", c.File,
		plural(done.States, "state"), plural(done.Runs, "run"), plural(done.Decisions, "decision"), plural(done.Events, "event"), c.Stack, warning)
	return err
}

// secretFile says why a file cannot be written: it is none, or it is to hold
// secrets and is one that others may read.
func secretFile(name string, secret bool) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file: name a file to write", name)
	case secret && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s can be read by others (mode %04o), and is to hold secrets: chmod 600 it first, or name another file", name, info.Mode().Perm())
	}
	return nil
}

// writeWhole has a file written by its owner alone (0600), whole or not at all.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	file, err := renameio.NewPendingFile(name, renameio.WithTempDir(filepath.Dir(name)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, file.Cleanup()) }() // without effect once it is in place
	if err := write(file); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
