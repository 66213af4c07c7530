package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"hangar/reconciler/backup"
	"hangar/state"
	"hangar/state/sqlite"
)

type backupCommand struct {
	File string `arg:"" help:"File to write, a tar.gz; it replaces one of that name. You alone can read it (0600). -: standard output."`
}

func (backupCommand) Help() string {
	return `Works beside a running hangar serve, which it does not hold up, or without one; needs DRONE_DATA only. In the file are the records as of one instant, the stacks with their Terraform states of that instant, the modules, the keys for the machines and the certificates. It holds secrets. What is outside the data folder is not in it: the environment, the pools file, modules of your own.

    hangar backup /backup/hangar.tar.gz
    docker exec hangar hangar backup - > hangar.tar.gz

hangar restore puts it back.`
}

// folders are those in the data folder that a backup holds whole. All else there
// is made anew, but for the stacks.
var folders = []string{"modules", "ssh", "golang-autocert"}

func (c backupCommand) Run(p *program) error {
	cfg, h, err := recordsOf(p)
	if err != nil {
		return err
	}
	defer h.Close()
	if c.File == "-" {
		if f, ok := p.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return errors.New("standard output is a terminal: name a file, or send it on, as in hangar backup - > hangar.tar.gz")
		}
		m, err := writeBackup(p.ctx, cfg, h.Store, p.stdout)
		if err == nil {
			fmt.Fprintln(p.stderr, c.told(m))
		}
		return err
	}
	if err := secretFile(c.File, true); err != nil {
		return err
	}
	var m backup.Manifest
	err = writeWhole(c.File, func(file io.Writer) (err error) {
		m, err = writeBackup(p.ctx, cfg, h.Store, file)
		return err
	})
	if err == nil {
		_, err = fmt.Fprintln(p.stdout, c.told(m))
	}
	return err
}

func (c backupCommand) told(m backup.Manifest) string {
	name := c.File
	if name == "-" {
		name = "written"
	}
	return fmt.Sprintf("%s: installation %s as of %s, schema version %d; it holds secrets", name, m.Instance, m.At.Local().Format(time.DateTime), m.Schema)
}

// writeBackup writes a backup of the records and of what belongs to them.
//
// The records come first, as of one instant. All else follows from them: of a
// stack the state is written that they recorded last, not the one in its folder,
// which terraform may be writing just now. What happened since that instant is,
// to whoever restores, the same as what happens after the backup: see
// sqlite.Store.Restored.
func writeBackup(ctx context.Context, cfg Config, store *sqlite.Store, out io.Writer) (m backup.Manifest, err error) {
	scratch, err := os.MkdirTemp("", "hangar-backup-")
	if err != nil {
		return m, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	copied := filepath.Join(scratch, backup.Database)
	m.At, m.Hangar = time.Now().UTC().Truncate(time.Second), Version
	if err := store.CopyTo(ctx, copied); err != nil {
		return m, err
	}
	if m.Schema, err = sqlite.Schema(); err != nil {
		return m, err
	}
	records, err := sqlite.OpenReadOnly(ctx, copied)
	if err != nil {
		return m, err
	}
	defer records.Close()
	if m.Instance, err = records.KnownInstance(ctx); err != nil {
		return m, err
	}
	w := backup.NewWriter(out, m)
	if err := w.File(backup.Database, copied); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	for _, folder := range folders {
		if err := w.Folder(folder, filepath.Join(cfg.Data, folder), func(string) bool { return false }); err != nil {
			return m, fmt.Errorf("back up: %w", err)
		}
	}
	stacks, err := records.Stacks(ctx)
	if err != nil {
		return m, err
	}
	for _, stack := range stacks {
		if err := backUpStack(ctx, w, records, filepath.Join(cfg.Data, "stacks", stack.Name), stack); err != nil {
			return m, fmt.Errorf("back up stack %s: %w", stack.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	return m, nil
}

// backUpStack writes a stack's folder, with the state that was recorded last.
func backUpStack(ctx context.Context, w *backup.Writer, records *sqlite.Store, folder string, stack state.Stack) error {
	prefix := "stacks/" + stack.Name
	err := w.Folder(prefix, folder, func(rel string) bool {
		// What terraform init makes, states, locks on them, and saved plans.
		return rel == ".terraform" || rel == "plan" || strings.Contains(rel, ".tfstate")
	})
	if err != nil || !stack.Emptied.IsZero() {
		return err
	}
	sight, err := records.Sight(ctx, stack.Name)
	if err != nil || sight.Version == nil {
		return err
	}
	version, err := records.Version(ctx, stack.Name, sight.Version.Serial)
	if err != nil {
		return err
	}
	return w.Bytes(prefix+"/terraform.tfstate", version.Bytes)
}
