package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hangar/reconciler/replay"
)

// replayOf runs hangar replay with these settings, and nothing else set.
func replayOf(t *testing.T, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	var out, told bytes.Buffer
	err := run(t.Context(), append([]string{"replay"}, args...), settings, &out, &told)
	return out.String(), err
}

// The settings of the environment, others, and drone/autoscaler's rule stand side
// by side, for people and for programs.
func TestReplayCommand(t *testing.T) {
	picture, saved := filepath.Join(t.TempDir(), "machines.svg"), filepath.Join(t.TempDir(), "trace.jsonl")
	small := []string{"steady", "--days", "2", "--per-day", "100", "--set", "max=1,min=0", "--set", "interval=1s,pool.idle=5m", "--svg", picture, "--save", saved, "--price", "0.5"}
	text, err := replayOf(t, map[string]string{"DRONE_POOL_MAX": "3"}, append(small, "--goal", "10m")...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"200 stages", "as set", "max=1,min=0", "interval=1s,pool.idle=5m", "drone/autoscaler", "For 95% to wait no longer than 10m0s: pool default"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not tell %q:\n%s", want, text)
		}
	}
	if content, err := os.ReadFile(picture); err != nil || !bytes.HasPrefix(content, []byte("<svg")) {
		t.Errorf("the picture: %v, %.60s", err, content)
	}
	text, err = replayOf(t, map[string]string{"DRONE_POOL_MAX": "3"}, append(small, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	var made, read struct{ Results []*replay.Result }
	if err := json.Unmarshal([]byte(text), &made); err != nil || len(made.Results) != 4 {
		t.Fatalf("%v\n%s", err, text)
	}
	if one, three := made.Results[1], made.Results[0]; one.Most != 1 || three.Most > 3 || one.Mean <= three.Mean || one.Cost >= three.Cost || three.Cost != 0.5*three.Billed {
		t.Errorf("at most one machine: %+v; three: %+v", one, three)
	}
	text, err = replayOf(t, map[string]string{"DRONE_POOL_MAX": "3"}, saved, "--json", "--price", "0.5")
	if err != nil || json.Unmarshal([]byte(text), &read) != nil || !reflect.DeepEqual(read.Results[0], made.Results[0]) {
		t.Errorf("what was saved: %v\n%s", err, text)
	}
}

func TestReplayRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(bad, []byte("{\"at\": \"2026-01-05T10:00:00Z\", \"duration\": 1}\n{\"at\": 7}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{nil, "name a file with a trace"},
		{[]string{"none.jsonl"}, "none.jsonl"},
		{[]string{bad}, "line 2"},
		{[]string{"steady", "--from-drone"}, "want one of them"},
		{[]string{"--from-drone"}, "DRONE_SERVER_HOST"},
		{[]string{"steady", "--set", "max"}, "name=value"},
		{[]string{"steady", "--set", "idel=5m"}, "there is no setting idel"},
		{[]string{"steady", "--set", "arm64.max=5"}, "there is no pool arm64"},
		{[]string{"steady", "--set", "min=9"}, "do not go together"},
		{[]string{"steady", "--set", "idle=5"}, "idle=5: want a duration"},
		{[]string{"steady", "--boot", "soon"}, "--boot=soon"},
		{[]string{"steady", "--fail", "1"}, "--fail=1"},
		{[]string{"--from-drone", "--days", "0"}, "--days"},
		{[]string{"steady", "--goal=-1s"}, "--goal"},
	} {
		if out, err := replayOf(t, map[string]string{}, tt.args...); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v: %v does not say %q\n%s", tt.args, err, tt.says, out)
		}
	}
}

// What a Drone server ran is replayed, and its answers alone are needed.
func TestReplayFromDrone(t *testing.T) {
	drone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/repos":
			w.Write([]byte(`[{"id": 1, "namespace": "octocat", "name": "hello", "slug": "octocat/hello"}]`))
		case "/api/repos/octocat/hello/builds":
			w.Write([]byte(`[{"number": 1, "created": 4102444800}]`))
		case "/api/repos/octocat/hello/builds/1":
			w.Write([]byte(`{"stages": [{"id": 1, "os": "linux", "arch": "amd64", "created": 4102444800, "started": 4102444810, "stopped": 4102444870}]}`))
		default:
			t.Errorf("asked for %s", r.URL)
		}
	}))
	defer drone.Close()
	text, err := replayOf(t, map[string]string{"DRONE_SERVER_PROTO": "http", "DRONE_SERVER_HOST": strings.TrimPrefix(drone.URL, "http://"), "DRONE_SERVER_TOKEN": "token"}, "--from-drone")
	if err != nil || !strings.Contains(text, "1 stage from 2100-01-01 00:00:00") {
		t.Errorf("%v\n%s", err, text)
	}
}
