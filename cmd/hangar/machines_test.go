package main

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
)

// Looking in: the logs of a machine over REST, and the command line that logs
// in to it, with which nothing else is trusted.
func TestLookIntoAMachine(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond}, quick)
	settings := []string{"DRONE_POOL_MIN=1", "DRONE_POOL_IDLE=1h"}
	s := w.serve(t, settings...)
	until(t, "the minimum runs", 90*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	name := s.servers()["running"][0]
	call := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), args, w.environ(settings...), &out, io.Discard)
		return out.String(), err
	}
	logs, err := call("logs", name)
	if err != nil || !strings.Contains(logs, "==> runner") || !strings.Contains(logs, "Cloud-init v.") {
		t.Errorf("logs: %v\n%s", err, logs)
	}
	for _, secret := range []string{w.Config().RPCSecret, w.Config().APIKey, w.Config().ServerToken} {
		if strings.Contains(logs, secret) {
			t.Error("the logs show a secret")
		}
	}
	if _, err := call("logs", "nobody"); err == nil || !strings.Contains(err.Error(), "there is no server nobody") {
		t.Errorf("err = %v", err)
	}
	line, err := call("ssh", name, "--print", "docker", "inspect", "--format", "{{.State.Status}}", "agent")
	if err != nil || !strings.Contains(line, "StrictHostKeyChecking=yes") || !strings.Contains(line, "HostKeyAlias="+name) {
		t.Fatalf("ssh: %v\n%s", err, line)
	}
	need(t, "ssh")
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output(); err != nil || strings.TrimSpace(string(out)) != "running" {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	if out, err := call("ssh", name, "docker", "inspect", "--format", "{{.State.Status}}", "agent"); err != nil || strings.TrimSpace(out) != "running" {
		t.Errorf("ssh: %v, %q", err, out)
	}
}

func TestMasking(t *testing.T) {
	var out bytes.Buffer
	m := &masking{to: &out, secrets: []string{"hush-hush", "", "abc"}}
	for _, part := range []string{"a hush-", "hush\nabc hush", "-hush, the end"} {
		if _, err := io.WriteString(m, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.flush(); err != nil {
		t.Fatal(err)
	}
	if want := "a (sensitive value)\nabc (sensitive value), the end"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
