package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// ask runs a command that asks the running server, by what leads to it alone.
func (w *world) ask(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout bytes.Buffer
	err := run(t.Context(), args, map[string]string{"DRONE_DATA": w.data, "DRONE_SERVER_TOKEN": w.Config().ServerToken}, &stdout, &stdout)
	if err != nil {
		stdout.WriteString(err.Error())
	}
	return exitCode(err), stdout.String()
}

// wants runs such a command and looks for words in what it prints.
func (w *world) wants(t *testing.T, args []string, words ...string) {
	t.Helper()
	code, out := w.ask(t, args...)
	for _, want := range words {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, and no %q in:\n%s", args, code, want, out)
			return
		}
	}
}

// What a person asks of a running hangar: what there is, and why.
func TestExplainAndStatus(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: 3 * time.Minute}, quick)
	if code, out := w.ask(t, "explain"); code != 1 || !strings.Contains(out, "no hangar serve is running") {
		t.Errorf("without a server: %d %s", code, out)
	}
	s := w.serve(t, "DRONE_POOL_MAX=1", "DRONE_POOL_MIN_AGE=1h")
	w.wants(t, []string{"explain"}, "Pool default, 0 to 1 servers", "enough:", "0 stages waiting, 0 on a machine")
	ids := w.Enqueue(3)
	huge := w.Enqueue(1, state.Stage{Labels: map[string]string{"size": "huge"}})[0]
	w.wants(t, []string{"explain", fmt.Sprint(huge)}, "asks for pipeline/docker linux/amd64 size=huge", "no pool may run it: no pool has label size=huge")
	until(t, "two builds run", 90*time.Second, func() bool { return w.Stats().Running == 2 })
	until(t, "the server runs", 30*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	name := s.servers()["running"][0]
	w.wants(t, []string{"explain"}, name, "busy: 2 stages of 2 on it", "nothing is on its way for it: pool default is held (maximum): 1 server wanted beyond the maximum", "2 stages waiting, 2 on a machine")
	w.wants(t, []string{"explain", name}, "Server "+name+" is running", "if its stages ended now: when it is 1h0m0s old", "stages on it", "a server takes")
	w.wants(t, []string{"explain", fmt.Sprint(ids[2])}, "maximum: there are never more servers than the maximum", "held")
	if code, out := w.ask(t, "explain", "agent-nobody"); code != 1 || !strings.Contains(out, "there is no server agent-nobody, and no stage") {
		t.Errorf("nobody: %d %s", code, out)
	}
	var e state.Explanation
	_, out := w.ask(t, "explain", "--json")
	if err := json.Unmarshal([]byte(out), &e); err != nil || len(e.Stages) != 4 || e.Pools[0].Lead.Of != 1 {
		t.Errorf("--json: %v\n%s", err, out)
	}

	w.wants(t, []string{"status"}, "1 of 0 to 1", "maximum", "1 stage no pool may run: pipeline/docker linux/amd64 size=huge", "1 server, 1 running", name)
	var st status
	_, out = w.ask(t, "status", "--json")
	if err := json.Unmarshal([]byte(out), &st); err != nil || len(st.Servers) != 1 || st.Pools[0].Waiting != 1 || st.Queue != "" || len(st.Unmatched) != 1 {
		t.Errorf("--json: %v\n%s", err, out)
	}
	if code, out := w.ask(t, "status", "--watch"); code != 1 || !strings.Contains(out, "--watch draws on a terminal") {
		t.Errorf("--watch into a pipe: %d %s", code, out)
	}
	if status, body := s.ask(http.MethodGet, "/api/explain", "nobody's"); status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d %s", status, body)
	}
}
