package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"hangar/reconciler/api"
	"hangar/reconciler/history"
	"hangar/state"
	"hangar/state/sqlite"
)

// gallery is pages on records in which there is one of everything that pages
// show: a day in the life of two pools, with all that can go wrong.
type gallery struct {
	api.Control
	t  *testing.T
	db *sql.DB
	at time.Time
}

// galleryAudit is what a sweep found.
type galleryAudit struct {
	api.Auditor
	found state.Audit
}

func (g galleryAudit) Last(context.Context) (state.Audit, error) { return g.found, nil }

func (g gallery) Admin(context.Context, string) (string, error) { return "octocat", nil }

func (g gallery) Still(context.Context, string) error { return nil }

func (g gallery) Logs(_ context.Context, _ state.Server, _ bool, w io.Writer) error {
	for i := range 60 {
		fmt.Fprintf(w, "cloud-init[812]: Get:%d http://archive.ubuntu.com/ubuntu noble/main amd64 docker.io amd64 27.5.1-0ubuntu3~24.04.2 [33.2 MB] and a line that goes on for longer than most screens are wide\n", i)
	}
	return nil
}

// hang opens the gallery, and returns where it is.
func hang(t *testing.T) (site string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "database.sqlite")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	g := gallery{t: t, db: db, at: time.Now().UTC()}
	g.stacks()
	g.servers()
	g.runs()
	g.versions()
	g.decisions()
	g.samples()
	audit := state.Audit{At: g.ago(4 * time.Minute), Devices: 8, Findings: []state.Finding{
		{Kind: state.Orphan, Device: "9d1e2f3a-1111-4b8e-9c11-0a2b3c4d5e6f", Server: "agent-zzzzzzzz", Detail: "it has this installation's tag and is in no record", Action: "it is destroyed when the next sweep finds it again", First: g.ago(10 * time.Minute)},
		{Kind: state.Orphan, Device: "9d1e2f3a-2222-4b8e-9c11-0a2b3c4d5e6f", Server: "agent-yyyyyyyy", Detail: "it was made before the records begin", Held: true, First: g.ago(3 * time.Hour)},
		{Kind: state.Gone, Server: "agent-u5v6w7x8", Detail: "the provider's list does not show its machine", Action: "another takes its place", First: g.ago(10 * time.Minute)}}}
	rest := api.New(store, g, galleryAudit{found: audit}, g)
	rest.Machines = g
	rest.Pages = &api.Pages{Store: store, States: stateTeller{history.History{Store: store}},
		Pools: state.Roster{Pools: []state.Pool{
			{Name: "amd64", Min: 1, Max: 8, Budget: 80, Candidates: []state.Candidate{{Name: "ewr1/c3.small.x86", Price: 0.75}}},
			{Name: "arm64", Max: 4, Budget: 40, Candidates: []state.Candidate{{Name: "ewr1/c3.large.arm64", Price: 2.25}}}}},
		Unread: func() time.Duration { return 0 }, Wait: func() time.Duration { return 75 * time.Second }}
	web := httptest.NewServer(rest.Handler())
	t.Cleanup(web.Close)
	return web.URL
}

func (g gallery) ago(d time.Duration) time.Time { return g.at.Add(-d) }

// add adds a row; times are given as how long ago they were, 0: never.
func (g gallery) add(table string, row map[string]any) {
	g.t.Helper()
	var names, marks []string
	var values []any
	for name, value := range row {
		if d, ok := value.(time.Duration); ok && d != 0 {
			value = g.ago(d).UnixMicro()
		}
		names, marks, values = append(names, name), append(marks, "?"), append(values, value)
	}
	if _, err := g.db.Exec("INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", values...); err != nil {
		g.t.Fatalf("%s: %v", table, err)
	}
}

func (g gallery) stacks() {
	settings := `{"plan":"c3.small.x86","billing_cycle":"hourly","api_token":"hush","nested":{"password":"hush","a":1},"project_ssh_key_ids":["one","two"]}`
	for _, s := range []struct {
		name                string
		generation, applied int
		failures            int
		unclean             string
		emptied             time.Duration
	}{
		{"amd64-k3v7q2mn", 3, 3, 0, "", 0},
		{"amd64-p9x2ttcw", 2, 1, 0, "", 0},
		{"arm64-zz4d81ha", 3, 3, 0, "", 0},
		{"arm64-h2m8k1qq", 3, 2, 2, "run 41 did not end cleanly: terraform was killed in the middle of its apply", 0},
		{"amd64-aaaaaaaa", 2, 2, 0, "", 10 * time.Hour},
	} {
		g.add("stacks", map[string]any{"name": s.name, "pool": s.name[:5], "provider": "packet", "candidate": "ewr1/c3.small.x86", "settings": settings,
			"module": "packet-0123456789abcdef", "resource": "equinix_metal_device.server", "generation": s.generation, "applied": s.applied, "failures": s.failures, "unclean": s.unclean,
			"changed": time.Minute, "created": 30 * time.Hour, "emptied": s.emptied,
			"outputs": `{"agent-k3v7q2mn":{"id":"7c5e2d1a-0000-4b8e-9c11-0a2b3c4d5e6f","address":"203.0.113.4","state":"active"}}`})
	}
}

func (g gallery) servers() {
	for i, s := range []struct {
		name, stack, phase, reason string
		age, began, active         time.Duration
		more                       map[string]any
	}{
		{"agent-k3v7q2mn", "amd64-k3v7q2mn", "running", "2 builds are on it", 9 * time.Hour, 9 * time.Hour, 9*time.Hour - 118*time.Second, map[string]any{"started": 9*time.Hour - 3*time.Minute, "served": 8 * time.Hour}},
		{"agent-b81xm2ee", "amd64-k3v7q2mn", "running", "1 build is on it, and there is room for one more", 5 * time.Hour, 5 * time.Hour, 5*time.Hour - 118*time.Second, map[string]any{"started": 4 * time.Hour}},
		{"agent-c2w9plk7", "amd64-p9x2ttcw", "creating", "", 82 * time.Second, 80 * time.Second, 0, map[string]any{"progress_action": "create"}},
		{"agent-d4tt10zx", "amd64-p9x2ttcw", "creating", "", 50 * time.Second, 48 * time.Second, 0, map[string]any{"progress_action": "create"}},
		{"agent-f7gh2k9s", "amd64-k3v7q2mn", "staging", "its machine is set up", 4 * time.Minute, 4 * time.Minute, 2 * time.Minute, map[string]any{"setup": "cloud-init runs: modules-final", "reached": time.Minute}},
		{"agent-m5n6o7p8", "arm64-zz4d81ha", "shutdown", "it has been idle for 12 min, and 1 server is enough; its builds end first", 26 * time.Hour, 26 * time.Hour, 26*time.Hour - 2*time.Minute, map[string]any{"told": 2 * time.Minute, "condemned": 1}},
		{"agent-q1r2s3t4", "arm64-zz4d81ha", "stopping", "nothing runs on it", 27 * time.Hour, 27 * time.Hour, 27*time.Hour - 2*time.Minute, map[string]any{"progress_action": "delete", "progress_elapsed": 14_000_000, "drained": time.Minute}},
		{"agent-u5v6w7x8", "arm64-h2m8k1qq", "error", "the API refused it", 12 * time.Minute, 12 * time.Minute, 0,
			map[string]any{"error": "POST https://api.equinix.com/metal/v1/projects/3a1b/devices: 422 The facility ewr1 has no provisionable c3.large.arm64 servers matching your criteria"}},
		{"agent-y9z0a1b2", "amd64-aaaaaaaa", "stopped", "its machine is gone", 30 * time.Hour, 30 * time.Hour, 30*time.Hour - 2*time.Minute, map[string]any{"stopped": 10 * time.Hour}},
	} {
		row := map[string]any{"name": s.name, "pool": s.stack[:5], "stack": s.stack, "phase": s.phase, "provider": "packet", "capacity": 2, "region": "ewr1", "size": "c3.small.x86", "image": "ubuntu_24_04",
			"reason": s.reason, "created": s.age, "updated": time.Minute, "began": s.began, "active": s.active, "price": 0.75}
		if s.active > 0 {
			row["device_id"], row["address"], row["private_address"] = fmt.Sprintf("7c5e2d1a-%04d-4b8e-9c11-0a2b3c4d5e6f", i), fmt.Sprintf("203.0.113.%d", i+4), fmt.Sprintf("10.66.10.%d", i+4)
		}
		for name, value := range s.more {
			row[name] = value
		}
		g.add("servers", row)
	}
}

const galleryPlan = `
Terraform used the selected providers to generate the following execution
plan. Resource actions are indicated with the following symbols:
  - destroy

Terraform will perform the following actions:

  # module.pool.equinix_metal_device.server["agent-q1r2s3t4"] will be destroyed
  # (because key ["agent-q1r2s3t4"] is not in for_each map)
  - resource "equinix_metal_device" "server" {
      - hostname         = "agent-q1r2s3t4" -> null
      - id               = "7c5e2d1a-0006-4b8e-9c11-0a2b3c4d5e6f" -> null
      - user_data        = (sensitive value) -> null
    }

Plan: 0 to add, 0 to change, 1 to destroy.

Changes to Outputs:
  ~ devices = {
      - agent-q1r2s3t4 = {
          - state = "active"
        }
    }
`

func (g gallery) runs() {
	noCapacity := "apply stack arm64-h2m8k1qq: POST https://api.equinix.com/metal/v1/projects/3a1b/devices: 422 The facility ewr1 has no provisionable c3.large.arm64 servers"
	log := strings.Repeat("module.pool.equinix_metal_device.server[\"agent-k3v7q2mn\"]: Still creating... [00m10s elapsed]\n", 6) + "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.\n"
	for i, r := range []struct {
		stack, phase, creates, deletes string
		age, finished                  time.Duration
		more                           map[string]any
	}{
		{"amd64-aaaaaaaa", "applied", `["agent-y9z0a1b2"]`, `[]`, 30 * time.Hour, 30*time.Hour - 2*time.Minute, nil},
		{"amd64-k3v7q2mn", "applied", `["agent-k3v7q2mn"]`, `[]`, 9 * time.Hour, 9*time.Hour - 2*time.Minute, map[string]any{"decision": 1, "waits": 9 * time.Hour, "approved": 9 * time.Hour, "decided_by": "octocat",
			"diagnostics": `[{"severity":"warning","summary":"Deprecated attribute","address":"module.pool.equinix_metal_device.server[\"agent-k3v7q2mn\"]","detail":"Use metro instead."}]`}},
		{"amd64-k3v7q2mn", "discarded", `[]`, `["agent-b81xm2ee"]`, 5 * time.Hour, 4 * time.Hour, map[string]any{"error": "octocat discarded it", "waits": 5 * time.Hour, "decided_by": "octocat"}},
		{"arm64-h2m8k1qq", "errored", `["agent-u5v6w7x8"]`, `[]`, 12 * time.Minute, 11 * time.Minute, map[string]any{"error": noCapacity, "diagnostics": `[{"severity":"error","summary":"422 no capacity","detail":"` + noCapacity + `"}]`}},
		{"amd64-k3v7q2mn", "refused", `[]`, `["agent-b81xm2ee"]`, 8 * time.Minute, 7 * time.Minute, map[string]any{"verdict": `the plan replaces module.pool.equinix_metal_device.server["agent-k3v7q2mn"], which nobody asked for`}},
		{"amd64-p9x2ttcw", "applying", `["agent-c2w9plk7","agent-d4tt10zx"]`, `[]`, 84 * time.Second, 0, nil},
		{"arm64-zz4d81ha", "planned", `[]`, `["agent-q1r2s3t4"]`, 50 * time.Second, 0, map[string]any{"waits": 46 * time.Second}},
	} {
		row := map[string]any{"id": 38 + i, "stack": r.stack, "pool": r.stack[:5], "generation": 2, "phase": r.phase, "creates": r.creates, "deletes": r.deletes, "forced": "[]", "keeps": "[]",
			"verdict": "passed: it does what is wanted, and nothing else", "started": r.age, "finished": r.finished, "timings": `{"init":1.9,"plan":2.4,"guard":0.01,"apply":118.2}`}
		if r.finished > 0 {
			row["log"] = log
		}
		for name, value := range r.more {
			row[name] = value
		}
		g.add("runs", row)
		g.add("plans", map[string]any{"run": 38 + i, "text": galleryPlan, "json": packed([]byte("{}"))})
	}
}

func packed(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content) // to memory
	z.Close()
	return b.Bytes()
}

func (g gallery) versions() {
	for i, file := range []string{"secrets-before", "secrets-after", "secrets-before"} {
		content, err := os.ReadFile("../../tfmodules/testdata/" + file + ".tfstate")
		if err != nil {
			g.t.Fatal(err)
		}
		g.add("versions", map[string]any{"stack": "amd64-k3v7q2mn", "serial": i + 2, "lineage": "1f0c7d3e-8a51-0c2b-77aa-9d8e7f6a5b4c", "sha256": strings.Repeat("60303ae22b998861", 4),
			"size": len(content), "run": 39, "decision": 1, "at": time.Duration(9-i) * time.Hour, "bytes": packed(content)})
	}
}

func (g gallery) decisions() {
	for _, d := range []state.Decision{
		{At: g.ago(time.Hour), Paused: true, Pools: []state.PoolDecision{{Pool: "amd64", Held: "paused", Reason: "it is paused"}}},
		{At: g.ago(3 * time.Second), Pools: []state.PoolDecision{
			{Pool: "amd64", Waiting: 4, Assigned: 3, Usable: 10, Free: 3, Billed: 5, Create: 2, Candidate: "ewr1/c3.small.x86", Reason: "4 stages wait and there is room for 1 of them: 2 servers for 4 more"},
			{Pool: "arm64", Waiting: 1, Assigned: 1, Usable: 2, Billed: 3, Held: "backoff", Reason: "ewr1/c3.large.arm64 has no capacity; it is asked again in 3 min"}},
			Servers:   []state.ServerDecision{{Server: "agent-m5n6o7p8", Pool: "arm64", Phase: state.Running, Action: state.Drain, Reason: "it has been idle for 12 min, and 1 server is enough"}},
			Unmatched: []state.Unmatched{{Stages: []int64{811, 812}, Asks: "pipeline/docker linux/riscv64 size=large", Reason: "no pool has the platform linux/riscv64"}}},
	} {
		body, err := json.Marshal(d)
		if err != nil {
			g.t.Fatal(err)
		}
		g.add("decisions", map[string]any{"at": d.At.UnixMicro(), "body": string(body)})
	}
}

// samples are two days of builds, most of them about noon.
func (g gallery) samples() {
	tx, err := g.db.Begin()
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range 2 * 24 * 60 {
		m := g.ago(time.Duration(i) * time.Minute).Truncate(time.Minute)
		hour := float64(m.Hour()) + float64(m.Minute())/60
		builds := int(max(0, 10-(hour-13)*(hour-13)/4)) + (i/7)%4
		for pool, n := range map[string]int{"amd64": builds + 2, "arm64": builds / 3} {
			if _, err := tx.Exec("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?)", m.UnixMicro(), pool, n, n/2*2+2, n/2+1, (i*37)%90*1_000_000, hour*float64(n/2+1)*0.75); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		g.t.Fatal(err)
	}
}

// Every page, in every state that there is, can be read, light and dark, wide
// and on a telephone, by eye, by keyboard and by a screen reader. With
// HANGAR_PICTURES, a folder, it keeps a picture of each, for people to look at.
func TestPagesAreAccessible(t *testing.T) {
	b := browse(t, hang(t))
	look := func(path string) {
		t.Helper()
		b.open(path)
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, scheme)
				b.check(fmt.Sprintf("%s, %d px wide and %s", path, width, scheme))
				if folder := os.Getenv("HANGAR_PICTURES"); folder != "" {
					b.picture(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", strings.NewReplacer("/", "_", "?", "_").Replace(path[1:]), width, scheme)), width)
				}
			}
		}
	}
	look("/ui/login")
	b.look(1280, "light")
	b.login("any")
	for _, path := range []string{
		"/ui", "/ui?range=day&pool=arm64", "/ui?range=week", "/ui/servers", "/ui/servers?gone=true", "/ui/servers/agent-k3v7q2mn", "/ui/servers/agent-c2w9plk7", "/ui/servers/agent-m5n6o7p8",
		"/ui/servers/agent-u5v6w7x8", "/ui/servers/agent-y9z0a1b2", "/ui/servers/agent-k3v7q2mn/logs", "/ui/servers/agent-k3v7q2mn/destroy", "/ui/runs", "/ui/runs?phase=interrupted",
		"/ui/runs/39", "/ui/runs/40", "/ui/runs/41", "/ui/runs/42", "/ui/runs/43", "/ui/runs/44", "/ui/stacks", "/ui/stacks?emptied=true", "/ui/stacks/amd64-k3v7q2mn", "/ui/stacks/arm64-h2m8k1qq",
		"/ui/stacks/amd64-k3v7q2mn/versions/3", "/ui/findings", "/ui/decisions", "/ui/rest",
	} {
		look(path)
	}
	b.look(1280, "light")
	for _, path := range []string{"/ui", "/ui/servers/agent-k3v7q2mn", "/ui/runs/44", "/ui/stacks/amd64-k3v7q2mn/versions/3"} {
		b.open(path)
		b.tabThrough(path)
	}
	for _, path := range []string{"/ui/servers/nobody", "/ui/nowhere"} {
		look(path)
	}
	b.forgive("404 (Not Found)") // of which the console tells
}

// picture keeps a picture of all of a page.
func (b *tab) picture(file string, width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, evaluate[int64](b, `Math.max(document.documentElement.scrollHeight, 600)`)))
	shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "png"})
	if err == nil {
		err = os.WriteFile(file, shot.Data, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
