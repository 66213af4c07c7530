package api

import (
	"testing"
	"time"

	"hangar/state"
)

func TestExplain(t *testing.T) {
	at := time.Unix(1795447724, 0).UTC()
	w := populated()
	w.explanation = state.Explanation{
		At:    at,
		Pools: []state.ExplainedPool{{PoolDecision: state.PoolDecision{Pool: "other"}}, {PoolDecision: state.PoolDecision{Pool: "default", Waiting: 1, Reason: "nothing to change"}, Rule: "enough: it is", Max: 4, Lead: state.Lead{Median: state.Seconds(90500 * time.Millisecond), Of: 3}}},
		Servers: []state.ExplainedServer{
			{ServerDecision: state.ServerDecision{Server: "agent-aaaaaaaa", Pool: "default", Phase: state.Running, Action: state.Keep, Reason: "busy"}, MayLeave: at, Leave: "now"},
			{ServerDecision: state.ServerDecision{Server: "agent-bbbbbbbb", Pool: "other"}},
		},
		Stages: []state.ExplainedStage{
			{Stage: 7, Place: state.StageComing, Pool: "default", Server: "agent-aaaaaaaa", Reason: "on its way", Expected: at, Estimate: "soon"},
			{Stage: 8, Place: state.StageUnmatched, Asks: "pipeline/docker linux/amd64 size=huge", Reason: "no pool may run it: no pool has label size=huge"},
		},
	}
	const (
		head   = `{"at":"2026-11-23T15:28:44Z","paused":false,`
		pool   = `"pools":[{"pool":"default","waiting":1,"held_back":0,"assigned":0,"usable":0,"free":0,"billed":0,"create":0,"reason":"nothing to change","rule":"enough: it is","min":0,"max":4,"lead":{"median":90.5,"of":3}}],`
		server = `"servers":[{"server":"agent-aaaaaaaa","pool":"default","phase":"running","action":"keep","reason":"busy","stages":[],"may_leave":"2026-11-23T15:28:44Z","leave":"now"}],`
		stage  = `"stages":[{"stage":7,"build":0,"name":"","asks":"","place":"coming","pool":"default","server":"agent-aaaaaaaa","reason":"on its way","expected":"2026-11-23T15:28:44Z","estimate":"soon"}]}`
	)
	h := open(t, w, nil)
	for path, want := range map[string]string{
		"/api/explain/agent-aaaaaaaa": head + pool + server + stage,
		"/api/explain/7":              head + pool + server + stage,
		"/api/explain/8": head + `"pools":[],"servers":[],"stages":[{"stage":8,"build":0,"name":"","asks":"pipeline/docker linux/amd64 size=huge","place":"unmatched",` +
			`"reason":"no pool may run it: no pool has label size=huge"}]}`,
		"/api/explain/agent-cccccccc": head + `"pools":[],"servers":[{"server":"agent-cccccccc","pool":"default","phase":"stopped","action":"keep","reason":"","stages":[],"leave":"it is gone"}],"stages":[]}`,
	} {
		if got := h.ask(t, "GET", path, ""); got.status != 200 || got.body != want {
			t.Errorf("%s: %d\ngot  %s\nwant %s", path, got.status, got.body, want)
		}
	}
	if got := h.ask(t, "GET", "/api/explain", ""); got.status != 200 || len(got.body) < len(head+pool+server+stage) {
		t.Errorf("all: %+v", got)
	}
	wantFailure(t, h.ask(t, "GET", "/api/explain/9", ""), 404, "no server 9, and no stage")
	wantFailure(t, h.ask(t, "GET", "/api/explain", "", "Authorization", "Bearer nobody's"), 401, "")
	w.err = state.Errorf(state.Unavailable, "Drone does not answer")
	wantFailure(t, h.ask(t, "GET", "/api/explain", ""), 503, "Drone does not answer")
}
