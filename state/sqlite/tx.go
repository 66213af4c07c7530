package sqlite

import (
	"context"
	"database/sql"

	"hangar/state"
)

// tx is a transaction; it carries the context of the call for which it lives.
type tx struct {
	ctx context.Context
	sql *sql.Tx
}

// write runs do in a transaction that is committed when it returns nil, and
// leaves no trace otherwise.
func (s *Store) write(ctx context.Context, what string, do func(tx) error) error {
	err := s.note(ctx, what, do)
	s.writes.Add(1) // also where it is not known whether it was committed
	return err
}

// note is write for what nobody has to see at once: Writes does not count it.
func (s *Store) note(ctx context.Context, what string, do func(tx) error) error {
	if s.writer == nil {
		return state.Errorf(state.Invalid, "%s: database %s is open for reading only", what, s.path)
	}
	return s.explain(what, transact(ctx, s.writer, do))
}

// Writes counts the transactions that may have changed something: as long as it is
// the same, so is all that is read, but for the progress of servers.
func (s *Store) Writes() uint64 { return s.writes.Load() }

// read runs do in a transaction that sees one state of the database.
func (s *Store) read(ctx context.Context, what string, do func(tx) error) error {
	return s.explain(what, transact(ctx, s.reader, do))
}

func transact(ctx context.Context, db *sql.DB, do func(tx) error) error {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback() // without effect after a commit
	if err := do(tx{ctx, t}); err != nil {
		return err
	}
	return t.Commit()
}

// exec runs a statement and returns the number of rows it changed.
func (t tx) exec(query string, args ...any) (int64, error) {
	result, err := t.sql.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// do runs a statement of which nobody asks what it changed.
func (t tx) do(query string, args ...any) error {
	_, err := t.sql.ExecContext(t.ctx, query, args...)
	return err
}

// row is what a scan function reads its columns from.
type row interface{ Scan(into ...any) error }

// all returns the rows of a query; never nil without an error.
func all[T any](t tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.sql.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// one returns the row of a query that finds at most one; found is false when
// there is none.
func one[T any](t tx, scan func(row) (T, error), query string, args ...any) (item T, found bool, err error) {
	list, err := all(t, scan, query, args...)
	if err != nil || len(list) == 0 {
		return item, false, err
	}
	return list[0], true, nil
}

// plain scans a row of one column.
func plain[T any](r row) (value T, err error) {
	err = r.Scan(&value)
	return value, err
}

// count returns the number that a query finds.
func (t tx) count(query string, args ...any) (int64, error) {
	n, _, err := one(t, plain[int64], query, args...)
	return n, err
}
