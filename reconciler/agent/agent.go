// Package agent is what hangar does on a machine, over SSH: it looks whether
// the machine is set up and its runner at work, makes the runner end its work
// and takes it back, and shows logs. A machine is trusted only when it shows
// the host key that was made for it; there is no trust on first use.
package agent

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// Client speaks with machines. It may be used by many at once. Its fields are
// set before its first use.
type Client struct {
	User      string        // DRONE_SSH_USER; commands of one other than root go through sudo -n
	Port      int           // DRONE_SSH_PORT
	Timeout   time.Duration // DRONE_SSH_TIMEOUT: for a connection with its login, and for each command
	Keepalive time.Duration // how often a connection is asked whether it still is one
	Idle      time.Duration // after which an unused connection is closed
	Limit     int           // connections at once, the one to the bastion not counted

	// ProxyJump is the bastion, DRONE_SSH_PROXY_JUMP: [user@]host[:port], or
	// empty. It must let in the login key, and forward TCP. ProxyJumpKey is its
	// public host key, as a line of its .pub file or of ssh-keyscan, and must be
	// given.
	ProxyJump    string
	ProxyJumpKey string

	// Dial makes the TCP connections, to machines or to the bastion.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	keys *Keys
	now  func() time.Time

	start     sync.Once
	turns     chan struct{} // holds one for each turn under way; Limit at most
	followers chan struct{} // holds one for each log that is followed

	mu     sync.Mutex
	idle   map[state.Host]*link
	busy   int // links in use, or about to be
	bridge *attempt
	told   map[state.Host]time.Time // when runners were told to end, lately
	closed bool
}

// New returns a client that logs in with keys, with the usual settings.
func New(keys *Keys) *Client {
	return &Client{
		User: "root", Port: 22, Timeout: 10 * time.Second, Keepalive: 15 * time.Second, Idle: 2 * time.Minute, Limit: 64,
		Dial: (&net.Dialer{}).DialContext, keys: keys, now: time.Now, idle: map[state.Host]*link{}, told: map[state.Host]time.Time{},
	}
}

// Check says what is wrong with the client's settings.
func (c *Client) Check() error {
	switch {
	case c.User == "":
		return fmt.Errorf("the SSH user is empty")
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("the SSH port %d is not one of 1 to 65535", c.Port)
	case c.Timeout <= 0 || c.Keepalive <= 0 || c.Idle <= 0:
		return fmt.Errorf("the SSH timeout %s, keepalive %s and idle time %s must be more than zero", c.Timeout, c.Keepalive, c.Idle)
	case c.Limit < 1:
		return fmt.Errorf("at most %d SSH connections: at least one is needed", c.Limit)
	case c.ProxyJump == "":
		return nil
	}
	_, err := c.bastion()
	return err
}

// Close ends the connections that nobody uses, and the one to the bastion;
// the others end with their use.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for host, l := range c.idle {
		delete(c.idle, host)
		l.close()
	}
	if c.bridge != nil {
		go c.bridge.end()
	}
}

// target is an SSH server, and how it is to be known.
type target struct {
	name    string // in messages
	address string // host:port
	user    string
	key     ssh.PublicKey // the only host key that is accepted
}

func (t target) String() string { return t.name + " (" + t.address + ")" }

// machine is a host's SSH server.
func (c *Client) machine(h state.Host) (target, error) {
	if h.Address == "" {
		return target{}, state.Errorf(state.Unavailable, "%s has no address yet", h.Server)
	}
	key, err := c.keys.publicHostKey(h.Server)
	if err != nil {
		return target{}, err
	}
	return target{name: h.Server, address: net.JoinHostPort(h.Address, strconv.Itoa(c.Port)), user: c.User, key: key}, nil
}

// bastion is the SSH server behind which the machines are.
func (c *Client) bastion() (target, error) {
	user, address, found := strings.Cut(c.ProxyJump, "@")
	if !found {
		user, address = c.User, c.ProxyJump
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "22"
	}
	if n, err := strconv.ParseUint(port, 10, 16); user == "" || !plainHost(host) || err != nil || n == 0 {
		return target{}, fmt.Errorf("the SSH bastion %q is not [user@]host[:port], and only one can be used", c.ProxyJump)
	}
	if c.ProxyJumpKey == "" {
		return target{}, fmt.Errorf("the SSH bastion %s has no host key to know it by: give the line of its /etc/ssh/ssh_host_ed25519_key.pub", c.ProxyJump)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.ProxyJumpKey))
	if err != nil {
		return target{}, fmt.Errorf("the host key of the SSH bastion %s is not one line of a public key (ssh-ed25519 AAAA...)", c.ProxyJump)
	}
	return target{name: "the bastion", address: net.JoinHostPort(host, port), user: user, key: key}, nil
}

// plainHost says whether a host name or address has nothing in it that a
// shell, or ssh, would take for something else.
func plainHost(host string) bool {
	return host != "" && !strings.HasPrefix(host, "-") && strings.IndexFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".:-_%", r)
	}) < 0
}
