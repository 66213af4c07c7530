package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// behind is a client that reaches a machine through a bastion.
func behind(t *testing.T, m, bastion *machine) *Client {
	t.Helper()
	_, key, err := bastion.keys.HostKey(bastion.host.Server)
	if err != nil {
		t.Fatal(err)
	}
	c := m.client()
	c.ProxyJump = fmt.Sprintf("%s@127.0.0.1:%d", c.User, bastion.port)
	c.ProxyJumpKey = key
	return c
}

func TestBastion(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	bastion := newMachine(t, keys, "bastion")
	one, two := newMachine(t, keys, "agent-one"), newMachine(t, keys, "agent-two")
	c := behind(t, one, bastion)
	if look, err := c.Look(t.Context(), one.host); err != nil || !look.Ready() {
		t.Fatalf("%+v, %v", look, err)
	}
	c2 := behind(t, two, bastion)
	if err := c2.Drain(t.Context(), two.host); err != nil || two.get("container") != "exited" {
		t.Errorf("%v, container %s", err, two.get("container"))
	}
	if n := strings.Count(bastion.log.String(), "Accepted publickey"); n != 2 {
		t.Errorf("%d logins at the bastion for two clients", n)
	}
	if calls := bastion.calls(); calls != nil {
		t.Errorf("the bastion was sent %q", calls)
	}

	// The bastion restarts.
	bastion.stop()
	_, err := c.Look(t.Context(), one.host)
	wantError(t, err, state.Unavailable, "agent-one", "the bastion", "refuses SSH connections")
	bastion.start(needSSHD(t))
	if look, err := c.Look(t.Context(), one.host); err != nil || !look.Ready() {
		t.Errorf("after its restart: %+v, %v", look, err)
	}

	// The machine is down, the bastion not.
	one.stop()
	_, err = c.Look(t.Context(), one.host)
	wantError(t, err, state.Unavailable, "agent-one", "cannot be reached from the bastion", "Connection refused")
}

// Nobody between hangar and the machine is trusted, be it the bastion.
func TestWrongBastion(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	bastion, m := newMachine(t, keys, "bastion"), newMachine(t, keys, "agent-far")
	c := behind(t, m, bastion)
	_, c.ProxyJumpKey, _ = keys.HostKey("another")
	_, err := c.Look(t.Context(), m.host)
	wantError(t, err, state.Untrusted, "the bastion", "attack")
	if log := bastion.log.String(); strings.Contains(log, "publickey") {
		t.Errorf("it was shown a key:\n%s", log)
	}
	c = behind(t, m, bastion)
	_, err = c.Look(t.Context(), state.Host{Server: "agent-near", Address: "127.0.0.1"})
	wantError(t, err, state.Untrusted, "agent-near", "attack")
	if calls := m.calls(); calls != nil {
		t.Errorf("the wrong machine was sent %q", calls)
	}
}

func TestBastionForwardsNot(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	bastion, m := newMachine(t, keys, "bastion", "AllowTcpForwarding no"), newMachine(t, keys, "agent-shut")
	_, err := behind(t, m, bastion).Look(t.Context(), m.host)
	wantError(t, err, state.Unavailable, "the bastion does not forward connections there (AllowTcpForwarding")
}

// The way to the bastion breaks without a word.
func TestBastionHalfOpen(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	bastion, m := newMachine(t, keys, "bastion"), newMachine(t, keys, "agent-lost")
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", bastion.port))
	c := behind(t, m, bastion)
	c.ProxyJump = fmt.Sprintf("%s@127.0.0.1:%d", c.User, p.port())
	c.Timeout, c.Keepalive = 2*time.Second, 10*time.Millisecond
	if _, err := c.Look(t.Context(), m.host); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	bridge := c.bridge.link
	c.mu.Unlock()
	p.stall(false)
	<-bridge.gone
	if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() {
		t.Errorf("%+v, %v", look, err)
	}
}

func TestCheck(t *testing.T) {
	keys := newKeys(t)
	_, key, err := keys.HostKey("bastion")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		set  func(*Client)
		want string // part of the error; empty: none
	}{
		{name: "the usual", set: func(*Client) {}},
		{name: "bastion", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "me@jump.example:2222", key }},
		{name: "bastion's name only", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "jump.example", key }},
		{name: "bastion's IPv6 address only", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "2001:db8::1", key }},
		{name: "as ssh-keyscan prints it", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "jump.example", "jump.example "+key }},
		{name: "bastion without a key", set: func(c *Client) { c.ProxyJump = "jump.example" }, want: "no host key"},
		{name: "bastion with a bad key", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "jump.example", "ssh-ed25519 AAAA" }, want: "not one line of a public key"},
		{name: "two bastions", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "a.example,b.example", key }, want: "only one"},
		{name: "bastion's port", set: func(c *Client) { c.ProxyJump, c.ProxyJumpKey = "a.example:0", key }, want: "not [user@]host[:port]"},
		{name: "user", set: func(c *Client) { c.User = "" }, want: "user"},
		{name: "port", set: func(c *Client) { c.Port = 70000 }, want: "70000"},
		{name: "timeout", set: func(c *Client) { c.Timeout = 0 }, want: "more than zero"},
		{name: "limit", set: func(c *Client) { c.Limit = 0 }, want: "at least one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(keys)
			tt.set(c)
			err := c.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
