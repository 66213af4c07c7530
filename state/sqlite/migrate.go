package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"hangar/state"
)

// application marks a file as hangar's: the sqlite header's application id.
const application = 0x484e4752 // "HNGR"

//go:embed migrations/*.sql
var files embed.FS

// migrations returns the schema's steps in order: step n is the file whose
// name begins with n, and takes a database from version n-1 to n.
func migrations() ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]string, 0, len(names))
	for _, name := range names {
		step, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(step))
	}
	return steps, nil
}

// migrate takes the database to the newest version, all steps or none.
func migrate(t tx) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	version, err := t.count("PRAGMA user_version")
	if err != nil {
		return err
	}
	for n := int(version); n < len(steps); n++ {
		if err := t.do(steps[n]); err != nil {
			return fmt.Errorf("migrate to version %d: %w", n+1, err)
		}
		if err := t.do(fmt.Sprintf("PRAGMA user_version = %d", n+1)); err != nil {
			return fmt.Errorf("migrate to version %d: %w", n+1, err)
		}
	}
	return nil
}

// contents is what a file turns out to hold.
type contents struct{ application, version, tables int64 }

// inspect looks into a file without changing it.
func inspect(ctx context.Context, source string) (c contents, err error) {
	db, err := connect(source, 1)
	if err != nil {
		return c, err
	}
	defer db.Close()
	err = transact(ctx, db, func(t tx) error {
		for query, into := range map[string]*int64{
			"PRAGMA application_id":              &c.application,
			"PRAGMA user_version":                &c.version,
			"SELECT count(*) FROM sqlite_schema": &c.tables,
		} {
			if *into, err = t.count(query); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

// usable says why a server must not use the file; an empty one it may.
func (c contents) usable(path string) error {
	if c == (contents{}) {
		return nil
	}
	if c.application != application {
		return state.Errorf(state.Invalid,
			"%s is the database of another program: name another file in DRONE_DATABASE_DATASOURCE, or move this one away; it was not changed", path)
	}
	steps, err := migrations()
	if err != nil {
		return err
	}
	if c.version > int64(len(steps)) {
		return state.Errorf(state.Invalid,
			"database %s was written by a newer hangar (schema version %d; this one knows versions up to %d): run that version or a newer one, or restore a backup that was made before the upgrade (hangar restore); nothing was changed",
			path, c.version, len(steps))
	}
	return nil
}

// current says why a reader cannot use the file.
func (c contents) current(path string) error {
	if err := c.usable(path); err != nil {
		return err
	}
	steps, err := migrations()
	if err != nil {
		return err
	}
	if c.version < int64(len(steps)) {
		return state.Errorf(state.Invalid,
			"database %s was written by an older hangar (schema version %d; this one needs %d): start `hangar serve` once, which brings it up to date",
			path, c.version, len(steps))
	}
	return nil
}
