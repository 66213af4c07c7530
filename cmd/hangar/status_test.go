package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

func TestStatusOnOneScreen(t *testing.T) {
	at := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	s := status{
		At: at, Paused: true, Queue: "Drone does not answer",
		Pools: []state.ExplainedPool{
			{PoolDecision: state.PoolDecision{Pool: "default", Waiting: 5, HeldBack: 1, Assigned: 2, Usable: 6, Free: 4, Billed: 3, Held: "paused"}, Min: 1, Max: 4},
			{PoolDecision: state.PoolDecision{Pool: "arm", Billed: 1}},
		},
		Unmatched: []state.Unmatched{{Stages: []int64{7, 8}, Asks: "pipeline/docker linux/arm64", Reason: "pool default is linux/amd64"}},
		Runs: []state.Run{{ID: 3, Stack: "default-a", Phase: state.RunApplying, Creates: []string{"agent-b"}, Started: at.Add(-90 * time.Second)},
			{ID: 4, Stack: "default-c", Phase: state.RunPlanned, Creates: []string{"agent-d"}, Started: at.Add(-time.Minute), Waits: at.Local().Add(-time.Minute)}},
		Audit: state.Audit{Error: "no answer", Findings: []state.Finding{{Kind: state.Orphan, Device: "d-1", Detail: "in no record", Action: "is removed"}}},
	}
	servers := `[{"name":"agent-a","pool":"default","state":"running","updated":1772614800,"progress":null,"reason":"it takes stages"},
		{"name":"agent-b","pool":"default","state":"creating","updated":1772618310,"progress":{"action":"create","elapsed":80},"reason":"5 waiting"},
		{"name":"agent-c","pool":"arm","state":"staging","updated":1772618390,"setup":"apt-get runs","reason":"its machine answers"}]`
	if err := json.Unmarshal([]byte(servers), &s.Servers); err != nil {
		t.Fatal(err)
	}
	want := `Paused: nothing is created or removed until POST /api/resume

The queue cannot be read, and these are the figures of the last decision: Drone does not answer

POOL     WAITING  HELD BACK  ASSIGNED  ROOM  FREE  SERVERS      HELD
default  5        1          2         6     4     3 of 1 to 4  paused
arm      0        0          0         0     0     1            -

2 stages no pool may run: pipeline/docker linux/arm64: pool default is linux/amd64

3 servers, 1 creating, 1 staging, 1 running

SERVER   POOL     STATE     FOR     PROGRESS       WHY
agent-a  default  running   1h0m0s  -              it takes stages
agent-b  default  creating  1m30s   create, 1m20s  5 waiting
agent-c  arm      staging   10s     apt-get runs   its machine answers

RUN  STACK      PHASE     CREATES  DESTROYS  FOR
3    default-a  applying  1        0         1m30s
4    default-c  planned   1        0         1m0s

Run 4 waits for approval since ` + at.Local().Add(-time.Minute).Format(time.DateTime) + `: hangar runs 4 shows its plan; hangar approve 4, or hangar discard 4

The provider could not be looked at: no answer

FINDING  DEVICE  SERVER  DETAIL        ACTION
orphan   d-1     -       in no record  is removed`
	if got := strings.Join(s.lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A large fleet fits the screen: its running servers are only counted.
func TestStatusOfManyServers(t *testing.T) {
	s := status{At: time.Now()}
	for i := range 60 {
		s.Servers = append(s.Servers, statusServer{Name: fmt.Sprintf("agent-%d", i), State: state.Running})
	}
	s.Servers[7].State = state.Failed
	got := strings.Join(s.lines(), "\n")
	if len(s.lines()) > 10 || !strings.Contains(got, "60 servers, 59 running, 1 error") || !strings.Contains(got, "agent-7 ") || strings.Contains(got, "agent-8 ") {
		t.Errorf("got\n%s", got)
	}
	for i := range s.Servers {
		s.Servers[i].State = state.Creating
	}
	if n := len(s.lines()); n > oneScreen+10 {
		t.Errorf("%d lines", n)
	}
}

// While Drone does not answer, the status tells that, and the figures of the
// last decision.
func TestStatusWithoutDrone(t *testing.T) {
	answers := map[string]string{
		"/api/decisions": `[{"id":3,"paused":true,"pools":[{"pool":"default","waiting":2,"billed":1,"held":"paused"}],"servers":[],"unmatched":[{"stages":[9],"asks":"pipeline/exec linux/amd64","reason":"no"}]}]`,
		"/api/servers":   `[{"name":"agent-a","state":"running"},{"name":"agent-b","state":"stopped"}]`,
		"/api/runs":      `[]`, "/api/audit": `{"devices":1,"error":"","findings":[]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if answer, ok := answers[r.URL.Path]; ok && r.Header.Get("Authorization") == "Bearer token" {
			fmt.Fprint(rw, answer)
			return
		}
		rw.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(rw, `{"message":"Drone does not answer"}`)
	}))
	defer server.Close()
	s, err := asker{Config{ServerToken: "token"}, server.URL}.status(t.Context())
	if err != nil || !s.Paused || !strings.Contains(s.Queue, "Drone does not answer") || s.Pools[0].Waiting != 2 || len(s.Unmatched) != 1 || len(s.Servers) != 1 {
		t.Errorf("%v: %+v", err, s)
	}
	if got := strings.Join(s.lines(), "\n"); !strings.Contains(got, "figures of the last decision: ") || !strings.Contains(got, "default  2 ") {
		t.Errorf("got\n%s", got)
	}
	delete(answers, "/api/servers")
	if _, err := (asker{Config{ServerToken: "token"}, server.URL}).status(t.Context()); err == nil {
		t.Error("no error, when the server cannot tell its servers")
	}
}
