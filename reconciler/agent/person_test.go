package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hangar/state"
)

// awkwardKeys are in a folder whose name a shell, or ssh, could mistake.
func awkwardKeys(t *testing.T) *Keys {
	t.Helper()
	keys, err := LoadKeys(filepath.Join(t.TempDir(), "it's a 100%h folder"), "")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// person runs the command that Command gives with one of the machine's own.
func person(t *testing.T, c *Client, h state.Host) (string, error) {
	t.Helper()
	argv, err := c.Command(h)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(argv[0], append(argv[1:], inspectState)...).CombinedOutput()
	return string(out), err
}

func TestCommand(t *testing.T) {
	t.Parallel()
	keys := awkwardKeys(t)
	m := newMachine(t, keys, "agent-person")
	c := m.client()
	if out, err := person(t, c, m.host); err != nil || out != "running\n" {
		t.Errorf("%v: %s", err, out)
	}
	known := filepath.Join(keys.dir, "known_hosts.d", "agent-person")
	if info, err := os.Stat(known); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	m.calls()
	out, err := person(t, c, state.Host{Server: "agent-wrong", Address: "127.0.0.1"})
	if err == nil || !strings.Contains(out, "verification failed") {
		t.Errorf("another host key: %v: %s", err, out)
	}
	if calls := m.calls(); calls != nil {
		t.Errorf("the wrong machine was sent %q", calls)
	}
}

func TestCommandThroughBastion(t *testing.T) {
	t.Parallel()
	keys := awkwardKeys(t)
	bastion, m := newMachine(t, keys, "bastion"), newMachine(t, keys, "agent-within")
	c := behind(t, m, bastion)
	if out, err := person(t, c, m.host); err != nil || out != "running\n" {
		t.Errorf("%v: %s", err, out)
	}
	_, c.ProxyJumpKey, _ = keys.HostKey("another")
	if out, err := person(t, c, m.host); err == nil || !strings.Contains(out, "verification failed") {
		t.Errorf("another bastion: %v: %s", err, out)
	}
}

func TestCommandRefuses(t *testing.T) {
	c := New(newKeys(t))
	for _, h := range []state.Host{
		{Server: "../id_ed25519", Address: "127.0.0.1"},
		{Server: "agent-a", Address: ""},
		{Server: "agent-a", Address: "-oProxyCommand=x"},
		{Server: "agent-a", Address: "a;reboot"},
	} {
		if argv, err := c.Command(h); err == nil {
			t.Errorf("%+v: %q", h, argv)
		}
	}
}
