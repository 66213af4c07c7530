package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// autoscaler is the schema of drone/autoscaler (store/migrate/sqlite), and a
// few servers.
const autoscaler = `
CREATE TABLE migrations (name VARCHAR(255), UNIQUE(name));
INSERT INTO migrations VALUES ('create-table-servers'), ('create-index-server-id'), ('create-index-server-state');
CREATE TABLE servers (
 server_name TEXT PRIMARY KEY, server_id TEXT, server_provider TEXT, server_state TEXT, server_image TEXT, server_region TEXT,
 server_size TEXT, server_platform TEXT, server_address TEXT, server_capacity INTEGER, server_secret TEXT, server_error TEXT,
 server_ca_key TEXT, server_ca_cert TEXT, server_tls_key TEXT, server_tls_cert TEXT,
 server_created INTEGER, server_updated INTEGER, server_started INTEGER, server_stopped INTEGER);
INSERT INTO servers (server_name, server_state, server_address) VALUES
 ('agent-b', 'running', '192.0.2.2'), ('agent-a', 'pending', NULL), ('agent-c', 'stopped', '192.0.2.3'), ('agent-d', 'error', '');`

func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	for _, want := range []string{".drone-autoscaler", ".drone-autoscaler.2", ".drone-autoscaler.3"} {
		alter(t, path, autoscaler)
		before, err := os.ReadFile(path)
		must(t, err)
		servers, aside, err := SetAside(t.Context(), path)
		must(t, err)
		wantEqual(t, "aside", aside, path+want)
		wantEqual(t, "servers", servers, []string{"agent-a", "agent-b (192.0.2.2)", "agent-d"})
		if now, err := os.ReadFile(aside); err != nil || !bytes.Equal(before, now) {
			t.Errorf("it was touched: %v", err)
		}
		if exists(path) {
			t.Error("it is still in the way")
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(left) != 3 {
		t.Errorf("left behind: %v", left)
	}
	openAt(t, path)
}

func TestSetAsideLeavesOthersAlone(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"missing":           func(t *testing.T, path string) {},
		"empty":             func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) },
		"short":             func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("SQLite"), 0o600)) },
		"text":              func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(strings.Repeat("x", 999)), 0o600)) },
		"ours":              func(t *testing.T, path string) { must(t, openAt(t, path).Close()) },
		"another program's": func(t *testing.T, path string) { alter(t, path, "CREATE TABLE servers (name TEXT)") },
		"nearly":            func(t *testing.T, path string) { alter(t, path, autoscaler+"DROP TABLE migrations") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "database.sqlite")
			make(t, path)
			before, _ := os.ReadFile(path)
			servers, aside, err := SetAside(t.Context(), path)
			if err != nil || aside != "" || len(servers) > 0 {
				t.Errorf("SetAside = %v, %q, %v", servers, aside, err)
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(before, now) {
				t.Error("the file was changed")
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// An autoscaler that was killed leaves a journal or log, which belongs to the
// database and goes with it.
func TestSetAsideOfAKilledAutoscaler(t *testing.T) {
	for mode, companion := range map[string]string{"WAL": "-wal", "DELETE": "-journal"} {
		t.Run(mode, func(t *testing.T) {
			live, path := filepath.Join(t.TempDir(), "live"), filepath.Join(t.TempDir(), "database.sqlite")
			alter(t, live, autoscaler)
			db, err := connect(live+"?_journal_mode="+mode+"&_cache_size=1&_txlock=immediate", 1)
			must(t, err)
			defer db.Close()
			if mode == "DELETE" { // a transaction that spills over the cache and is cut off
				tx, err := db.Begin()
				must(t, err)
				defer tx.Rollback()
				_, err = tx.Exec(`UPDATE servers SET server_state = 'stopped';
					WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
					INSERT INTO servers (server_name, server_error) SELECT 'lost-' || i, hex(randomblob(500)) FROM n`)
				must(t, err)
			} else { // one that is committed, to the log alone
				_, err = db.Exec("UPDATE servers SET server_state = 'stopped' WHERE server_name = 'agent-d'")
				must(t, err)
			}
			for _, suffix := range append([]string{""}, companions...) {
				must(t, copyFile(path+suffix, live+suffix))
			}
			servers, aside, err := SetAside(t.Context(), path)
			must(t, err)
			want := []string{"agent-a", "agent-b (192.0.2.2)", "agent-d"}
			if mode == "WAL" {
				want = want[:2]
			}
			wantEqual(t, "servers", servers, want)
			if exists(path+companion) || !exists(aside+companion) {
				t.Errorf("%s was left behind", companion)
			}
			openAt(t, path)
		})
	}
}
