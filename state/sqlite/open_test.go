package sqlite

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"hangar/state"
)

func TestOpenMakesAPrivateDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some", "folder", "odd ?#%41 name.sqlite")
	s := openAt(t, path)
	grow(t, s, start, "s1", "a")
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", name, info.Mode(), err, want)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "application_id": "1213089618"} {
		var got string
		must(t, s.writer.QueryRow("PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("PRAGMA %s = %s, want %s", pragma, got, want)
		}
	}
	must(t, s.Close())
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*-wal")); len(left) > 0 {
		t.Errorf("closing left %v", left)
	}
	s = openAt(t, path)
	wantEqual(t, "servers after a restart", names(get(t, s.Servers)), []string{"a"})
}

func TestOpenTightensTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	must(t, os.WriteFile(path, nil, 0o644))
	openAt(t, path)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

// alter changes a closed database file behind the store's back.
func alter(t testing.TB, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	defer db.Close()
	_, err = db.Exec(statement)
	must(t, err)
}

func TestMigrationsFromAnEmptyFile(t *testing.T) {
	steps, err := migrations()
	must(t, err)
	s := newStore(t)
	var version int
	must(t, s.reader.QueryRow("PRAGMA user_version").Scan(&version))
	if version != len(steps) || version == 0 {
		t.Errorf("version %d after %d steps", version, len(steps))
	}
	// Nothing is migrated twice.
	must(t, transact(t.Context(), s.writer, migrate))
}

func TestFailedMigrationLeavesTheOldVersion(t *testing.T) {
	s := newStore(t)
	if _, err := s.writer.Exec("PRAGMA user_version = 0"); err != nil {
		t.Fatal(err)
	}
	if err := transact(t.Context(), s.writer, migrate); err == nil {
		t.Fatal("a step over existing tables went through")
	}
	var version int
	must(t, s.writer.QueryRow("PRAGMA user_version").Scan(&version))
	if version != 0 {
		t.Errorf("version %d after a failed step, want 0", version)
	}
}

func TestUnusableFilesAreLeftAsTheyAre(t *testing.T) {
	ours := func(t *testing.T, path string) {
		s := openAt(t, path)
		for n := range 40 {
			grow(t, s, start, string(rune('A'+n)), "server-"+string(rune('A'+n)))
		}
		must(t, s.Close())
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
		says []string
	}{
		{"newer", func(t *testing.T, path string) {
			ours(t, path)
			alter(t, path, "PRAGMA user_version = 99")
		}, []string{"newer hangar", "99", "run that version or a newer one"}},
		{"another program's", func(t *testing.T, path string) {
			alter(t, path, "CREATE TABLE servers (server_name TEXT)")
		}, []string{"another program", "DRONE_DATABASE_DATASOURCE"}},
		{"no database", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
		}, []string{"is not a sqlite database", "move this one away"}},
		{"damaged", func(t *testing.T, path string) {
			ours(t, path)
			data, err := os.ReadFile(path)
			must(t, err)
			for page := 2; page*4096 < len(data); page++ {
				copy(data[page*4096:], bytes.Repeat([]byte{0xA5}, 512))
			}
			must(t, os.WriteFile(path, data, 0o600))
		}, []string{"is damaged", "put back a backup"}},
		{"damaged in one page", func(t *testing.T, path string) {
			ours(t, path)
			data, err := os.ReadFile(path)
			must(t, err)
			copy(data[len(data)-4096:], bytes.Repeat([]byte{0xA5}, 512))
			must(t, os.WriteFile(path, data, 0o600))
		}, []string{"is damaged", "put back a backup"}},
		{"cut short", func(t *testing.T, path string) {
			ours(t, path)
			must(t, os.Truncate(path, 5*4096+100))
		}, []string{"is damaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "database.sqlite")
			tt.make(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			_, err = Open(t.Context(), path)
			wantCode(t, err, state.Invalid, append(tt.says, path)...)
			if !slices.Contains(tt.says, "is damaged") { // which is found by reading on
				_, err = OpenReadOnly(t.Context(), path)
				wantCode(t, err, state.Invalid, append(tt.says, path)...)
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(before, now) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestLockedByAnotherProgram(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	other, err := connect(dsn(s.path, "rw", 0, nil), 1)
	must(t, err)
	defer other.Close()
	_, err = other.Exec("BEGIN IMMEDIATE")
	must(t, err)

	impatient := &Store{path: s.path}
	impatient.writer, err = connect(dsn(s.path, "rw", time.Millisecond, map[string][]string{"_txlock": {"immediate"}}), 1)
	must(t, err)
	defer impatient.Close()
	wantCode(t, impatient.SetPaused(t.Context(), true, "octocat", start), state.Unavailable, "locked by another program", s.path, "end it")
	wantEqual(t, "servers read beside a writer", names(get(t, s.Servers)), []string{"a"})

	_, err = other.Exec("ROLLBACK")
	must(t, err)
	must(t, impatient.SetPaused(t.Context(), true, "octocat", start))
}

func TestOpenOfALockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	must(t, openAt(t, path).Close())
	alter(t, path, "PRAGMA journal_mode = DELETE")
	other, err := connect(dsn(path, "rw", 0, nil), 1)
	must(t, err)
	defer other.Close()
	_, err = other.Exec("BEGIN EXCLUSIVE")
	must(t, err)
	_, err = open(t.Context(), path, time.Millisecond)
	wantCode(t, err, state.Unavailable, "locked by another program", path)
}

func TestPathsThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for name, path := range map[string]string{"below a file": filepath.Join(file, "database.sqlite"), "a folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), path)
			wantCode(t, err, state.Unavailable, "cannot be opened", path, "folder")
		})
	}
}

// mounted mounts a file system of so many bytes for the test.
func mounted(t *testing.T, size string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	needs(t, "mount", syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestReadOnlyFolder(t *testing.T) {
	dir := mounted(t, "64k", syscall.MS_RDONLY)
	_, err := Open(t.Context(), filepath.Join(dir, "database.sqlite"))
	wantCode(t, err, state.Unavailable, "cannot be written", dir, "writable for the user")
}

func TestDatabaseThatBecameReadOnly(t *testing.T) {
	dir := mounted(t, "4m", 0)
	path := filepath.Join(dir, "database.sqlite")
	s := openAt(t, path)
	grow(t, s, start, "s1", "a")
	must(t, s.Close())
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err := Open(t.Context(), path)
	wantCode(t, err, state.Unavailable, "cannot be written", path)
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""))
	wantEqual(t, "servers once it can be written again", names(get(t, openAt(t, path).Servers)), []string{"a"})
}

// fill commits stacks until the store says that it has no room.
func fill(t *testing.T, s *Store) (committed []string) {
	t.Helper()
	for n := range 10000 {
		name := "stack-" + string(rune('A'+n%26)) + time.Duration(n).String()
		err := s.Commit(t.Context(), state.Changes{At: start, Stacks: []state.Stack{stackOf(name)}, Servers: []state.Server{serverOf("in-"+name, name)}})
		if err != nil {
			wantCode(t, err, state.Unavailable, "no room left", s.path, "free some space")
			return committed
		}
		committed = append(committed, name)
	}
	t.Fatal("the disk never filled")
	return nil
}

func wantStacks(t *testing.T, s *Store, want []string) {
	t.Helper()
	got := stackNames(get(t, s.Stacks))
	want = slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	wantEqual(t, "stacks", got, want)
}

func TestFullDisk(t *testing.T) {
	dir := mounted(t, "1m", 0)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 64<<10), 0o600))
	s := openAt(t, filepath.Join(dir, "database.sqlite"))
	committed := fill(t, s)
	wantStacks(t, s, committed)

	must(t, os.Remove(ballast))
	grow(t, s, start, "after")
	wantStacks(t, s, append(committed, "after"))
	must(t, s.Close())
	wantStacks(t, openAt(t, s.path), append(committed, "after"))
}

func TestNoRoomToMakeADatabase(t *testing.T) {
	dir := mounted(t, "16k", 0)
	_, err := Open(t.Context(), filepath.Join(dir, "database.sqlite"))
	wantCode(t, err, state.Unavailable, "no room left", dir)
}

func TestFullDatabase(t *testing.T) {
	s := newStore(t)
	_, err := s.writer.Exec("PRAGMA max_page_count = 60")
	must(t, err)
	committed := fill(t, s)
	wantStacks(t, s, committed)
	_, err = s.writer.Exec("PRAGMA max_page_count = 6000")
	must(t, err)
	grow(t, s, start, "after")
	wantStacks(t, s, append(committed, "after"))
}

func TestOpenReadOnly(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "database.sqlite")
	_, err := OpenReadOnly(t.Context(), missing)
	wantCode(t, err, state.NotFound, missing)
	if exists(missing) {
		t.Error("it was made")
	}
	_, err = OpenReadOnly(t.Context(), filepath.Dir(missing))
	wantCode(t, err, state.Invalid, "is a folder")

	s := newStore(t)
	grow(t, s, start, "s1", "a")
	r, err := OpenReadOnly(t.Context(), s.path)
	must(t, err)
	defer r.Close()
	wantEqual(t, "servers", names(get(t, snapshot(r)).Servers), []string{"a"})
	grow(t, s, start, "s2", "b")
	wantEqual(t, "servers after a commit", names(get(t, snapshot(r)).Servers), []string{"a", "b"})
	wantCode(t, r.SetPaused(t.Context(), true, "octocat", start), state.Invalid, "for reading only", s.path)

	must(t, s.Close()) // the reader outlives the server
	wantEqual(t, "servers after the server's end", names(get(t, snapshot(r)).Servers), []string{"a", "b"})
}

func TestOpenReadOnlyOfAnOlderSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	must(t, openAt(t, path).Close())
	alter(t, path, "PRAGMA user_version = 0")
	_, err := OpenReadOnly(t.Context(), path)
	wantCode(t, err, state.Invalid, "older hangar", "hangar serve", path)
}

func TestInstance(t *testing.T) {
	s := newStore(t)
	id, err := s.Instance(t.Context(), "")
	must(t, err)
	if len(id) != 8 || bytes.ContainsFunc([]byte(id), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '2' && r <= '7') }) {
		t.Errorf("id %q", id)
	}
	for _, want := range []string{"", id} {
		if again, err := s.Instance(t.Context(), want); err != nil || again != id {
			t.Errorf("Instance(%q) = %q, %v; want %q", want, again, err, id)
		}
	}
	_, err = s.Instance(t.Context(), "other")
	wantCode(t, err, state.Invalid, "DRONE_INSTANCE", "other", id)

	s = newStore(t)
	if got, err := s.Instance(t.Context(), "chosen"); err != nil || got != "chosen" {
		t.Errorf("Instance(chosen) = %q, %v", got, err)
	}
	if got, err := s.Instance(t.Context(), ""); err != nil || got != "chosen" {
		t.Errorf("afterwards Instance() = %q, %v", got, err)
	}
}

func TestPaused(t *testing.T) {
	s := newStore(t)
	for _, yes := range []bool{false, true, true, false, false} {
		must(t, s.SetPaused(t.Context(), yes, "octocat", start))
		if got := get(t, s.Paused); got != yes || get(t, snapshot(s)).Paused != yes {
			t.Errorf("paused %t, want %t", got, yes)
		}
	}
}
