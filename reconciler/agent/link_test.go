package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// wantError checks an error's code, and that it says what a person needs.
func wantError(t *testing.T, err error, code state.Code, parts ...string) {
	t.Helper()
	if err == nil || state.CodeOf(err) != code {
		t.Fatalf("error %v has code %q, want %q", err, state.CodeOf(err), code)
	}
	t.Logf("%v", err)
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	host := state.Host{Server: "agent-off", Address: "127.0.0.1"}
	fails := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	tests := []struct {
		name string
		host state.Host
		dial func(context.Context, string, string) (net.Conn, error)
		want string
	}{
		{name: "refused", host: host, dial: (&net.Dialer{}).DialContext, want: "refuses SSH connections"},
		{name: "no address", host: state.Host{Server: "agent-off"}, want: "has no address yet"},
		{name: "no route", host: host, dial: fails(syscall.EHOSTUNREACH), want: "there is no route to it"},
		{name: "silent", host: host, dial: fails(syscall.ETIMEDOUT), want: "does not answer in time"},
		{name: "no name", host: host, dial: fails(&net.DNSError{Err: "no such host", Name: "x.invalid"}), want: "there is no address for the name x.invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(newKeys(t))
			c.Port, c.Dial = freePort(t), tt.dial
			_, err := c.Look(t.Context(), tt.host)
			wantError(t, err, state.Unavailable, "look at agent-off", tt.want)
		})
	}
}

// Who no longer wants to know is not told that the machine is at fault.
func TestCancelled(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-cancel")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.client().Look(ctx, m.host)
	if !errors.Is(err, context.Canceled) || state.CodeOf(err) != "" {
		t.Errorf("%v, code %q", err, state.CodeOf(err))
	}
}

// What shows another host key is sent nothing: no login, no command.
func TestWrongHostKey(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	m := newMachine(t, keys, "agent-other")
	c := m.client()
	_, want, _ := keys.HostKey("agent-mine")
	_, seen, _ := keys.HostKey("agent-other")
	mine := state.Host{Server: "agent-mine", Address: "127.0.0.1"}
	for _, do := range []func() error{
		func() error { _, err := c.Look(t.Context(), mine); return err },
		func() error { return c.Drain(t.Context(), mine) },
		func() error { return c.Restart(t.Context(), mine) },
	} {
		wantError(t, do(), state.Untrusted, "agent-mine", fmt.Sprintf("127.0.0.1:%d", m.port), fingerprint(t, seen), fingerprint(t, want), "attack", "destroy the server")
	}
	if calls := m.calls(); calls != nil {
		t.Errorf("it was sent %q", calls)
	}
	if log := m.log.String(); strings.Contains(log, "Accepted") || strings.Contains(log, "publickey") {
		t.Errorf("it was shown a key:\n%s", log)
	}
}

// A server that has keys of other kinds only is no better.
func TestOtherHostKeyAlgorithm(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-ecdsa")
	m.stop()
	key := filepath.Join(m.dir, "host_key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	m.start(needSSHD(t))
	_, err := m.client().Look(t.Context(), m.host)
	wantError(t, err, state.Untrusted, "ecdsa-sha2-nistp256", "attack")
}

func fingerprint(t *testing.T, line string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

func TestWrongLoginKey(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-login")
	m.set("authorized_keys", newKeys(t).AuthorizedKey()+"\n")
	_, err := m.client().Look(t.Context(), m.host)
	wantError(t, err, state.Unavailable, "is the right machine, but does not let user", "login key")
}

func TestSlow(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	s := newServer(t, keys, "agent-slow", func(command string, out ssh.Channel) uint32 {
		out.Write([]byte("Please login as the user \"ubuntu\" rather than the user \"root\".\n"))
		<-ended
		return 0
	})
	c := New(keys)
	c.Dial = newDialer(s).dial
	c.Timeout = 300 * time.Millisecond
	_, err := c.Look(t.Context(), s.host)
	wantError(t, err, state.Unavailable, cloudInitStatus, "does not answer in time", `Please login as the user "ubuntu"`)
}

func TestSudo(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	s := newServer(t, keys, "agent-user", func(command string, out ssh.Channel) uint32 {
		out.Stderr().Write([]byte("sudo: a password is required\n"))
		return 1
	})
	c := New(keys)
	c.User, c.Dial = "ubuntu", newDialer(s).dial
	defer c.Close()
	err := c.Drain(t.Context(), s.host)
	wantError(t, err, "", "a password is required", "by sudo without a password")
	if want := []string{"sudo -n " + inspectState}; !slices.Equal(s.commands, want) {
		t.Errorf("sent %q, want %q", s.commands, want)
	}
}

// A connection that is only half open is noticed, and replaced by another one
// where that can be had.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-half")
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", m.port))
	c := m.client()
	c.Port, c.Timeout, c.Keepalive = p.port(), 2*time.Second, time.Hour
	ready := func() {
		t.Helper()
		if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() {
			t.Fatalf("%+v, %v", look, err)
		}
	}
	ready()
	p.stall(false)
	ready()
	p.stall(true)
	_, err := c.Look(t.Context(), m.host)
	wantError(t, err, state.Unavailable, "does not answer in time")
}

// While nobody uses it, a half-open connection is found by the keepalive.
func TestKeepalive(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-keep")
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", m.port))
	c := m.client()
	c.Port, c.Timeout, c.Keepalive = p.port(), 2*time.Second, 10*time.Millisecond
	if _, err := c.Look(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	l := c.kept(m.host)
	if l == nil {
		t.Fatal("the connection was not kept")
	}
	p.stall(true)
	<-l.gone
}

func (c *Client) kept(h state.Host) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle[h]
}

// A connection that nobody uses is closed.
func TestIdle(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-idle")
	c := m.client()
	c.Keepalive, c.Idle = 10*time.Millisecond, 20*time.Millisecond
	if _, err := c.Look(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	if l := c.kept(m.host); l != nil {
		<-l.gone
	}
}

func TestServerRestarts(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-reboot")
	c := m.client()
	for range 3 {
		if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() {
			t.Fatalf("%+v, %v", look, err)
		}
		m.stop()
		if _, err := c.Look(t.Context(), m.host); state.CodeOf(err) != state.Unavailable {
			t.Fatalf("while it is down: %v", err)
		}
		m.start(needSSHD(t))
	}
	// Between two commands, on a connection that was fine a moment ago.
	if _, err := c.Look(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.start(needSSHD(t))
	if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() {
		t.Errorf("%+v, %v", look, err)
	}
}

// Connections are used again.
func TestReuse(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-reuse")
	c := m.client()
	for range 5 {
		if _, err := c.Look(t.Context(), m.host); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(m.log.String(), "Accepted publickey"); n > 1 {
		t.Errorf("%d logins for 15 commands", n)
	}
}
