package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"hangar/state"
)

// explain gives an error of the database the words that a user can act upon:
// the operation, the file and the remedy. Nothing is lost by any of them: the
// transaction is undone as a whole, and earlier ones stand.
func (s *Store) explain(what string, err error) error {
	if err == nil || state.CodeOf(err) == state.NotFound { // which says all there is to say
		return err
	}
	code, remedy := remedy(err)
	if remedy == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &state.Error{Code: code, Message: fmt.Sprintf("%s: database %s %s", what, s.path, remedy), Err: err}
}

func remedy(err error) (state.Code, string) {
	const (
		full     = "has no room left: free some space on its disk; everything recorded before is intact"
		readOnly = "cannot be written: its folder and files must be writable for the user that hangar runs as; everything recorded is intact"
		locked   = "is locked by another program: end it (a second hangar, a backup, an open sqlite3 shell) and try again; everything recorded is intact"
		damaged  = "is damaged: stop hangar, keep a copy of the file, and put back a backup or what `sqlite3 FILE .recover` saves; it was not changed"
		other    = "is not a sqlite database: name another file in DRONE_DATABASE_DATASOURCE, or move this one away; it was not changed"
		cannot   = "cannot be opened: its folder and files must exist and be readable and writable for the user that hangar runs as"
		disk     = "could not be read or written: look for disk errors in the system's log; everything recorded before is intact"
	)
	switch {
	case errors.Is(err, errDamaged):
		return state.Invalid, damaged
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return state.Unavailable, full
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return state.Unavailable, readOnly
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return state.Unavailable, cannot
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return "", ""
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return state.Unavailable, full
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return state.Unavailable, readOnly
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return state.Unavailable, locked
	case sqlite3.ErrCorrupt:
		return state.Invalid, damaged
	case sqlite3.ErrNotADB:
		return state.Invalid, other
	case sqlite3.ErrCantOpen:
		return state.Unavailable, cannot
	case sqlite3.ErrIoErr:
		// The file beside the database that holds the log's index could not grow.
		if e.ExtendedCode == sqlite3.ErrIoErrSHMSize {
			return state.Unavailable, full
		}
		return state.Unavailable, disk
	}
	return "", ""
}

// errDamaged is what sqlite's own check found.
var errDamaged = errors.New("the check found damage")

// checkDamage reads through the database once, about a second per gigabyte.
func checkDamage(ctx context.Context, db *sql.DB) error {
	return transact(ctx, db, func(t tx) error {
		found, _, err := one(t, plain[string], "PRAGMA quick_check(1)")
		if err == nil && found != "ok" {
			err = fmt.Errorf("%w: %s", errDamaged, found)
		}
		return err
	})
}
