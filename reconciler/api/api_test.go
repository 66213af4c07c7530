package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"hangar/state"
)

func TestRoutes(t *testing.T) {
	const (
		server = `{"id":"d-1","provider":"packet","state":"running","name":"agent-aaaaaaaa","image":"ubuntu_24_04","region":"ewr1",` +
			`"size":"c3.small.x86","platform":"","address":"203.0.113.7","capacity":2,"secret":"","error":"","ca_key":null,"ca_cert":null,"tls_key":null,"tls_cert":null,` +
			`"created":1795447724,"updated":1795447784,"started":1795447784,"stopped":0,` +
			`"pool":"default","stack":"s1","reason":"it takes stages","private_address":"10.0.0.7","progress":null,"condemned":false,"machine":"agent-aaaaaaaa","absent":"","sought_until":0,` +
			`"setup":"","began":0,"active":0,"reached":0,"told":0,"unreachable":0}`
		stack = `{"name":"s1","pool":"default","provider":"packet","candidate":"ewr1/c3.small.x86",` +
			`"settings":{"api_token":"(sensitive value)","list":[{"User_Data":"(sensitive value)","b":"c"}],"nested":{"a":1,"password":"(sensitive value)"},"plan":"c3.small.x86"},` +
			`"module":"packet-0123456789ab","resource":"equinix_metal_device.server","generation":3,"applied":2,"unclean":"","failures":0,"created":"2026-11-23T15:28:44Z"}`
		run6 = `{"id":6,"stack":"s2","pool":"default","generation":0,"decision":0,"phase":"errored","creates":[],"deletes":[],"forced":[],"keeps":[],"imports":{},` +
			`"verdict":"","error":"","diagnostics":[],"started":"2026-11-23T15:28:44Z"}`
		run7 = `{"id":7,"stack":"s1","pool":"default","generation":2,"decision":0,"phase":"applied","creates":["agent-aaaaaaaa"],"deletes":[],"forced":[],"keeps":[],"imports":{},` +
			`"verdict":"","error":"","diagnostics":[{"severity":"warning","summary":"deprecated"}],"started":"2026-11-23T15:28:44Z","finished":"2026-11-23T15:28:44Z"`
		run8 = `{"id":8,"stack":"s1","pool":"default","generation":0,"decision":0,"phase":"planning","creates":[],"deletes":[],"forced":[],"keeps":[],"imports":{},` +
			`"verdict":"","error":"","diagnostics":[],"started":"2026-11-23T15:28:44Z"}`
		decision1 = `{"id":1,"at":"2026-11-23T15:28:44Z","paused":false,"pools":[],"servers":[],"unmatched":[]}`
		decision2 = `{"id":2,"at":"2026-11-23T15:28:44Z","paused":false,"pools":[],"servers":[],"unmatched":[{"stages":[],"asks":"pipeline/exec linux/amd64","reason":""}]}`

		audit = `{"at":"2026-11-23T15:28:44Z","devices":2,"error":"","findings":[{"kind":"orphan","device":"d-9","server":"agent-zzzzzzzz","stack":"s9",` +
			`"address":"","detail":"in no record","action":"","held":true,"first":"2026-11-23T15:28:44Z","last":"2026-11-23T15:28:44Z"}]}`

		asJSON  = "application/json; charset=utf-8"
		asPlain = "text/plain; charset=utf-8"
	)
	tests := []struct {
		path string
		kind string
		want string // "": not looked at
	}{
		{"/version", asJSON, `{"source":"","version":"","commit":""}`},
		{"/healthz", asPlain, "OK"},
		{"/varz", asJSON, `{"paused":false}`},
		{"/api/servers", asJSON, ""},
		{"/api/servers/agent-aaaaaaaa", asJSON, server},
		{"/api/stacks", asJSON, "[" + stack + "]"},
		{"/api/stacks/s1", asJSON, stack},
		{"/api/stacks/s1/outputs", asJSON, `{"agent-aaaaaaaa":{"id":"d-1","address":"203.0.113.7","private_address":"10.0.0.7","state":"active","region":"ewr1","size":"c3.small.x86","image":"ubuntu_24_04"}}`},
		{"/api/stacks/s1/versions", asJSON, `[{"stack":"s1","serial":4,"lineage":"l","sha256":"00ff","size":12,"run":7,"decision":0,"at":"2026-11-23T15:28:44Z"}]`},
		{"/api/runs", asJSON, "[" + run8 + "," + run7 + "}," + run6 + "]"},
		{"/api/runs?limit=1", asJSON, "[" + run8 + "]"},
		{"/api/runs?before=8&limit=1", asJSON, "[" + run7 + "}]"},
		{"/api/runs?stack=s1&phase=applied", asJSON, "[" + run7 + "}]"},
		{"/api/runs?stack=s9", asJSON, "[]"},
		{"/api/runs/7", asJSON, run7 + `,"log":"Apply complete!\n"}`},
		{"/api/runs/7/plan", asPlain, "Plan: 1 to add <&>\n"},
		{"/api/runs/7/plan?format=text", asPlain, "Plan: 1 to add <&>\n"},
		{"/api/runs/7/plan?format=json", asJSON, `{"format_version":"1.2"}`},
		{"/api/audit", asJSON, audit},
		{"/api/decisions", asJSON, "[" + decision2 + "," + decision1 + "]"},
		{"/api/decisions?limit=1", asJSON, "[" + decision2 + "]"},
		{"/api/decisions?before=2", asJSON, "[" + decision1 + "]"},
	}
	h := open(t, populated(), nil)
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			got := h.ask(t, "GET", tt.path, "")
			if got.status != 200 || got.header.Get("Content-Type") != tt.kind {
				t.Fatalf("got %+v, want %s", got, tt.kind)
			}
			if tt.want != "" && got.body != tt.want {
				t.Errorf("got  %s\nwant %s", got.body, tt.want)
			}
			wantProtected(t, got)
			head := h.ask(t, "HEAD", tt.path, "")
			if head.status != 200 || head.body != "" {
				t.Errorf("HEAD: got %+v", head)
			}
		})
	}
}

func wantProtected(t *testing.T, r reply) {
	t.Helper()
	if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", r.header)
	}
}

func TestProgress(t *testing.T) {
	got := open(t, populated(), nil).ask(t, "GET", "/api/servers/agent-bbbbbbbb", "")
	if want := `"progress":{"action":"create","elapsed":40}`; !strings.Contains(got.body, want) {
		t.Errorf("got %s, want %s in it", got.body, want)
	}
}

// An empty hangar answers empty lists, not null.
func TestEmptyLists(t *testing.T) {
	h := open(t, &world{stacks: []state.Stack{{Name: "s1"}}}, nil)
	for path, want := range map[string]string{
		"/api/servers": "[]", "/api/runs": "[]", "/api/decisions": "[]",
		"/api/stacks/s1/outputs": "{}", "/api/stacks/s1/versions": "[]",
	} {
		if got := h.ask(t, "GET", path, ""); got.body != want {
			t.Errorf("%s: got %s, want %s", path, got.body, want)
		}
	}
	if got := open(t, &world{}, nil).ask(t, "GET", "/api/stacks", ""); got.body != "[]" {
		t.Errorf("/api/stacks: got %s, want []", got.body)
	}
	if got := h.ask(t, "GET", "/api/stacks/s1", ""); !strings.Contains(got.body, `"settings":{}`) {
		t.Errorf("no settings: %s", got.body)
	}
}

// wantFailure checks that an answer is an error in JSON.
func wantFailure(t *testing.T, got reply, status int, words string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || len(body) != 1 || body["message"] == "" {
		t.Errorf("not an error in JSON: %+v", got)
	}
	if got.status != status || !strings.Contains(body["message"], words) {
		t.Errorf("got %d %s, want %d %q", got.status, got.body, status, words)
	}
	wantProtected(t, got)
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		words              string
	}{
		{"no such server", "GET", "/api/servers/nobody", 404, "no server nobody"},
		{"destroy no such server", "DELETE", "/api/servers/nobody", 404, "no server nobody"},
		{"force what", "DELETE", "/api/servers/agent-aaaaaaaa?force=maybe", 400, "force=maybe"},
		{"no such pool", "POST", "/api/servers?pool=huge", 400, "no pool huge"},
		{"no such stack", "GET", "/api/stacks/s9", 404, "no stack s9"},
		{"outputs of no stack", "GET", "/api/stacks/s9/outputs", 404, "no stack s9"},
		{"versions of no stack", "GET", "/api/stacks/s9/versions", 404, "no stack s9"},
		{"no such run", "GET", "/api/runs/99", 404, "no run 99"},
		{"run without a number", "GET", "/api/runs/last", 404, "no run last"},
		{"plan of no run", "GET", "/api/runs/99/plan", 404, "no plan"},
		{"plan of a run without a number", "GET", "/api/runs/x/plan", 404, "no run x"},
		{"run without a plan", "GET", "/api/runs/6/plan", 404, "run 6 has no plan"},
		{"plan as what", "GET", "/api/runs/7/plan?format=pdf", 400, "format=pdf"},
		{"phase", "GET", "/api/runs?phase=done", 400, "phase=done"},
		{"before", "GET", "/api/runs?before=x", 400, "before=x"},
		{"before nothing", "GET", "/api/decisions?before=0", 400, "before=0"},
		{"limit", "GET", "/api/runs?limit=501", 400, "from 1 to 500"},
		{"no limit", "GET", "/api/decisions?limit=0", 400, "from 1 to 500"},
		{"no path", "GET", "/nowhere", 404, "no such path"},
		{"no path under api", "GET", "/api/nowhere", 404, "no such path"},
		{"slash behind", "GET", "/api/servers/", 404, "no such path"},
		{"slash inside", "GET", "/api/servers/a%2Fb", 404, "no such path"},
		{"upwards", "GET", "/api/../../version/..", 404, "no such path"},
		{"empty name", "DELETE", "/api/servers/", 404, "no such path"},
	}
	h := open(t, populated(), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantFailure(t, h.ask(t, tt.method, tt.path, ""), tt.status, tt.words)
		})
	}
	if log := h.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a caller's mistake is logged as an error of ours:\n%s", log)
	}
}

func TestMethods(t *testing.T) {
	h := open(t, populated(), nil)
	for _, tt := range []struct{ method, path, allow string }{
		{"PUT", "/api/servers", "GET HEAD POST"},
		{"POST", "/api/servers/agent-aaaaaaaa", "DELETE GET HEAD"},
		{"GET", "/api/pause", "POST"},
		{"DELETE", "/api/resume", "POST"},
		{"POST", "/api/runs/7/plan", "GET HEAD"},
		{"POST", "/version", "GET HEAD"},
		{"BREW", "/api/decisions", ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := h.ask(t, tt.method, tt.path, "")
			wantFailure(t, got, 405, tt.method+" is not allowed here")
			for _, method := range strings.Fields(tt.allow) {
				if !strings.Contains(got.header.Get("Allow"), method) {
					t.Errorf("Allow: %q lacks %s", got.header.Get("Allow"), method)
				}
			}
		})
	}
}

func TestCodes(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		words  string
		logged bool
	}{
		{"invalid", state.Errorf(state.Invalid, "too much"), 400, "too much", false},
		{"not found", state.Errorf(state.NotFound, "gone"), 404, "gone", false},
		{"conflict", fmt.Errorf("destroy: %w", state.Errorf(state.Conflict, "moved on")), 409, "destroy: moved on", false},
		{"unavailable", state.Errorf(state.Unavailable, "the disk is full"), 503, "the disk is full", true},
		{"unforeseen", errors.New("sql: no such column"), 500, "its log says what", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, request := range []string{
				"GET /api/servers", "POST /api/servers", "GET /api/servers/x", "DELETE /api/servers/x", "POST /api/pause", "POST /api/resume",
				"GET /api/stacks", "GET /api/stacks/x", "GET /api/stacks/x/outputs", "GET /api/stacks/x/versions",
				"GET /api/runs", "GET /api/runs/1", "GET /api/runs/1/plan", "GET /api/decisions",
				"GET /api/stacks/x/versions/1", "GET /api/stacks/x/diff", "GET /api/events", "GET /api/events/stream",
			} {
				h := open(t, &world{err: tt.err}, nil)
				method, path, _ := strings.Cut(request, " ")
				got := h.ask(t, method, path, "")
				wantFailure(t, got, tt.status, tt.words)
				if logged := strings.Contains(h.log.String(), "level=ERROR"); logged != tt.logged {
					t.Errorf("%s: logged as an error %t, want %t", request, logged, tt.logged)
				}
				if tt.status == 500 && (strings.Contains(got.body, "sql") || !strings.Contains(h.log.String(), "no such column")) {
					t.Errorf("%s: answered %s, logged %s", request, got.body, h.log)
				}
			}
		})
	}
}

func TestHealth(t *testing.T) {
	var err error
	h := open(t, &world{}, func(a *API) { a.Health = func() error { return err } })
	if got := h.ask(t, "GET", "/healthz", ""); got.status != 200 || got.body != "OK" {
		t.Errorf("got %+v", got)
	}
	err = errors.New("reconcile: no pass for 3m0s")
	wantFailure(t, h.ask(t, "GET", "/healthz", ""), 503, "no pass for 3m0s")
}

func TestVarz(t *testing.T) {
	h := open(t, &world{paused: true}, nil)
	if got := h.ask(t, "GET", "/varz", "", "Authorization", ""); got.status != 200 || got.body != `{"paused":true}` {
		t.Errorf("got %+v", got)
	}
	h = open(t, &world{err: state.Errorf(state.Unavailable, "/data/database.sqlite is locked")}, nil)
	got := h.ask(t, "GET", "/varz", "", "Authorization", "")
	wantFailure(t, got, 503, "its log says why")
	if strings.Contains(got.body, "/data") || !strings.Contains(h.log.String(), "/data/database.sqlite is locked") {
		t.Errorf("answered %s, logged %s", got.body, h.log)
	}
}

func TestNoContent(t *testing.T) {
	h := open(t, &world{}, nil)
	for _, path := range []string{"/api/pause", "/api/resume"} {
		if got := h.ask(t, "POST", path, ""); got.status != http.StatusNoContent || got.body != "" {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// Who asks for something is passed on.
func TestOrdersTellWhoGaveThem(t *testing.T) {
	for _, request := range []string{"POST /api/servers", "DELETE /api/servers/agent-aaaaaaaa", "POST /api/pause", "POST /api/resume"} {
		h := open(t, populated(), nil)
		method, path, _ := strings.Cut(request, " ")
		if got := h.ask(t, method, path, ""); got.status > 299 || h.world.by != "octocat" {
			t.Errorf("%s: %+v, by %q", request, got, h.world.by)
		}
	}
}

func TestAudits(t *testing.T) {
	w := populated()
	h := open(t, w, nil)
	for _, tt := range []struct {
		query  string
		status int
		want   string
	}{
		{"", 200, "look"},
		{"?action=adopt", 200, "adopt by octocat"},
		{"?action=destroy", 200, "destroy by octocat"},
		{"?action=burn", 400, ""},
	} {
		w.sweeps = nil
		got := h.ask(t, "POST", "/api/audit"+tt.query, "")
		if got.status != tt.status || strings.Join(w.sweeps, ",") != tt.want || tt.status == 200 && !strings.Contains(got.body, `"device":"d-9"`) {
			t.Errorf("%s: %d %s; asked for %v", tt.query, got.status, got.body, w.sweeps)
		}
	}
	if !strings.Contains(h.log.String(), "audit asked for") || !strings.Contains(h.log.String(), "by=octocat") {
		t.Errorf("the log does not say who asked:\n%s", h.log)
	}
}

// A person decides about a run that waits, by name; nobody decides about another.
func TestDecideRuns(t *testing.T) {
	h := open(t, populated(), nil)
	at := h.world.runs[0].Started
	h.world.runs = append(h.world.runs,
		state.Run{ID: 9, Stack: "s3", Phase: state.RunPlanned, Waits: at, Started: at},
		state.Run{ID: 10, Stack: "s4", Phase: state.RunPlanned, Waits: at, Started: at})
	for _, tt := range []struct {
		path string
		want string
	}{
		{"/api/runs/9/approve", `"phase":"planned","creates":[],"deletes":[],"forced":[],"keeps":[],"imports":{},"verdict":"","error":"","diagnostics":[],` +
			`"waits":"2026-11-23T15:28:44Z","approved":"2001-09-09T01:46:40Z","by":"octocat"`},
		{"/api/runs/10/discard", `"phase":"discarded"`},
	} {
		if got := h.ask(t, "POST", tt.path, ""); got.status != 200 || !strings.Contains(got.body, tt.want) || !strings.Contains(got.body, `"by":"octocat"`) {
			t.Errorf("%s: %+v", tt.path, got)
		}
	}
	for _, what := range []string{"approve", "discard"} {
		wantFailure(t, h.ask(t, "POST", "/api/runs/9/"+what, ""), 409, "does not wait")
		wantFailure(t, h.ask(t, "POST", "/api/runs/99/"+what, ""), 404, "there is no run 99")
		wantFailure(t, h.ask(t, "POST", "/api/runs/x/"+what, ""), 404, "there is no run x")
		wantFailure(t, h.ask(t, "POST", "/api/runs/10/"+what, "", "Authorization", "Bearer wrong"), 401, "token")
	}
	if log := h.log.String(); !strings.Contains(log, `msg="run approved" run=9 by=octocat`) || !strings.Contains(log, `msg="run discarded" run=10 by=octocat`) {
		t.Errorf("log %s", log)
	}
}
