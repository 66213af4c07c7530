package agent

import (
	"context"
	"fmt"
	"net"

	"hangar/state"
)

// dial makes a new link to a host.
func (c *Client) dial(ctx context.Context, h state.Host) (*link, error) {
	t, err := c.machine(h)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := c.reach(ctx, t)
	if err != nil {
		return nil, err
	}
	l, err := c.handshake(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	go func() {
		c.watch(l, func() bool { return c.expired(l) })
		c.forget(h, l)
	}()
	return l, nil
}

// reach makes a connection to a machine, through the bastion where there is one.
func (c *Client) reach(ctx context.Context, t target) (net.Conn, error) {
	if c.ProxyJump == "" {
		conn, err := c.Dial(ctx, "tcp", t.address)
		if err != nil {
			return nil, t.unreachable(err)
		}
		return conn, nil
	}
	bridge, err := c.overBridge(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	conn, err := bridge.client.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, t.unreachable(&bastionError{bastion: c.ProxyJump, err: err})
	}
	return tunnel{conn}, nil
}

// tunnel is a connection through the bastion. Closing it needs the bastion,
// which may answer no more.
type tunnel struct{ net.Conn }

// Close never blocks.
func (t tunnel) Close() error {
	go t.Conn.Close()
	return nil
}

// attempt is the link to the bastion, or the try to make it, which all who
// need it wait for together.
type attempt struct {
	done chan struct{} // closed when the others are set
	link *link
	err  error
}

// spent says whether another attempt is needed.
func (a *attempt) spent() bool {
	select {
	case <-a.done:
		return a.err != nil || a.link.ended()
	default:
		return false
	}
}

// end waits for the attempt and closes its link.
func (a *attempt) end() {
	if <-a.done; a.link != nil {
		a.link.close()
	}
}

// overBridge returns the link to the bastion.
func (c *Client) overBridge(ctx context.Context) (*link, error) {
	c.mu.Lock()
	a := c.bridge
	if a == nil || a.spent() {
		a = &attempt{done: make(chan struct{})}
		c.bridge = a
		go func() {
			a.link, a.err = c.dialBastion()
			close(a.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		return nil, target{name: "the bastion", address: c.ProxyJump}.unreachable(ctx.Err())
	}
}

// dialBastion makes the link to the bastion; it stays until it breaks.
func (c *Client) dialBastion() (*link, error) {
	t, err := c.bastion()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	conn, err := c.Dial(ctx, "tcp", t.address)
	if err != nil {
		return nil, t.unreachable(err)
	}
	l, err := c.handshake(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	go c.watch(l, func() bool { return false })
	return l, nil
}
