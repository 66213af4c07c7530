package metrics_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/metrics"
	"hangar/state"
	"hangar/state/sqlite"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// house is the metrics of a real store, served.
type house struct {
	*metrics.Metrics
	t     *testing.T
	store *sqlite.Store
	url   string
	now   time.Time
	log   bytes.Buffer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h := &house{t: t, store: store, now: noon}
	h.Metrics = metrics.New(store, state.Roster{Pools: []state.Pool{{Name: "small", Min: 1, Max: 9, CreateBudget: 27, Budget: 24}, {Name: "large", Max: 2}}})
	h.Now = func() time.Time { return h.now }
	h.Log = slog.New(slog.NewTextHandler(&h.log, nil))
	h.Processes = func() int { return 3 }
	server := httptest.NewServer(h.Handler())
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) commit(c state.Changes) {
	h.t.Helper()
	if err := h.store.Commit(h.t.Context(), c); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) scrape() (status int, body string) {
	h.t.Helper()
	answer, err := http.Get(h.url)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// shows checks that a scrape has these lines.
func (h *house) shows(lines ...string) {
	h.t.Helper()
	status, body := h.scrape()
	if status != http.StatusOK {
		h.t.Fatalf("%d %s", status, body)
	}
	for _, line := range lines {
		if !strings.Contains(body, "\n"+line+"\n") {
			name, _, _ := strings.Cut(strings.ReplaceAll(line, "{", " "), " ")
			got := ""
			for l := range strings.Lines(body) {
				if strings.HasPrefix(l, name) {
					got += l
				}
			}
			h.t.Errorf("want %s, got\n%s", line, got)
		}
	}
}

// What the records know is told from them, by pool, and what there is none of
// as 0.
func TestRecords(t *testing.T) {
	h := newHouse(t)
	h.commit(state.Changes{
		At:     noon,
		Stacks: []state.Stack{{Name: "s1", Pool: "small", Generation: 1}, {Name: "s2", Pool: "retired", Generation: 1}},
		Servers: []state.Server{
			{Name: "a1", Pool: "small", Stack: "s1", Phase: state.Running, Capacity: 2},
			{Name: "a2", Pool: "small", Stack: "s1", Phase: state.Running, Capacity: 3},
			{Name: "a3", Pool: "small", Stack: "s1", Phase: state.Pending, Capacity: 2},
			{Name: "a4", Pool: "small", Stack: "s1", Phase: state.Shutdown, Capacity: 2},
			{Name: "a5", Pool: "small", Stack: "s1", Phase: state.Running, Capacity: 2, Condemned: true},
			{Name: "old", Pool: "retired", Stack: "s2", Phase: state.Running, Capacity: 7},
		},
		Findings: []state.Finding{{Kind: state.Orphan, Device: "d1", Held: true}, {Kind: state.Orphan, Device: "d2"}, {Kind: state.Drifted, Device: "d3"}},
		Decision: &state.Decision{
			Pools:     []state.PoolDecision{{Pool: "small", Waiting: 4, HeldBack: 2, Assigned: 5, Held: "budget"}, {Pool: "large"}},
			Unmatched: []state.Unmatched{{Stages: []int64{1, 2}}, {Stages: []int64{3}}},
		},
	})
	h.commit(state.Changes{At: noon, Marks: []state.Mark{{Server: "a2", Phase: state.Running, IdleSince: noon}}})
	if err := h.store.LookAgain(t.Context(), "s2", noon, "a run did not finish"); err != nil {
		t.Fatal(err)
	}
	run, _, err := h.store.BeginRun(t.Context(), "s1", noon)
	if err == nil {
		err = h.store.Planned(t.Context(), run.ID, noon, state.Plan{JSON: []byte(`{}`)}, "passed")
	}
	if err == nil {
		err = h.store.Await(t.Context(), run.ID, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.SetPaused(t.Context(), true, "octocat", time.Now()); err != nil {
		t.Fatal(err)
	}
	h.shows(
		`drone_server_count 4`, `drone_server_capacity 14`,
		`hangar_queue_stages{pool="small",state="waiting"} 4`, `hangar_queue_stages{pool="small",state="held_back"} 2`,
		`hangar_queue_stages{pool="small",state="assigned"} 5`, `hangar_queue_stages{pool="large",state="waiting"} 0`,
		`hangar_queue_unmatched_stages 3`,
		`hangar_servers{pool="small",state="running"} 3`, `hangar_servers{pool="small",state="shutdown"} 1`, `hangar_servers{pool="large",state="running"} 0`,
		`hangar_servers{pool="retired",state="running"} 1`,
		`hangar_servers_billed{pool="small",state="shutdown"} 1`, `hangar_servers_usable{pool="small",state="running"} 2`,
		`hangar_servers_usable{pool="small",state="pending"} 1`, `hangar_servers_idle{pool="small"} 1`,
		`hangar_pool_minimum_servers{pool="small"} 1`, `hangar_pool_maximum_servers{pool="large"} 2`,
		`hangar_pool_held{by="budget",pool="small"} 1`, `hangar_pool_held{by="maximum",pool="small"} 0`, `hangar_pool_held{by="backoff",pool="large"} 0`,
		`hangar_pool_create_budget{pool="small"} 27`, `hangar_pool_creates_spent{pool="small"} 0`,
		`hangar_findings{kind="orphan"} 2`, `hangar_findings{kind="drifted"} 1`, `hangar_findings{kind="missing"} 0`, `hangar_findings_held 1`,
		`hangar_stacks_unclean{pool="retired"} 1`, `hangar_stacks_unclean{pool="small"} 0`,
		`hangar_runs_waiting{pool="small"} 1`, `hangar_runs_waiting{pool="large"} 0`,
		`hangar_paused 1`, `hangar_terraform_processes 3`,
	)
	if _, body := h.scrape(); strings.Contains(body, "a1") || strings.Contains(body, "d1") || strings.Contains(body, "s1\"") {
		t.Error("a server, a device or a stack is named: the series would grow with the fleet")
	}
}

// While the records cannot be read there is no half answer, and nothing of
// them in it.
func TestUnreadableRecords(t *testing.T) {
	h := newHouse(t)
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	status, body := h.scrape()
	if status != http.StatusInternalServerError || strings.Contains(body, "database") || !strings.Contains(body, "its log says why") {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(h.log.String(), "database") {
		t.Errorf("the log does not tell why: %s", h.log.String())
	}
}

func stage(id int64, created time.Time, machine string) state.Stage {
	return state.Stage{ID: id, RepoID: id, Created: created, Machine: machine, Running: machine != ""}
}

// decided tells the metrics of a pass over a queue.
func (h *house) decided(servers []state.Server, d state.Decision, stages ...state.Stage) {
	d.At = h.now
	h.QueueRead()
	h.Decided(stages, servers, d)
}

func TestQueueWaits(t *testing.T) {
	h := newHouse(t)
	servers := []state.Server{{Name: "a1", Pool: "small", Phase: state.Running}, {Name: "d1", Machine: "a9", Pool: "large", Phase: state.Shutdown}}
	after := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	unmatched := state.Decision{Unmatched: []state.Unmatched{{Stages: []int64{6}}}}

	// 1 has been on a machine since nobody knows when.
	h.decided(servers, unmatched, stage(1, after(-3600), "a1"), stage(2, after(-100), ""), stage(6, after(-9000), ""))
	h.shows(`hangar_queue_oldest_wait_seconds 100`, `hangar_queue_wait_seconds_count{pool="small"} 0`)
	h.now = after(10)
	// 2 waited for 110 s; 3, made before but only now in the queue, for the 10 s
	// since the last read at most; 5 is on a machine of another's.
	h.decided(servers, unmatched, stage(1, after(-3600), "a1"), stage(2, after(-100), "a1"), stage(3, after(-500), "a1"), stage(4, after(8), ""),
		stage(5, after(-100), "somebody-else"), stage(6, after(-9000), ""), stage(7, after(-100), "a9"))
	h.shows(`hangar_queue_oldest_wait_seconds 2`, `hangar_queue_wait_seconds_count{pool="small"} 2`, `hangar_queue_wait_seconds_sum{pool="small"} 120`,
		`hangar_queue_wait_seconds_count{pool="large"} 0`)
	// A second read tells nothing twice.
	h.decided(servers, unmatched, stage(2, after(-100), "a1"), stage(3, after(-500), "a1"), stage(4, after(8), ""))
	h.shows(`hangar_queue_wait_seconds_count{pool="small"} 2`)
	// What its own limit held back had not waited for a machine.
	limited := func(id int64, created time.Time, machine string) state.Stage {
		s := stage(id, created, machine)
		s.RepoID, s.Name, s.Limit = 77, "deploy", 1
		return s
	}
	h.now = after(20)
	h.decided(servers, state.Decision{}, limited(8, after(10), "a1"), limited(9, after(10), ""))
	h.now = after(600)
	h.decided(servers, state.Decision{}, limited(8, after(10), "a1"), limited(9, after(10), ""))
	h.now = after(605)
	h.decided(servers, state.Decision{}, limited(9, after(10), "a1"))
	h.shows(`hangar_queue_wait_seconds_count{pool="small"} 4`, `hangar_queue_wait_seconds_sum{pool="small"} 135`) // 120 + 10 + 5
}

func TestQueueAge(t *testing.T) {
	h := newHouse(t)
	h.QueueRead()
	h.now = noon.Add(42 * time.Second)
	h.shows(`hangar_queue_read_age_seconds 42`)
	h.QueueRead()
	h.shows(`hangar_queue_read_age_seconds 0`)
}

func TestDecisionsAndOverdueDrains(t *testing.T) {
	h := newHouse(t)
	h.decided(nil, state.Decision{Pools: []state.PoolDecision{{Pool: "small", Create: 2}},
		Servers: []state.ServerDecision{{Server: "a1", Pool: "small", Action: state.Keep, Alarm: true}, {Server: "a2", Pool: "small", Action: state.Keep}}})
	h.decided(nil, state.Decision{Servers: []state.ServerDecision{{Server: "a1", Pool: "small", Action: state.Keep, Alarm: true}}})
	h.shows(`hangar_decisions_total 1`, `hangar_drains_overdue{pool="small"} 1`, `hangar_drains_overdue{pool="large"} 0`)
	h.decided(nil, state.Decision{})
	h.shows(`hangar_drains_overdue{pool="small"} 0`)
}

// The names of drone/autoscaler follow servers from pass to pass.
func TestLifeOfServers(t *testing.T) {
	h := newHouse(t)
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	pass := func(servers ...state.Server) { h.decided(servers, state.Decision{}) }
	began := func(name string, phase state.Phase, minute int) state.Server {
		return state.Server{Name: name, Pool: "small", Phase: phase, Began: at(0), Updated: at(minute)}
	}
	found := state.Server{Name: "orphan", Machine: "x", Phase: state.Shutdown, Updated: at(9)}
	found.Active = at(9)

	up := began("before", state.Running, 0) // before the first pass: not told
	up.Active, up.Reached, up.Started = at(1), at(2), at(3)
	pass(up)
	made, refused := began("made", state.Created, 5), began("refused", state.Failed, 5)
	made.Active = at(5)
	pass(up, made, refused, found)
	h.shows(`drone_servers_created 1`, `drone_server_create_time_seconds_sum 300`, `drone_servers_created_err 1`, `drone_server_create_errors_total 1`)

	booted, silent := made, began("silent", state.Failed, 9)
	booted.Phase, booted.Reached = state.Staging, at(7)
	silent.Active = at(6)
	pass(up, booted, silent, found)
	h.shows(`drone_server_boot_time_seconds_sum 120`, `drone_server_boot_errors_total 1`, `drone_servers_created 2`)

	ready, broken := booted, silent
	ready.Phase, ready.Started, ready.Updated = state.Running, at(17), at(17)
	broken.Name, broken.Reached = "broken", at(8)
	pass(up, ready, broken, found)
	h.shows(`drone_server_install_time_seconds_sum 600`, `drone_server_install_errors_total 1`, `drone_server_install_time_seconds_count 1`)

	// One drains and goes, one is put back to work, one is gone by the next pass;
	// and one that worked before ends in error, which is no failed install.
	up.Phase, up.Updated = state.Shutdown, at(20)
	ready.Phase, ready.Updated = state.Shutdown, at(20)
	pass(up, ready, found)
	up.Phase, up.Updated = state.Stopping, at(21)
	ready.Phase, ready.Updated = state.Staging, at(22)
	h.now = at(24)
	pass(up, ready)
	h.shows(`hangar_drain_duration_seconds_count{end="destroyed"} 2`, `hangar_drain_duration_seconds_sum{end="destroyed"} 960`, // 1 and 15 minutes
		`hangar_drain_duration_seconds_count{end="revived"} 1`, `hangar_drain_duration_seconds_sum{end="revived"} 120`)
	ready.Phase = state.Failed
	pass(ready)
	h.shows(`drone_server_install_errors_total 1`, `drone_server_boot_time_seconds_count 2`, `drone_servers_created 3`)
}

func TestWork(t *testing.T) {
	h := newHouse(t)
	run := state.Run{Creates: []string{"a1"}, Deletes: []string{"a2", "a3"}}
	h.Ended(run, state.Finish{Phase: state.RunErrored, Servers: []state.Outcome{{Server: "a1", Error: "no capacity"}, {Server: "a2", Error: "locked"}, {Server: "a3"}}})
	h.Ended(run, state.Finish{Phase: state.RunRefused})
	h.Ran("plan", 2*time.Second)
	h.Guarded(time.Millisecond)
	h.Looked([]state.Sighting{
		{Seen: state.Server{Name: "lost"}, Device: state.Device{ID: "d1"}, To: state.Created},
		{Seen: state.Server{Phase: state.Stopping, Device: state.Device{ID: "d2"}}, Device: state.Device{ID: "d2"}, To: state.Stopped},
		{Seen: state.Server{Phase: state.Stopping, Device: state.Device{ID: "d3"}, Machine: "a1"}, Device: state.Device{ID: "d3"}, To: state.Stopped},
		{Seen: state.Server{Phase: state.Stopping, Device: state.Device{ID: "d4"}, Absent: state.Missing}, Device: state.Device{ID: "d4"}, To: state.Stopped},
		{Seen: state.Server{Phase: state.Stopping}, To: state.Stopped},
	})
	h.Made([]state.Server{{Name: "b1", Phase: state.Running}, {Name: "b2", Phase: state.Shutdown, Condemned: true}})
	h.shows(
		`hangar_runs_total{result="errored"} 1`, `hangar_runs_total{result="refused"} 1`, `hangar_runs_total{result="applied"} 0`,
		`hangar_step_duration_seconds_sum{step="plan"} 2`, `hangar_step_duration_seconds_count{step="guard"} 1`, `hangar_step_duration_seconds_count{step="apply"} 0`,
		`drone_servers_deleted 2`, `drone_servers_deleted_err 1`, `hangar_orphans_adopted_total 2`, `hangar_orphans_destroyed_total 1`,
	)
}

// Two scrapes, a pass and a run's end at once.
func TestConcurrentUse(t *testing.T) {
	h := newHouse(t)
	ended := make(chan error, 4)
	for _, do := range []func() error{
		func() error { h.Decided([]state.Stage{stage(1, noon, "")}, nil, state.Decision{At: noon}); return nil },
		func() error { h.Ended(state.Run{}, state.Finish{Phase: state.RunApplied}); h.QueueRead(); return nil },
		func() error { return get(h.url) },
		func() error { return get(h.url) },
	} {
		go func() {
			for range 50 {
				if err := do(); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	h.shows(`hangar_runs_total{result="applied"} 50`)
}

func get(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
