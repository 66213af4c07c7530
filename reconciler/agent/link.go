package agent

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// link is an SSH connection that is logged in. Commands are run on it one
// after the other, by one user at a time.
type link struct {
	client *ssh.Client
	conn   net.Conn // that carries it
	once   sync.Once
	gone   chan struct{} // closed when the link has ended, or been given up
	used   time.Time     // when it became idle; zero while it is in use
}

// close gives the link up. It may be called more than once and never blocks.
func (l *link) close() {
	l.once.Do(func() {
		close(l.gone)
		l.conn.Close()
	})
}

func (l *link) ended() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// handshake logs in over a connection, which it owns from now on.
func (c *Client) handshake(ctx context.Context, conn net.Conn, t target) (*link, error) {
	config := &ssh.ClientConfig{
		User:              t.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(c.keys.login)},
		ClientVersion:     "SSH-2.0-hangar",
		HostKeyAlgorithms: hostKeyAlgorithms(t.key),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if string(key.Marshal()) != string(t.key.Marshal()) {
				return &wrongHostKey{seen: key}
			}
			return nil
		},
	}
	client, err := await(ctx, func() { conn.Close() }, func() (*ssh.Client, error) {
		sc, channels, requests, err := ssh.NewClientConn(conn, t.address, config)
		if err != nil {
			return nil, err
		}
		return ssh.NewClient(sc, channels, requests), nil
	})
	if err != nil {
		return nil, t.unreachable(err)
	}
	l := &link{client: client, conn: conn, gone: make(chan struct{})}
	go func() {
		client.Wait()
		l.close()
	}()
	return l, nil
}

// hostKeyAlgorithms are those by which the holder of a key can prove that it
// has it. The server is asked for no other, since it could show another key then.
func hostKeyAlgorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// watch asks the far end every now and then whether it is still there, which
// finds a connection that is only half open, and closes the link when it is
// not, or when nobody used it for long.
func (c *Client) watch(l *link, idle func() bool) {
	tick := time.NewTicker(c.Keepalive)
	defer tick.Stop()
	for {
		select {
		case <-l.gone:
			return
		case <-tick.C:
		}
		if idle() || !l.alive(c.Timeout) {
			l.close()
		}
	}
}

// alive says whether the far end answers. Any answer will do: OpenSSH refuses
// the request.
func (l *link) alive(timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := await(ctx, l.close, func() (bool, error) {
		_, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil)
		return true, err
	})
	return err == nil
}

// await does what knows no context. When ctx ends first, it calls abort, which
// is to make an end of it, and does not wait for that: on a dead connection it
// may take a while.
func await[T any](ctx context.Context, abort func(), do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ended := make(chan result, 1)
	go func() {
		value, err := do()
		ended <- result{value, err}
	}()
	select {
	case r := <-ended:
		return r.value, r.err
	case <-ctx.Done():
		abort()
		var none T
		return none, ctx.Err()
	}
}
