package main

import (
	"errors"
	"fmt"
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
func (c stateExportCommand) Run(p *program) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	file, err := renameio.NewPendingFile(c.File, renameio.WithTempDir(filepath.Dir(c.File)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("write %s: %w", c.File, err)
	}
	defer func() { err = errors.Join(err, file.Cleanup()) }() // without effect once it is in place
	done, err := history.Export(p.ctx, h.Store, c.Stack, c.WithSecrets, file)
	if err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write %s: %w", c.File, err)
	}
	warning := ""
	if c.WithSecrets {
		warning = "; it holds secrets"
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s, %s, %s, %s of stack %s%s\n", c.File,
		plural(done.States, "state"), plural(done.Runs, "run"), plural(done.Decisions, "decision"), plural(done.Events, "event"), c.Stack, warning)
	return err
}

// check says why the file cannot be written: it is none, or it is to hold secrets
// and is one that others may read.
func (c stateExportCommand) check() error {
	info, err := os.Stat(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file: name a file to write", c.File)
	case c.WithSecrets && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s can be read by others (mode %04o), and is to hold secrets: chmod 600 it first, or name another file", c.File, info.Mode().Perm())
	}
	return nil
}
