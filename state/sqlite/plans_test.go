package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"hangar/state"
)

// spy is a connection that asks sqlite for the plan of each query before it is
// run, and tells which tables are read from end to end.
type spy struct {
	*sqlite3.SQLiteConn
	scans *[]string
}

func (s spy) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.ask(ctx, query, args); err != nil {
		return nil, err
	}
	return s.SQLiteConn.QueryContext(ctx, query, args)
}

func (s spy) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := s.ask(ctx, query, args); err != nil {
		return nil, err
	}
	return s.SQLiteConn.ExecContext(ctx, query, args)
}

// wholeTable is how sqlite tells of one that is read from end to end; by an index
// it says so.
var wholeTable = regexp.MustCompile(`^SCAN (\w+)$`)

func (s spy) ask(ctx context.Context, query string, args []driver.NamedValue) error {
	rows, err := s.SQLiteConn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	row := make([]driver.Value, 4)
	for rows.Next(row) == nil {
		detail, _ := row[3].(string)
		if found := wholeTable.FindStringSubmatch(detail); found != nil {
			*s.scans = append(*s.scans, found[1])
		}
	}
	return nil
}

// spying opens connections that spy.
type spying struct {
	source string
	scans  *[]string
}

func (s spying) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (s spying) Connect(context.Context) (driver.Conn, error) {
	conn, err := s.Driver().Open(s.source)
	if err != nil {
		return nil, err
	}
	return spy{conn.(*sqlite3.SQLiteConn), s.scans}, nil
}

// What is asked again and again, by every pass, poll and run, reads no table that
// grows from end to end: 1,000 servers and years of records cost no more than
// what is asked for.
func TestNoTableThatGrowsIsReadWhole(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "default-00000001", "agent-00000001")
	applied(t, s, start, "default-00000001")
	var scans []string
	must(t, s.reader.Close())
	must(t, s.writer.Close())
	s.reader = sql.OpenDB(spying{dsn(s.path, "ro", lockWait, readerOptions), &scans})
	s.writer = sql.OpenDB(spying{dsn(s.path, "rw", lockWait, nil), &scans})
	s.writer.SetMaxOpenConns(1)
	ctx, now := t.Context(), start.Add(time.Hour)
	calls := map[string]func() error{
		"Snapshot":   func() error { _, err := s.Snapshot(ctx, now); return err },
		"Due":        func() error { _, err := s.Due(ctx, now); return err },
		"Looks":      func() error { _, err := s.Looks(ctx, now); return err },
		"NextRetry":  func() error { _, err := s.NextRetry(ctx, now); return err },
		"Unfinished": func() error { _, err := s.Unfinished(ctx); return err },
		"Awaiting":   func() error { _, err := s.Awaiting(ctx); return err },
		"Unclean":    func() error { _, err := s.UncleanStacks(ctx); return err },
		"Server":     func() error { _, err := s.Server(ctx, "agent-00000001"); return err },
		"Stack":      func() error { _, err := s.Stack(ctx, "default-00000001"); return err },
		"Outputs":    func() error { _, err := s.Outputs(ctx, "default-00000001"); return err },
		"Sight":      func() error { _, err := s.Sight(ctx, "default-00000001"); return err },
		"Runs":       func() error { _, err := s.Runs(ctx, state.RunFilter{Limit: 10}); return err },
		"Runs of a stack": func() error {
			_, err := s.Runs(ctx, state.RunFilter{Stack: "default-00000001", Limit: 10})
			return err
		},
		"Run":       func() error { _, err := s.Run(ctx, 1); return err },
		"Decisions": func() error { _, err := s.Decisions(ctx, 0, 10); return err },
		"Versions":  func() error { _, err := s.Versions(ctx, "default-00000001"); return err },
		"Events":    func() error { _, _, err := s.Events(ctx, state.EventFilter{After: 1, Limit: 10}); return err },
		"Commit": func() error {
			return s.Commit(ctx, state.Changes{
				At: now, Decision: &state.Decision{}, Stacks: []state.Stack{stackOf("default-00000002")},
				Servers: []state.Server{serverOf("agent-00000002", "default-00000002")},
			})
		},
		"Progress":   func() error { return s.Progress(ctx, "agent-00000001", state.Progress{Action: "create"}, now) },
		"AddSamples": func() error { return s.AddSamples(ctx, []state.Sample{{At: now, Pool: "default"}}) },
	}
	for name, call := range calls {
		scans = nil
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, table := range scans {
			// Tables of a few rows, whatever happens.
			if !slices.Contains([]string{"backoffs", "discards", "settings", "targets", "conditions", "occurrences", "json_each"}, table) {
				t.Errorf("%s reads the table %s from end to end", name, table)
			}
		}
	}
	// The spy sees what it is to see.
	scans = nil
	if _, err := s.reader.QueryContext(ctx, "SELECT name FROM servers WHERE reason = 'none'"); err != nil || strings.Join(scans, " ") != "servers" {
		t.Errorf("the spy tells %v, %v", scans, err)
	}
}
