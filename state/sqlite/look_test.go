package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hangar/state"
)

// looked commits the end of a look at s1 with these sightings.
func looked(t testing.TB, s *Store, at time.Time, sight state.Sight, look state.Look, sightings ...state.Sighting) error {
	t.Helper()
	look.Seen, look.Run, look.RunPhase = sight.Stack, sight.Run.ID, sight.Run.Phase
	return s.Commit(t.Context(), state.Changes{At: at, Sightings: sightings, Looks: []state.Look{look}})
}

func sightOf(t testing.TB, s *Store, stack string) state.Sight {
	t.Helper()
	sight, err := s.Sight(t.Context(), stack)
	must(t, err)
	return sight
}

// unclean leaves a stack whose run lost a and made b.
func unclean(t testing.TB) *Store {
	t.Helper()
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	run := applying(t, s, start, "s1")
	b := deviceOf("b")
	must(t, s.Finish(t.Context(), state.Finish{
		Run: run.ID, Phase: state.RunErrored, At: start, Applied: true, Unclean: "a is lost", LookAt: start, LookUntil: start.Add(time.Minute),
		Outputs: map[string]state.Device{"b": b}, Version: &state.StateVersion{Serial: 1, Lineage: "l", Bytes: []byte("one")},
		Servers: []state.Outcome{{Server: "a", Doubt: start.Add(time.Minute), Reason: "lost"}, {Server: "b", Phase: state.Running, Device: &b}},
	}))
	return s
}

func TestLook(t *testing.T) {
	s := unclean(t)
	_, _, err := s.BeginRun(t.Context(), "s1", start)
	wantCode(t, err, state.Conflict, "a is lost")
	due, err := s.Looks(t.Context(), start)
	must(t, err)
	wantEqual(t, "due for a look", stackNames(due), []string{"s1"})

	sight := sightOf(t, s, "s1")
	wantEqual(t, "servers", names(sight.Servers), []string{"a", "b"})
	if sight.InState["b"].ID != "id-b" || sight.Version == nil || sight.Version.Serial != 1 || sight.Run.ID != 1 {
		t.Errorf("sight %+v", sight)
	}
	found := state.Device{ID: "id-a", Address: "10.0.0.9", State: "active"}
	must(t, looked(t, s, start.Add(time.Second), sight, state.Look{
		Next: start.Add(time.Minute), Clean: true, Raise: true,
		Version: &state.StateVersion{Stack: "s1", Run: 1, Serial: 2, Lineage: "l", Bytes: []byte("two")},
	}, state.Sighting{Seen: sight.Servers[0], To: state.Running, Device: found, Reason: "found"}))

	a := serverNow(t, s, "a")
	if a.Phase != state.Running || a.Device != found || !a.Doubt.IsZero() || a.Reason != "found" {
		t.Errorf("server %+v", a)
	}
	stack := stackNow(t, s, "s1")
	if stack.Unclean != "" || stack.Generation != 2 || stack.LookAt != after(time.Minute) || stack.LookUntil != after(time.Minute) {
		t.Errorf("stack %+v", stack)
	}
	versions, err := s.Versions(t.Context(), "s1")
	must(t, err)
	if len(versions) != 2 || versions[0].Serial != 2 {
		t.Errorf("versions %+v", versions)
	}
	next, err := s.NextRetry(t.Context(), start)
	must(t, err)
	wantEqual(t, "next", next, after(time.Minute))
	run, ws := begin(t, s, start, "s1")
	wantEqual(t, "imports", run.Imports, map[string]string{"a": "id-a"})
	wantEqual(t, "rendered", names(ws.Servers), []string{"a", "b"})
}

// A look at what has moved on since commits nothing.
func TestLookAtWhatHasMovedOn(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, s *Store, sight state.Sight)
	}{
		{"the server has another phase", func(t *testing.T, s *Store, _ state.Sight) { moveTo(t, s, start, "a", state.Created) }},
		{"the server has a device", func(t *testing.T, s *Store, _ state.Sight) {
			_, err := s.writer.Exec("UPDATE servers SET device_id = 'x' WHERE name = 'a'")
			must(t, err)
		}},
		{"another look was quicker", func(t *testing.T, s *Store, sight state.Sight) {
			must(t, looked(t, s, start, sight, state.Look{}, state.Sighting{Seen: sight.Servers[0], To: state.Failed, Absent: state.Lost}))
		}},
		{"something else is wanted", func(t *testing.T, s *Store, _ state.Sight) { moveTo(t, s, start, "b", state.Stopping) }},
		{"a run has begun", func(t *testing.T, s *Store, _ state.Sight) {
			_, err := s.writer.Exec("INSERT INTO runs (stack, pool, generation, phase, creates, deletes, forced, keeps, started) VALUES ('s1', 'default', 1, 'planning', '[]', '[]', '[]', '[]', 1)")
			must(t, err)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := unclean(t)
			sight := sightOf(t, s, "s1")
			tt.harm(t, s, sight)
			before, stack := serverNow(t, s, "a"), stackNow(t, s, "s1")
			err := looked(t, s, start, sight, state.Look{Clean: true, Raise: true}, state.Sighting{Seen: sight.Servers[0], To: state.Running})
			wantCode(t, err, state.Conflict)
			wantEqual(t, "server", serverNow(t, s, "a"), before)
			wantEqual(t, "stack", stackNow(t, s, "s1"), stack)
		})
	}
}

// A look that was asked for while another went on stays asked for.
func TestLookAgain(t *testing.T) {
	s := unclean(t)
	sight := sightOf(t, s, "s1")
	must(t, s.LookAgain(t.Context(), "s1", start.Add(-time.Second), "the state is torn"))
	must(t, looked(t, s, start, sight, state.Look{Next: start.Add(time.Hour)}))
	if stack := stackNow(t, s, "s1"); stack.LookAt != after(-time.Second) || stack.Unclean != "the state is torn" {
		t.Errorf("stack %+v", stack)
	}
	must(t, s.Postpone(t.Context(), "s1", start.Add(time.Minute)))
	if stack := stackNow(t, s, "s1"); stack.LookAt != after(time.Minute) {
		t.Errorf("stack %+v", stack)
	}
}

func TestUncleanStacks(t *testing.T) {
	s := unclean(t)
	pool := stackNow(t, s, "s1").Pool
	byPool, err := s.UncleanStacks(t.Context())
	if err != nil || len(byPool) != 1 || byPool[pool] != 1 {
		t.Errorf("one is unclean: %v, %v", byPool, err)
	}
	must(t, looked(t, s, start, sightOf(t, s, "s1"), state.Look{Clean: true}))
	if byPool, err := s.UncleanStacks(t.Context()); err != nil || len(byPool) != 0 {
		t.Errorf("none is unclean: %v, %v", byPool, err)
	}
}

// A destruction that has to be made again waits longer each time, also when
// terraform called it complete in between.
func TestFailuresOfDestructions(t *testing.T) {
	s := unclean(t)
	for n := 1; n <= 3; n++ {
		sight := sightOf(t, s, "s1")
		must(t, looked(t, s, start, sight, state.Look{Clean: true, Raise: true, Failed: true, RetryAt: start.Add(time.Hour), Next: start.Add(time.Minute)}))
		if stack := stackNow(t, s, "s1"); stack.Failures != n || stack.RetryAt != after(time.Hour) {
			t.Errorf("stack %+v", stack)
		}
	}
	must(t, looked(t, s, start, sightOf(t, s, "s1"), state.Look{Settled: true}))
	if stack := stackNow(t, s, "s1"); stack.Failures != 0 {
		t.Errorf("verified, and still %d failures", stack.Failures)
	}
}

// The budget counts what began within the hour and served nothing.
func TestSpent(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b", "c", "d")
	applying(t, s, start, "s1")
	for name, column := range map[string]string{"a": "served = 1", "b": "absent = 'refused'", "c": "absent = 'lost', phase = 'stopped'"} {
		_, err := s.writer.Exec("UPDATE servers SET " + column + " WHERE name = '" + name + "'")
		must(t, err)
	}
	grow(t, s, start, "s2", "pending")
	wantEqual(t, "spent", get(t, snapshot(s)).Spent, map[string]state.Spent{"default": {Creates: 2, Oldest: after(0), Unpriced: 2 * time.Minute}})
	snap, err := s.Snapshot(t.Context(), start.Add(time.Hour))
	must(t, err)
	wantEqual(t, "an hour later", snap.Spent, map[string]state.Spent{"default": {Unpriced: 2 * time.Hour}})
}

func TestFindings(t *testing.T) {
	s := newStore(t)
	_, err := s.Instance(t.Context(), "i-1")
	must(t, err)
	orphan := state.Finding{Kind: state.Orphan, Device: "1", Server: "a", Detail: "in no record", Held: true}
	gone := state.Finding{Kind: state.Gone, Device: "2", Server: "b"}
	commit := func(at time.Duration, swept bool, findings ...state.Finding) {
		t.Helper()
		must(t, s.Commit(t.Context(), state.Changes{At: start.Add(at), Findings: findings, Swept: swept}))
	}
	takeover := func() bool {
		yes, _, err := s.Takeover(t.Context())
		must(t, err)
		return yes
	}
	commit(0, false, orphan)
	if !takeover() {
		t.Error("a sweep that did not see everything was the first one")
	}
	commit(time.Minute, true, orphan, gone)
	if _, since, err := s.Takeover(t.Context()); err != nil || since != after(time.Minute) {
		t.Errorf("taken over since %v, %v", since, err)
	}
	must(t, s.Commit(t.Context(), state.Changes{At: start.Add(time.Minute), TakenOver: true, Findings: []state.Finding{orphan, gone}, Swept: true}))
	if takeover() {
		t.Error("what was there before has been seen")
	}
	list := get(t, s.Findings)
	if len(list) != 2 || list[0].First != after(0) || list[0].Last != after(time.Minute) || !list[0].Held || list[1].First != after(time.Minute) {
		t.Errorf("findings %+v", list)
	}
	commit(2*time.Minute, false)
	wantEqual(t, "held", get(t, s.Held), []string{"1"})
	if n := len(get(t, s.Findings)); n != 2 {
		t.Errorf("%d findings after a sweep that did not see everything", n)
	}
	commit(3*time.Minute, true, gone)
	if list := get(t, s.Findings); len(list) != 1 || list[0].Kind != state.Gone {
		t.Errorf("findings %+v", list)
	}
	commit(4*time.Minute, true, orphan, gone)
	if list := get(t, s.Findings); len(list) != 2 || list[1].First != after(4*time.Minute) {
		t.Errorf("an ended finding came back with its old age: %+v", list)
	}
}

func TestPruneVersions(t *testing.T) {
	s := newStore(t)
	for _, stack := range []string{"s1", "s2"} {
		grow(t, s, start, stack, "in-"+stack)
		for n := range 5 {
			must(t, s.Commit(t.Context(), state.Changes{At: start.Add(time.Duration(n) * time.Hour), Looks: []state.Look{{
				Seen: stackNow(t, s, stack), Version: &state.StateVersion{Stack: stack, Serial: int64(n), Bytes: []byte{byte(n)}}}}}))
		}
	}
	serials := func(stack string) (list []int64) {
		versions, err := s.Versions(t.Context(), stack)
		must(t, err)
		for _, v := range versions {
			list = append(list, v.Serial)
		}
		return list
	}
	must(t, s.PruneVersions(t.Context(), 4, start.Add(90*time.Minute)))
	wantEqual(t, "by age and count", serials("s1"), []int64{4, 3, 2})
	must(t, s.PruneVersions(t.Context(), 2, time.Time{}))
	wantEqual(t, "by count", serials("s2"), []int64{4, 3})
	must(t, s.PruneVersions(t.Context(), 0, start.Add(24*time.Hour)))
	wantEqual(t, "never the newest", serials("s1"), []int64{4})
}

// What the first version left in error, without a way out, is looked for.
func TestUpgradeFromTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	steps, err := migrations()
	must(t, err)
	old, err := sql.Open("sqlite3", dsn(path, "rwc", lockWait, nil))
	must(t, err)
	for _, statement := range []string{steps[0], "PRAGMA user_version = 1",
		`INSERT INTO stacks (name, pool, provider, candidate, settings, module, resource, applied, changed, open, unclean, created) VALUES
			('s1', 'default', 'packet', 'ewr1', '{}', 'packet-0', 'x.server', 0, 1, 0, 'run 1 did not finish', 1),
			('s2', 'default', 'packet', 'ewr1', '{}', 'packet-0', 'x.server', 1, 1, 0, '', 1)`,
		`INSERT INTO servers (name, pool, stack, phase, provider, capacity, created, updated) VALUES
			('a', 'default', 's1', 'error', 'packet', 2, 1, 1), ('b', 'default', 's2', 'running', 'packet', 2, 1, 1)`,
	} {
		_, err := old.Exec(statement)
		must(t, err)
	}
	must(t, old.Close())
	s := openAt(t, path)
	due, err := s.Looks(t.Context(), start)
	must(t, err)
	wantEqual(t, "due for a look", stackNames(due), []string{"s1"})
	if a, b := serverNow(t, s, "a"), serverNow(t, s, "b"); a.Doubt.IsZero() || a.Began.IsZero() || !b.Doubt.IsZero() {
		t.Errorf("servers %+v, %+v", a, b)
	}
}

// From every earlier schema the records come over as they were.
func TestUpgradeFromEverySchema(t *testing.T) {
	steps, err := migrations()
	must(t, err)
	for version := 1; version < len(steps); version++ {
		path := filepath.Join(t.TempDir(), "database.sqlite")
		old, err := sql.Open("sqlite3", dsn(path, "rwc", lockWait, nil))
		must(t, err)
		for _, statement := range append(slices.Clone(steps[:version]), fmt.Sprintf("PRAGMA user_version = %d", version),
			`INSERT INTO settings (name, value) VALUES ('instance', 'k3v7q2mn')`,
			`INSERT INTO stacks (name, pool, provider, candidate, settings, module, resource, applied, changed, open, created) VALUES
				('s1', 'default', 'packet', 'ewr1', '{"plan":"c3"}', 'packet-0', 'x.server', 1, 1, 0, 1)`,
			`INSERT INTO servers (name, pool, stack, phase, provider, capacity, device_id, created, updated) VALUES
				('b', 'default', 's1', 'running', 'packet', 2, 'id-b', 1, 1)`,
			`INSERT INTO runs (stack, pool, generation, phase, creates, deletes, forced, keeps, started) VALUES ('s1', 'default', 1, 'applied', '["b"]', '[]', '[]', '[]', 1)`,
			`INSERT INTO names (kind, name) VALUES ('server', 'b'), ('stack', 's1')`) {
			_, err := old.Exec(statement)
			must(t, err)
		}
		must(t, old.Close())
		_, err = OpenReadOnly(t.Context(), path)
		wantCode(t, err, state.Invalid, "older hangar", fmt.Sprintf("schema version %d", version))
		s := openAt(t, path)
		if b := serverNow(t, s, "b"); b.ID != "id-b" || b.Phase != state.Running || b.Capacity != 2 {
			t.Errorf("from version %d: server %+v", version, b)
		}
		if runs, err := s.Runs(t.Context(), state.RunFilter{}); err != nil || len(runs) != 1 || !slices.Equal(runs[0].Creates, []string{"b"}) {
			t.Errorf("from version %d: runs %+v, %v", version, runs, err)
		}
		if id, err := s.KnownInstance(t.Context()); id != "k3v7q2mn" || err != nil {
			t.Errorf("from version %d: instance %q, %v", version, id, err)
		}
	}
}

// What servers have cost counts from midnight, UTC, and until they are gone.
func TestCostOfTheDay(t *testing.T) {
	s := newStore(t)
	noon := start.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	stack := state.Stack{Name: "s1", Pool: "default", Provider: "packet", Created: noon}
	var servers []state.Server
	for _, n := range []string{"yesterday", "today", "gone", "refused", "waits", "free"} {
		price := 0.5
		if n == "free" {
			price = 0
		}
		servers = append(servers, state.Server{Name: n, Pool: "default", Stack: "s1", Provider: "packet", Capacity: 1, Price: price, Spec: "spec-" + n})
	}
	must(t, s.Commit(t.Context(), state.Changes{At: noon, Stacks: []state.Stack{stack}, Servers: servers}))
	for name, at := range map[string]time.Duration{"yesterday": -20 * time.Hour, "today": -2 * time.Hour, "gone": -4 * time.Hour, "refused": -2 * time.Hour, "free": -2 * time.Hour} {
		_, err := s.writer.Exec("UPDATE servers SET phase = 'running', began = ? WHERE name = ?", micros(noon.Add(at)), name)
		must(t, err)
	}
	_, err := s.writer.Exec("UPDATE servers SET phase = 'stopped', stopped = ? WHERE name = 'gone'", micros(noon.Add(-time.Hour)))
	must(t, err)
	_, err = s.writer.Exec("UPDATE servers SET absent = 'refused' WHERE name = 'refused'")
	must(t, err)
	snap, err := s.Snapshot(t.Context(), noon)
	must(t, err)
	if got := snap.Spent["default"].Unpriced; got != 2*time.Hour {
		t.Errorf("unpriced %v, want 2h", got)
	}
	if got, want := snap.Spent["default"].Cost, 0.5*(12+2+3); got < want-1e-9 || got > want+1e-9 {
		t.Errorf("cost %v, want %v", got, want)
	}
	if one := serverNow(t, s, "today"); one.Price != 0.5 || one.Spec != "spec-today" {
		t.Errorf("server %+v", one)
	}
}
