// Package sqlite is Hangar's store: servers, stacks, runs, state versions and
// decisions in one sqlite file, by plain SQL.
//
// Every method is one transaction. What a writing method returned nil for is
// on the disk and survives a kill or a power loss: the write-ahead records of
// a run are worth nothing otherwise. Times are kept to the microsecond and
// returned in UTC.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver

	"hangar/state"
)

// lockWait is how long a statement waits for another program's lock.
const lockWait = 5 * time.Second

// Store is the database. Its methods may be called at any time, from many
// goroutines: writers queue for the one writing connection, readers see the
// last committed state and wait for nobody.
type Store struct {
	path   string
	writer *sql.DB // one connection; nil in a Store that only reads
	reader *sql.DB
	writes atomic.Uint64
}

// Open opens the database for reading and writing. It makes the file (0600)
// and its folder (0700) when they are missing, checks the file for damage, and
// brings its schema up to date. A database of a newer hangar or of another
// program, and a file that is none, are Invalid and left as they are; a file
// that cannot be used for now (full disk, no permission, locked) is
// Unavailable.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, lockWait)
}

func open(ctx context.Context, path string, wait time.Duration) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	if err := s.open(ctx, wait); err != nil {
		s.Close()
		return nil, s.explain("open", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, wait time.Duration) (err error) {
	if err := makeFile(s.path); err != nil {
		return err
	}
	// Looked at before WAL mode is set, which would change a foreign file.
	found, err := inspect(ctx, dsn(s.path, "rw", wait, nil))
	if err != nil {
		return err
	}
	if err := found.usable(s.path); err != nil {
		return err
	}
	s.writer, err = connect(dsn(s.path, "rw", wait, url.Values{
		"_journal_mode":    {"WAL"},
		"_synchronous":     {"FULL"}, // NORMAL may lose the last commits with the power
		"_foreign_keys":    {"on"},
		"_txlock":          {"immediate"}, // a transaction never fails half-way for want of the lock
		"_cache_size":      {"-2000"},     // KiB
		"_stmt_cache_size": {"32"},
	}), 1)
	if err != nil {
		return err
	}
	if err := checkDamage(ctx, s.writer); err != nil {
		return err
	}
	if err := transact(ctx, s.writer, migrate); err != nil {
		return err
	}
	s.reader, err = connect(dsn(s.path, "ro", wait, readerOptions), 4)
	return err
}

// readerOptions keeps the four reading connections small.
var readerOptions = url.Values{"_cache_size": {"-1000"}, "_stmt_cache_size": {"16"}}

// OpenReadOnly opens the database for reading only, also beside a running
// server. A missing file is NotFound; a folder, or a database of an older or
// newer hangar, is Invalid.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, state.Errorf(state.NotFound, "there is no database at %s: has hangar run here before?", path)
	}
	if err == nil && file.IsDir() {
		return nil, state.Errorf(state.Invalid, "%s is a folder: name the file in DRONE_DATABASE_DATASOURCE", path)
	}
	s := &Store{path: path}
	source := dsn(path, "ro", lockWait, readerOptions)
	found, err := inspect(ctx, source)
	if err != nil {
		return nil, s.explain("open for reading", err)
	}
	if err := found.current(path); err != nil {
		return nil, err
	}
	if s.reader, err = connect(source, 4); err != nil {
		return nil, s.explain("open for reading", err)
	}
	return s, nil
}

// Close closes the database. The writer goes last, so that it folds the
// write-ahead log into the file.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// makeFile makes the database's folder and file where they are missing, for
// the owner alone: sqlite gives its companions the mode of the file.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return f.Chmod(0o600)
}

// dsn is the data source name of a file: https://www.sqlite.org/uri.html, and
// the driver's own options.
func dsn(path, mode string, wait time.Duration, more url.Values) string {
	v := url.Values{"mode": {mode}, "_busy_timeout": {strconv.FormatInt(wait.Milliseconds(), 10)}}
	for name, values := range more {
		v[name] = values
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

func connect(source string, connections int) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
