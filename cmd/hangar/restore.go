package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hangar/reconciler/backup"
	"hangar/state/sqlite"
)

type restoreCommand struct {
	File string `arg:"" help:"What hangar backup wrote. -: standard input."`
}

func (restoreCommand) Help() string {
	return `Puts a backup into the data folder (DRONE_DATA), which must be empty: all of it, or nothing. The installation that it is of must not run any more, anywhere: two with one id would remove each other's machines.

    hangar restore /backup/hangar.tar.gz
    docker run --rm -i -v /var/lib/hangar:/data hangar restore - < hangar.tar.gz

What happened after the backup is found at the next start of hangar serve, before anything is created or destroyed: the machines of every stack are looked for. Those that were made since, and that no record knows, are held until you have said what becomes of them: hangar audit --adopt or --destroy.`
}

func (c restoreCommand) Run(p *program) error {
	cfg, err := parseSettings(p.environ, databaseSettings)
	if err != nil {
		return err
	}
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := empty(cfg, lock.path); err != nil {
		return err
	}
	// Within the data folder: what is in it can be renamed to its place.
	scratch := filepath.Join(cfg.Data, restoring)
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return fmt.Errorf("make a folder for what is restored: %w", err)
	}
	m, err := backup.Extract(in, scratch)
	if err != nil {
		return errors.Join(fmt.Errorf("restore %s: %w", c.File, err), os.RemoveAll(scratch))
	}
	if err := c.prepare(p, m, filepath.Join(scratch, backup.Database)); err != nil {
		return errors.Join(err, os.RemoveAll(scratch))
	}
	if err := settleIn(cfg, scratch); err != nil {
		return fmt.Errorf("restore %s: %w; %w", c.File, err, unfinishedRestore(cfg.Data))
	}
	_, err = fmt.Fprintf(p.stdout, "%s is restored to %s: installation %s as of %s, written by hangar %s.\n"+
		"hangar serve looks for all its machines before it creates or destroys any. Those that no record knows are held: see hangar audit.\n"+
		"The installation that the backup is of must not run any more, anywhere.\n",
		c.File, cfg.Data, m.Instance, m.At.Local().Format(time.DateTime), m.Hangar)
	return err
}

// restoring is the folder, in the data folder, of a restore that has not ended. The
// records leave it last.
const restoring = ".restore"

// unfinishedRestore says what to do about a data folder in which a restore did not
// end; nil: none did not. To begin there without the records would be to forget
// every machine.
func unfinishedRestore(data string) error {
	if _, err := os.Lstat(filepath.Join(data, restoring, backup.Database)); err != nil {
		return nil
	}
	return fmt.Errorf("a restore to the data folder %s did not end: empty the folder, and restore again", data)
}

// empty says why nothing can be restored to a data folder: something is in it, or
// there is a database.
func empty(cfg Config, lock string) error {
	entries, err := os.ReadDir(cfg.Data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := filepath.Join(cfg.Data, e.Name()); name != lock && name != os.TempDir() {
			return fmt.Errorf("the data folder %s is not empty (%s): a backup is restored to an empty one; move what is there away, or set DRONE_DATA to another folder", cfg.Data, e.Name())
		}
	}
	if _, err := os.Lstat(cfg.databasePath()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a database at %s (DRONE_DATABASE_DATASOURCE): move it away first", cfg.databasePath())
	}
	return nil
}

// prepare makes the records fit to go on from, while they are not in place.
func (c restoreCommand) prepare(p *program, m backup.Manifest, database string) error {
	newest, err := sqlite.Schema()
	if err != nil {
		return err
	}
	if m.Schema > newest {
		return fmt.Errorf("restore %s: it was written by hangar %s, whose records (schema version %d) this one does not know (up to %d): use that release, or a newer one", c.File, m.Hangar, m.Schema, newest)
	}
	store, err := sqlite.Open(p.ctx, database)
	if err != nil {
		return fmt.Errorf("restore %s: %w", c.File, err)
	}
	err = store.Restored(p.ctx, time.Now())
	return errors.Join(err, store.Close()) // folds the write-ahead log into the file
}

// settleIn moves what was restored to its places, the records last: without them
// nothing is restored.
func settleIn(cfg Config, scratch string) error {
	entries, err := os.ReadDir(scratch)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != backup.Database {
			if err := os.Rename(filepath.Join(scratch, e.Name()), filepath.Join(cfg.Data, e.Name())); err != nil {
				return err
			}
		}
	}
	target := cfg.databasePath()
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	err = os.Rename(filepath.Join(scratch, backup.Database), target)
	if err != nil { // perhaps on another file system
		err = copyFile(filepath.Join(scratch, backup.Database), target)
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(scratch)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeWhole(to, func(out io.Writer) error { _, err := io.Copy(out, in); return err })
}
