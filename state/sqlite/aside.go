package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hangar/state"
)

// companions are the files that sqlite keeps beside a database.
var companions = []string{"-journal", "-wal", "-shm"}

// SetAside looks whether the file at path is the database of drone/autoscaler,
// in whose place hangar may have been put. If so, it is renamed, untouched and
// with its companions, to path.drone-autoscaler (with a number after it when
// that is taken), and SetAside returns the new name and the servers in it that
// are not stopped, each with its address. Otherwise nothing is done and aside
// is empty.
func SetAside(ctx context.Context, path string) (servers []string, aside string, err error) {
	servers, theirs, err := Autoscaler(ctx, path)
	if err != nil || !theirs {
		return nil, "", err
	}
	aside, err = rename(path)
	return servers, aside, (&Store{path: path}).explain("set the database of drone/autoscaler aside", err)
}

// Autoscaler says whether the file at path is the database of drone/autoscaler,
// and which servers in it are not stopped.
func Autoscaler(ctx context.Context, path string) (servers []string, theirs bool, err error) {
	ours, err := notForeign(path)
	if err == nil && !ours {
		theirs, servers, err = readAutoscaler(ctx, path)
	}
	return servers, theirs, (&Store{path: path}).explain("look for a database of drone/autoscaler", err)
}

// notForeign says that a file is none of another program's: it is missing,
// empty, no sqlite database at all (which Open refuses), or hangar's own. The
// header is at https://www.sqlite.org/fileformat.html#the_database_header.
func notForeign(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	header := make([]byte, 100)
	if _, err := io.ReadFull(f, header); err == io.EOF || err == io.ErrUnexpectedEOF {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return string(header[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(header[68:]) == application, nil
}

// readAutoscaler reads the servers of drone/autoscaler from a copy: what a
// killed autoscaler left half-written is undone in the copy, not in the file.
func readAutoscaler(ctx context.Context, path string) (theirs bool, servers []string, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".aside-") // 0700
	if err != nil {
		return false, nil, err
	}
	defer os.RemoveAll(dir)
	duplicate := filepath.Join(dir, "copy")
	for _, suffix := range []string{"", "-journal", "-wal"} {
		if err := copyFile(duplicate+suffix, path+suffix); err != nil {
			return false, nil, err
		}
	}
	db, err := connect(dsn(duplicate, "rw", lockWait, nil), 1)
	if err != nil {
		return false, nil, err
	}
	defer db.Close()
	err = transact(ctx, db, func(t tx) error {
		marks, err := t.count(`SELECT (SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations')
			+ (SELECT count(*) FROM pragma_table_info('servers') WHERE name IN ('server_name', 'server_id', 'server_state', 'server_address'))`)
		if theirs = marks == 5; err != nil || !theirs {
			return err
		}
		servers, err = all(t, plain[string], `SELECT server_name || CASE coalesce(server_address, '') WHEN '' THEN '' ELSE ' (' || server_address || ')' END
			FROM servers WHERE coalesce(server_state, '') <> 'stopped' ORDER BY server_name`)
		return err
	})
	return theirs, servers, err
}

// copyFile copies a file if it is there.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// rename moves a database and its companions to a name that is not taken. The
// database goes last: a companion left behind would be taken for the next
// database's own, and what is cut off half-way is done at the next start.
func rename(path string) (aside string, err error) {
	aside = path + ".drone-autoscaler"
	for n := 2; exists(aside); n++ {
		aside = fmt.Sprintf("%s.drone-autoscaler.%d", path, n)
	}
	for _, suffix := range companions {
		if !exists(path + suffix) {
			continue
		}
		if exists(aside + suffix) {
			return "", state.Errorf(state.Conflict, "%s is in the way: move it away", aside+suffix)
		}
		if err := os.Rename(path+suffix, aside+suffix); err != nil {
			return "", err
		}
	}
	return aside, os.Rename(path, aside)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
