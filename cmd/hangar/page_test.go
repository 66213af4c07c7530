package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/reconciler/api"
	"hangar/reconciler/history"
	"hangar/reconciler/simulator"
	"hangar/state"
	"hangar/state/sqlite"
)

// The page follows what happens without being loaded again: progress grows while
// an apply runs, two tabs stay in step, and what has the focus keeps it.
func TestPageFollowsAnApply(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 6 * time.Second, BuildTime: time.Minute}, quick)
	s := w.serve(t, "DRONE_POOL_MIN=1", "DRONE_POOL_IDLE=1h")
	one := browse(t, s.url)
	one.login(w.Config().ServerToken)
	two := one.another()
	two.open("/ui")
	until(t, "the first server runs, so that it is known how long one takes", 60*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	for _, b := range []*tab{one, two} {
		evaluate[bool](b, `window.loadedOnce = true`)
	}
	evaluate[bool](one, `(document.querySelector("main a.name").focus(), true)`)

	w.Enqueue(6)
	value := func() int {
		return evaluate[int](one, `Math.max(0, ...[...document.querySelectorAll("progress")].map((p) => p.hasAttribute("value") ? p.value : 0))`)
	}
	before := 0
	until(t, "a bar shows progress", 30*time.Second, func() bool { before = value(); return before > 0 })
	until(t, "it grows while the apply runs", 30*time.Second, func() bool {
		return value() > before && s.get("/api/runs?phase=applying") != "[]"
	})
	until(t, "both tabs show all servers running", 60*time.Second, func() bool {
		rows := one.rows()
		return strings.Count(rows, " running") == len(s.servers()["running"]) && strings.Count(rows, "server-") >= 3 && rows == two.rows()
	})
	for _, b := range []*tab{one, two} {
		if !evaluate[bool](b, `window.loadedOnce === true`) {
			t.Error("a tab was loaded again")
		}
	}
	if !evaluate[bool](one, `document.activeElement.matches("a.name")`) {
		t.Error("what had the focus has lost it")
	}

	// What is pressed in one tab is seen in the other.
	one.press(`form[action$="/pause"] button`)
	until(t, "both tabs tell of the pause", 20*time.Second, func() bool {
		return strings.Contains(evaluate[string](two, `document.getElementById("notices").textContent`), "Paused.")
	})
	if paused := s.get("/varz"); paused != `{"paused":true}` {
		t.Errorf("varz says %s", paused)
	}
}

// Every page can be read, light and dark, wide and on a telephone, by eye, by
// keyboard and by a screen reader.
func TestPagesAreAccessible(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond, BuildTime: time.Second}, quick)
	w.Enqueue(1, state.Stage{OS: "linux", Arch: "riscv64"}) // matches no pool
	s := w.serve(t, "DRONE_POOL_MIN=2", "DRONE_POOL_MAX=3")
	until(t, "servers run", 60*time.Second, func() bool { return len(s.servers()["running"]) == 2 })
	s.ended()
	var stacks []struct{ Name string }
	if err := json.Unmarshal([]byte(s.get("/api/stacks")), &stacks); err != nil || len(stacks) == 0 {
		t.Fatal(stacks, err)
	}
	var versions []struct{ Serial int }
	if err := json.Unmarshal([]byte(s.get("/api/stacks/"+stacks[0].Name+"/versions")), &versions); err != nil || len(versions) == 0 {
		t.Fatal(versions, err)
	}
	server := s.servers()["running"][0]
	b := browse(t, s.url)
	b.open("/ui/login")
	b.look(390, "dark")
	b.check("the login, 390 px wide and dark")
	b.login(w.Config().ServerToken)
	for _, path := range []string{
		"/ui", "/ui?range=week", "/ui/servers", "/ui/servers?gone=true", "/ui/servers/" + server, "/ui/servers/" + server + "/logs", "/ui/servers/" + server + "/destroy",
		"/ui/runs", "/ui/runs/1", "/ui/stacks", "/ui/stacks/" + stacks[0].Name, fmt.Sprintf("/ui/stacks/%s/versions/%d", stacks[0].Name, versions[0].Serial), "/ui/decisions", "/ui/rest",
	} {
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, scheme)
				b.open(path)
				b.check(fmt.Sprintf("%s, %d px wide and %s", path, width, scheme))
			}
		}
	}
	b.look(1280, "light")
	for _, path := range []string{"/ui", "/ui/servers/" + server, "/ui/runs/1"} {
		b.open(path)
		b.tabThrough(path)
	}
	if text := evaluate[string](b, `document.body.textContent`); strings.Contains(text, w.Config().RPCSecret) {
		t.Error("a page shows a secret")
	}
}

// person is who is asked for approvals, and for nothing else.
type person struct {
	api.Control
	mu       sync.Mutex
	verdicts []string
}

func (p *person) Admin(context.Context, string) (string, error) { return "octocat", nil }

func (p *person) Approve(_ context.Context, run int64, by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verdicts = append(p.verdicts, fmt.Sprintf("%s approves run %d", by, run))
	return nil
}

func (p *person) Discard(context.Context, int64, string) error { return nil }

// unswept is an auditor that never looked.
type unswept struct{ api.Auditor }

func (unswept) Last(context.Context) (state.Audit, error) { return state.Audit{}, nil }

// A run that waits is approved by a click.
func TestApprovalByClick(t *testing.T) {
	ctx := t.Context()
	store, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	now := time.Now()
	err = store.Commit(ctx, state.Changes{At: now, Stacks: []state.Stack{{Name: "s1", Pool: "default", Candidate: "ewr1", Settings: map[string]any{}}},
		Servers: []state.Server{{Name: "agent-a", Pool: "default", Stack: "s1", Phase: state.Pending, Capacity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	run, _, err := store.BeginRun(ctx, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Planned(ctx, run.ID, now, state.Plan{Text: "  + resource \"a\" \"b\" {\n", JSON: []byte("{}")}, "passed"); err != nil {
		t.Fatal(err)
	}
	if err := store.Await(ctx, run.ID, now); err != nil {
		t.Fatal(err)
	}
	p := &person{}
	rest := api.New(store, p, unswept{}, p)
	never := func() time.Duration { return 0 }
	rest.Pages = &api.Pages{Store: store, Pools: state.Roster{Pools: []state.Pool{{Name: "default", Max: 4}}}, States: stateTeller{history.History{Store: store}}, Unread: never, Wait: never}
	web := httptest.NewServer(rest.Handler())
	t.Cleanup(web.Close)

	b := browse(t, web.URL)
	b.login("any")
	b.press("#run-1 a.name")
	b.look(390, "dark")
	b.check("a run that waits")
	b.press(`form[action="/ui/runs/1/approve"] button`)
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.verdicts, ", "); got != "octocat approves run 1" {
		t.Errorf("verdicts: %q", got)
	}
}
