package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// events runs hangar events and returns what it printed.
func (w *world) events(t *testing.T, args ...string) string {
	t.Helper()
	var out logged
	if err := run(t.Context(), append([]string{"events"}, args...), w.environ(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The log tells a server's whole life, in order, with who ordered what, and goes
// on after a restart; who follows it is told as it happens, and waits while hangar does
// not run. No secret is in it.
func TestEventsTellALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond}, quick)
	first := w.serve(t, "DRONE_POOL_IDLE=1h")
	var followed, said logged
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan error, 1)
	go func() {
		left <- run(ctx, []string{"events", "--follow", "--json", "--since", "0"}, w.environ(), &followed, &said)
	}()
	if status, body := first.ask(http.MethodPost, "/api/servers", w.Config().ServerToken); status != http.StatusOK {
		t.Fatal(body)
	}
	until(t, "it runs", 90*time.Second, func() bool { return len(first.servers()["running"]) == 1 })
	name := first.servers()["running"][0]
	if status, body := first.ask(http.MethodDelete, "/api/servers/"+name, w.Config().ServerToken); status != http.StatusOK {
		t.Fatal(body)
	}
	until(t, "its end is followed", 90*time.Second, func() bool { return strings.Contains(followed.String(), `"event":"server.destroyed"`) })
	first.ask(http.MethodPost, "/api/pause", w.Config().ServerToken)
	until(t, "the pause is followed", 10*time.Second, func() bool { return strings.Contains(followed.String(), `"event":"pause"`) })
	first.ended()
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "who follows is told that hangar has ended", 20*time.Second, func() bool { return strings.Contains(said.String(), "waiting for hangar") })
	// What happened last is in the log although hangar has ended.
	var closed, notice logged
	if err := run(t.Context(), []string{"events", "--json"}, w.environ(), &closed, &notice); err != nil || !strings.Contains(notice.String(), "no hangar serve is running") {
		t.Errorf("%v: %s", err, &notice)
	}
	until(t, "who follows has it all", 20*time.Second, func() bool { return followed.String() == closed.String() })

	second := w.serve(t)
	if status, body := second.ask(http.MethodPost, "/api/resume", w.Config().ServerToken); status != http.StatusNoContent {
		t.Fatal(body)
	}
	until(t, "what happens after the restart is followed", 20*time.Second, func() bool { return strings.Contains(followed.String(), `"event":"pause.ended"`) })
	cancel()
	if err := <-left; err != nil {
		t.Errorf("who followed: %v", err)
	}
	var life []string
	phases := []state.Phase{}
	seq := int64(0)
	for line := range strings.Lines(w.events(t, "--json", "--server", name)) {
		var e state.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Seq <= seq || e.Instance == "" || e.ID == "" || e.At.IsZero() {
			t.Errorf("event %+v after %d", e, seq)
		}
		seq = e.Seq
		if strings.HasPrefix(string(e.Kind), "order.") {
			life = append(life, string(e.Kind)+" by "+e.By)
			continue
		}
		phases = append(phases, e.Phase)
	}
	if want := []string{"order.create by root", "order.destroy by root"}; !slices.Equal(life, want) {
		t.Errorf("orders %v, want %v", life, want)
	}
	if want := []state.Phase{"pending", "creating", "created", "staging", "running", "shutdown", "stopping", "stopped"}; !isSubsequence(phases, want) {
		t.Errorf("phases %v, want some of %v", phases, want)
	}
	everything := w.events(t)
	for _, want := range []string{"run.begun", "run.planned", "run.applying", "run.applied", "pause", "by root", "1 to create, 0 to destroy"} {
		if !strings.Contains(everything, want) {
			t.Errorf("%q is not told:\n%s", want, everything)
		}
	}
	// Who followed was told what is in the log, each once, over the restart.
	if told := strings.Count(followed.String(), "\n"); told < 12 || !strings.HasPrefix(w.events(t, "--json"), followed.String()) {
		t.Errorf("%d events were followed:\n%s", told, &followed)
	}
	c := w.Config()
	for _, secret := range []string{c.ServerToken, c.RPCSecret, c.APIKey} {
		for where, text := range map[string]string{"events": everything, "follow": followed.String(), "REST": second.get("/api/events?limit=500")} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", where)
			}
		}
	}
}

// isSubsequence says whether list is want with some left out, the first and the
// last not.
func isSubsequence(list, want []state.Phase) bool {
	if len(list) == 0 || list[0] != want[0] || list[len(list)-1] != want[len(want)-1] {
		return false
	}
	for _, phase := range list {
		i := slices.Index(want, phase)
		if i < 0 {
			return false
		}
		want = want[i+1:]
	}
	return true
}

func TestEventsNeedAServer(t *testing.T) {
	err := run(t.Context(), []string{"events"}, guide("DRONE_DATA="+t.TempDir()), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no hangar serve is running") {
		t.Errorf("err = %v", err)
	}
}

func TestEventLine(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for want, e := range map[string]state.Event{
		"7      2026-03-01 12:00:00  server.error     agent-a error: it failed: 422 no capacity": {Seq: 7, At: at, Kind: state.ServerError, Server: "agent-a", Stack: "s", Phase: state.Failed, Reason: "it failed", Error: "422 no\ncapacity"},
		"8      2026-03-01 12:00:00  run.begun        s1 run 3: 2 to create":                     {Seq: 8, At: at, Kind: state.RunBegun, Stack: "s1", Run: 3, Decision: 2, Reason: "2 to create"},
		"9      2026-03-01 12:00:00  pause            by octocat":                                {Seq: 9, At: at, Kind: state.PauseBegan, By: "octocat"},
		"10     2026-03-01 12:00:00  decision         4: create 2 in default":                    {Seq: 10, At: at, Kind: state.DecisionMade, Decision: 4, Reason: "create 2 in default"},
	} {
		if got := eventLine(e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
