package main

import (
	"encoding/json"
	"fmt"
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
		Runs:      []state.Run{{ID: 3, Stack: "default-a", Phase: state.RunApplying, Creates: []string{"agent-b"}, Started: at.Add(-90 * time.Second)}},
		Audit:     state.Audit{Error: "no answer", Findings: []state.Finding{{Kind: state.Orphan, Device: "d-1", Detail: "in no record", Action: "is removed"}}},
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
