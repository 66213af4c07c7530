package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/api/apitest"
	"hangar/state"
)

var parameter = regexp.MustCompile(`:(\w+)`)

// Every route is described, and everything that is described is a route.
func TestEveryRouteIsDescribed(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.Metrics, a.Version.Version, a.Pages = http.NotFoundHandler(), "1.2.3", &Pages{} })
	served := []string{}
	for _, r := range h.engine().Routes() {
		if page := r.Path == "/" || r.Path == "/ui" || strings.HasPrefix(r.Path, "/ui/"); r.Method != http.MethodHead && !page { // HEAD answers as GET does
			served = append(served, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
		}
	}
	slices.Sort(served)
	d := apitest.Load(t, []byte(h.ask(t, "GET", "/api/openapi.json", "").body))
	for _, operation := range d.Operations() {
		if !slices.Contains(served, operation) {
			t.Errorf("%s is described, and there is no such route", operation)
		}
	}
	for _, route := range served {
		if !slices.Contains(d.Operations(), route) {
			t.Errorf("%s is not described in templates/openapi.json", route)
		}
	}
	var listed routes
	if err := json.Unmarshal([]byte(h.ask(t, "GET", "/api", "").body), &listed); err != nil {
		t.Fatal(err)
	}
	for i, r := range listed.Routes {
		if !slices.Contains(served, r.Method+" "+r.Path) || r.Summary == "" || i > 0 && r.Path < listed.Routes[i-1].Path {
			t.Errorf("GET /api lists %+v", r)
		}
	}
	if len(listed.Routes) != len(served) || listed.OpenAPI != "/api/openapi.json" {
		t.Errorf("GET /api lists %d of %d routes, and the description at %s", len(listed.Routes), len(served), listed.OpenAPI)
	}
	for _, path := range []string{"/api", "/api/openapi.json"} {
		wantFailure(t, h.ask(t, "GET", path, "", "Authorization", ""), 401, "Bearer")
	}
}

// No route below /api answers a stranger, or who is no admin, whichever are added.
func TestEveryRouteWantsAToken(t *testing.T) {
	h := open(t, populated(), nil)
	h.world.doubt = state.Errorf(state.Forbidden, "not an admin")
	guarded := 0
	for _, r := range h.engine().Routes() {
		if strings.HasPrefix(r.Path, "/api") {
			guarded++
			if got := h.ask(t, r.Method, parameter.ReplaceAllString(r.Path, "7"), "", "Authorization", ""); got.status != 401 {
				t.Errorf("%s %s answers a stranger %d", r.Method, r.Path, got.status)
			}
			if got := h.ask(t, r.Method, parameter.ReplaceAllString(r.Path, "7"), ""); got.status != 403 {
				t.Errorf("%s %s answers who is no admin %d", r.Method, r.Path, got.status)
			}
		}
	}
	if guarded < 30 {
		t.Errorf("only %d routes were tried", guarded)
	}
}

// Each route answers as it is described, also where that lies elsewhere, and also
// with an error.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := populated()
	w.stacks[0].Tag, w.stacks[0].Emptied = "other", w.stacks[0].Created
	w.audit.Findings[0].Ended = w.audit.At
	w.decisions[0].Pools = []state.PoolDecision{{Pool: "default", Held: "maximum", Candidate: "ewr1"}}
	w.decisions[0].Servers = []state.ServerDecision{{Server: "a", Phase: state.Running, Action: state.Drain}}
	stateJSON, err := os.ReadFile("../../tfmodules/testdata/secrets-after.tfstate")
	if err != nil {
		t.Fatal(err)
	}
	w.versions["s1"][0].Bytes = stateJSON
	for _, id := range []int64{31, 32} {
		w.runs = append(w.runs, state.Run{ID: id, Stack: "s1", Phase: state.RunPlanned, Waits: time.Unix(1e9, 0).UTC(), Saved: state.Saved{Plan: "aa", State: "bb"}, Timings: state.Timings{Plan: 1.5}})
	}
	w.explanation = state.Explanation{
		Pools: []state.ExplainedPool{{PoolDecision: state.PoolDecision{Pool: "default", Reason: "nothing to change"}, Rule: "enough: it is", Max: 4}},
		Servers: []state.ExplainedServer{{ServerDecision: state.ServerDecision{Server: "agent-aaaaaaaa", Pool: "default", Phase: state.Running, Action: state.Keep, Reason: "busy"},
			Stages: []int64{4}, MayLeave: time.Unix(1e9, 0).UTC(), Leave: "later"}},
		Stages: []state.ExplainedStage{{Stage: 4, Name: "default", Asks: "pipeline/docker linux/amd64", Place: state.StageRuns, Pool: "default", Server: "agent-aaaaaaaa", Reason: "it runs"}},
	}
	h := open(t, w, func(a *API) {
		a.Version.Version = "1.2.3"
		a.Root, a.Metrics, a.Machines = "/hangar", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, "up 1\n")
		}), &machine{says: "booted\n"}
	})
	h.happen("agent-aaaaaaaa")
	w.events[0].Phase, w.events[0].By, w.events[0].Created, w.events[0].Stages = state.Running, "octocat", w.events[0].At, []int64{1}
	document := h.ask(t, "GET", "/hangar/api/openapi.json", "")
	d := apitest.Load(t, []byte(document.body))
	checked := map[string]bool{}
	for _, request := range []string{
		"GET /version", "GET /healthz", "GET /varz", "GET /metrics", "GET /api", "GET /api/openapi.json",
		"GET /api/servers", "POST /api/servers", "POST /api/servers?pool=huge", "GET /api/servers/agent-aaaaaaaa", "GET /api/servers/agent-bbbbbbbb", "GET /api/servers/nobody",
		"DELETE /api/servers/agent-aaaaaaaa?force=true", "DELETE /api/servers/nobody", "GET /api/servers/agent-aaaaaaaa/logs", "GET /api/servers/agent-cccccccc/logs?follow=true",
		"POST /api/pause", "POST /api/resume", "POST /api/reconcile", "POST /hook", "GET /api/stacks", "GET /api/stacks/s1", "GET /api/stacks/s9", "GET /api/stacks/s1/outputs", "GET /api/stacks/s1/versions",
		"GET /api/stacks/s1/versions/4", "GET /api/stacks/s1/versions/9", "GET /api/stacks/s1/diff", "GET /api/stacks/s1/diff?from=4&to=4",
		"GET /api/runs", "GET /api/runs?stack=s1&phase=applied&before=8&limit=1", "GET /api/runs/7", "GET /api/runs/9", "GET /api/runs/7/plan", "GET /api/runs/7/plan?format=json",
		"POST /api/runs/31/approve", "POST /api/runs/32/discard", "POST /api/runs/7/discard", "GET /api/explain", "GET /api/explain/agent-aaaaaaaa", "GET /api/explain/4", "GET /api/explain/nobody",
		"GET /api/audit", "POST /api/audit", "POST /api/audit?action=adopt", "GET /api/decisions", "GET /api/decisions?limit=0", "GET /api/events", "GET /api/events?kind=run&kind=server.phase&since=0",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := h.ask(t, method, "/hangar"+path, "")
		checked[d.Check(t, method, h.url+"/hangar"+path, got.status, got.header, got.body)] = true
	}
	for _, operation := range d.Operations() {
		if !checked[operation] && operation != "GET /api/events/stream" {
			t.Errorf("no answer of %s was held against its description", operation)
		}
	}
}
