package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/state"
)

func TestLook(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	m := newMachine(t, keys, "agent-look")
	c := m.client()
	tests := []struct {
		name   string
		set    map[string]string
		unset  []string
		want   state.AgentLook
		detail []string // in want.Detail, which is not compared
	}{
		{name: "ready", want: state.AgentLook{CloudInit: "done", Container: "running", Healthy: true}},
		{
			name: "being set up",
			set: map[string]string{
				"cloud-init": "status: running\nextended_status: running\nerrors: []\nrecoverable_errors: {}\n",
				"log":        "Setting up docker.io\nUnable to find image\n4f4fb700ef54: Pulling fs layer\r4f4fb700ef54: \x1b[32mPull complete\x1b[0m\n",
			},
			unset:  []string{"container"},
			want:   state.AgentLook{CloudInit: "running"},
			detail: []string{"4f4fb700ef54: Pull complete"},
		},
		{
			name: "setup failed",
			set: map[string]string{
				"cloud-init": "status: error\nextended_status: error - done\ndetail: DataSourceEquinix\nerrors:\n\t- ('scripts_user', RuntimeError('Runparts: 1 failures'))\nrecoverable_errors: {}\n", "cloud-init.exit": "1\n",
				"log": "E: Unable to locate package docker.io\nFailed to run module package_update\n",
			},
			unset:  []string{"container"},
			want:   state.AgentLook{CloudInit: "error"},
			detail: []string{"Runparts: 1 failures", "E: Unable to locate package docker.io\nFailed to run module"},
		},
		{
			name: "degraded", set: map[string]string{"cloud-init": "status: done\nextended_status: degraded done\nrecoverable_errors:\nWARNING:\n\t- No template found\n", "cloud-init.exit": "2\n"},
			want: state.AgentLook{CloudInit: "degraded", Container: "running", Healthy: true}, detail: []string{"No template found"},
		},
		{
			name: "no container", unset: []string{"container"},
			want: state.AgentLook{CloudInit: "done"}, detail: []string{"there is no container named agent"},
		},
		{
			name: "exited", set: map[string]string{"container": "exited\n"},
			want: state.AgentLook{CloudInit: "done", Container: "exited"}, detail: []string{"the runner's container is exited"},
		},
		{
			name: "sick", set: map[string]string{"sick": ""},
			want: state.AgentLook{CloudInit: "done", Container: "running"}, detail: []string{"does not answer its health check", "curl: (22)"},
		},
		{ // its containers may run on: it must not look gone
			name: "docker is down", set: map[string]string{"down": ""},
			want: state.AgentLook{CloudInit: "done", Container: Unknown}, detail: []string{"Cannot connect to the Docker daemon"},
		},
		{
			name: "cloud-init says nothing", set: map[string]string{"cloud-init": "", "cloud-init.exit": "3\n"},
			want: state.AgentLook{Container: "running", Healthy: true}, detail: []string{"cloud-init does not say how far it is", "exit code 3"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, text := range tt.set {
				m.set(name, text)
			}
			for _, name := range tt.unset {
				m.unset(name)
			}
			look, err := c.Look(t.Context(), m.host)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range tt.detail {
				if !strings.Contains(look.Detail, part) {
					t.Errorf("detail %q does not contain %q", look.Detail, part)
				}
			}
			if len(tt.detail) == 0 && look.Detail != "" {
				t.Errorf("detail %q", look.Detail)
			}
			look.Detail = ""
			if look != tt.want {
				t.Errorf("got %+v, want %+v", look, tt.want)
			}
			m.set("cloud-init", "status: done\n")
			m.set("cloud-init.exit", "0\n")
			m.set("container", "running\n")
			for _, name := range []string{"sick", "down"} {
				os.Remove(filepath.Join(m.dir, name))
			}
		})
	}
}

// Where docker is not installed yet, there is no runner.
func TestLookWithoutDocker(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-bare")
	if err := os.Remove(filepath.Join(m.bin, "docker")); err != nil {
		t.Fatal(err)
	}
	look, err := m.client().Look(t.Context(), m.host)
	if err != nil || look.Container != "" || !look.Gone() {
		t.Errorf("%+v, %v", look, err)
	}
	if err := m.client().Drain(t.Context(), m.host); err != nil {
		t.Errorf("drain: %v", err)
	}
}

// A runner is told once, however often it is drained, and ends when its work
// has: told twice, it would end at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-drain")
	c := m.client()
	m.set("work", "")
	for range 3 {
		if err := c.Drain(t.Context(), m.host); err != nil {
			t.Fatal(err)
		}
	}
	calls := m.calls()
	if n := strings.Count(strings.Join(calls, "\n"), terminate); n != 1 {
		t.Errorf("told %d times:\n%s", n, strings.Join(calls, "\n"))
	}
	if update, kill := slices.Index(calls, restartNever), slices.Index(calls, terminate); update < 0 || update > kill {
		t.Errorf("docker may start it again: %q", calls)
	}
	if look, err := c.Look(t.Context(), m.host); err != nil || look.Gone() || look.Healthy {
		t.Errorf("while it works: %+v, %v", look, err)
	}
	if err := c.Revive(t.Context(), m.host); state.CodeOf(err) != state.Conflict {
		t.Errorf("put back while it works: %v", err)
	}
	if m.get("policy") != "no" {
		t.Error("docker would start it again")
	}
	m.finish()
	if look, err := c.Look(t.Context(), m.host); err != nil || !look.Gone() {
		t.Errorf("when its work has ended: %+v, %v", look, err)
	}
	if err := c.Drain(t.Context(), m.host); err != nil {
		t.Errorf("when it has ended: %v", err)
	}
	if m.has("killed") {
		t.Error("a build was killed")
	}
	if err := c.Revive(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() || m.get("policy") != "always" {
		t.Errorf("put back: %+v, %v, restart policy %s", look, err, m.get("policy"))
	}
}

// The signal got lost after docker's policy was set: it is sent, since the
// runner still listens, be it with an error; but not before it has had time to
// stop.
func TestDrainAgain(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-again")
	c := m.client()
	now := time.Now()
	c.now = func() time.Time { return now }
	m.set("work", "")
	m.set("sick", "")
	m.set("cut", "")
	if err := c.Drain(t.Context(), m.host); err == nil || m.has("told") {
		t.Fatalf("the signal was not lost: %v", err)
	}
	if err := c.Revive(t.Context(), m.host); state.CodeOf(err) != state.Conflict {
		t.Errorf("whether it was told is not known: %v", err)
	}
	if err := c.Drain(t.Context(), m.host); err != nil || m.has("told") {
		t.Errorf("at once: %v, told %t", err, m.has("told"))
	}
	for range 2 {
		now = now.Add(tellAgain)
		if err := c.Drain(t.Context(), m.host); err != nil || !m.has("told") || m.has("killed") {
			t.Fatalf("%v, told %t, killed %t", err, m.has("told"), m.has("killed"))
		}
	}
}

// Of many who drain a machine at once, one tells its runner.
func TestDrainAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-once")
	c := m.client()
	m.set("work", "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := c.Drain(t.Context(), m.host); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !m.has("told") || m.has("killed") {
		t.Errorf("told %t, killed %t", m.has("told"), m.has("killed"))
	}
	m.finish()
	if err := c.Revive(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context(), m.host); err != nil || m.get("container") != "exited" {
		t.Errorf("after it was put back: %v, container %s", err, m.get("container"))
	}
}

func TestDrainOf(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-drained")
	tests := []struct {
		name, container, policy string
		down                    bool
		wantPolicy              string
		wantErr                 bool
	}{
		{name: "idle", container: "running", policy: "always", wantPolicy: "no"},
		// Otherwise docker starts it again when it is itself started.
		{name: "exited", container: "exited", policy: "always", wantPolicy: "no"},
		{name: "missing", container: "", policy: "always", wantPolicy: "always"},
		{name: "never started", container: "created", policy: "always", wantPolicy: "no"},
		{name: "docker is down", container: "running", policy: "always", down: true, wantPolicy: "always", wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.set("container", tt.container+"\n")
			m.set("policy", tt.policy+"\n")
			if tt.down {
				m.set("down", "")
			}
			c := m.client()
			err := c.Drain(t.Context(), m.host)
			if (err != nil) != tt.wantErr || tt.wantErr && state.CodeOf(err) != state.Unavailable {
				t.Errorf("error %v", err)
			}
			if got := m.get("policy"); got != tt.wantPolicy {
				t.Errorf("restart policy %s, want %s", got, tt.wantPolicy)
			}
			if got := m.get("container"); got == "running" && !tt.wantErr {
				t.Errorf("it runs on")
			}
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-restart")
	c := m.client()
	m.set("container", "exited\n")
	if err := c.Restart(t.Context(), m.host); err != nil || m.get("container") != "running" {
		t.Errorf("%v, container %s", err, m.get("container"))
	}
	m.unset("container")
	if err := c.Restart(t.Context(), m.host); state.CodeOf(err) != state.NotFound {
		t.Errorf("without a container: %v", err)
	}
	if err := c.Revive(t.Context(), m.host); state.CodeOf(err) != state.NotFound {
		t.Errorf("put back without a container: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-tail")
	c := m.client()
	if tail, err := c.Tail(t.Context(), m.host); err != nil || tail != "" {
		t.Errorf("without a log: %q, %v", tail, err)
	}
	m.set("log", strings.Repeat("a line of the log that is not short\n", 500)+"\x1b]0;title\x07the end\x00\n")
	tail, err := c.Tail(t.Context(), m.host)
	if err != nil || !strings.HasSuffix(tail, "\nthe end") || strings.Count(tail, "\n") != tailLines-1 {
		t.Errorf("%q, %v", tail, err)
	}
}
