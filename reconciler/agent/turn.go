package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// maxOutput is how much of a command's output is kept, in bytes.
const maxOutput = 1 << 20

// turn is somebody's use of a link to a host.
type turn struct {
	c    *Client
	host state.Host
	link *link // nil: none yet, or it broke
	kept bool  // the link has been in use before: it may have broken unnoticed
}

// visit takes a turn at a host. It waits while Limit turns are under way.
func (c *Client) visit(ctx context.Context, doing string, h state.Host, do func(*turn) error) error {
	c.start.Do(func() {
		c.turns = make(chan struct{}, max(1, c.Limit))
		c.followers = make(chan struct{}, max(1, c.Limit/2))
	})
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s %s: wait for one of %d SSH connections: %w", doing, h.Server, c.Limit, ctx.Err())
	}
	t := &turn{c: c, host: h, link: c.take(h)}
	t.kept = t.link != nil
	defer func() {
		c.give(t)
		<-c.turns
	}()
	if err := do(t); err != nil {
		return fmt.Errorf("%s %s: %w", doing, h.Server, err)
	}
	return nil
}

// take returns an idle link to the host, or nil; then another one is closed
// when there would be too many.
func (c *Client) take(h state.Host) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
	l := c.idle[h]
	delete(c.idle, h)
	if l != nil && !l.ended() {
		l.used = time.Time{}
		return l
	}
	for len(c.idle)+c.busy > c.Limit && len(c.idle) > 0 {
		var oldest state.Host
		for host, l := range c.idle {
			if first := c.idle[oldest]; first == nil || l.used.Before(first.used) {
				oldest = host
			}
		}
		c.idle[oldest].close()
		delete(c.idle, oldest)
	}
	return nil
}

// give keeps a turn's link for the next one.
func (c *Client) give(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	switch {
	case t.link == nil || t.link.ended():
	case c.closed || c.idle[t.host] != nil && !c.idle[t.host].ended():
		t.link.close()
	default:
		t.link.used = time.Now()
		c.idle[t.host] = t.link
	}
}

// forget lets go of a link that has ended.
func (c *Client) forget(h state.Host, l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle[h] == l {
		delete(c.idle, h)
	}
}

// expired says whether nobody used a link for long.
func (c *Client) expired(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !l.used.IsZero() && time.Since(l.used) > c.Idle
}

// open opens a session. A link that was used before is replaced when it turns
// out to be broken: no command has been sent then.
func (t *turn) open(ctx context.Context) (*ssh.Session, error) {
	if t.link != nil {
		session, err := t.session(ctx)
		if err == nil || !t.kept || ctx.Err() != nil {
			return session, err
		}
		t.link.close()
	}
	var err error
	if t.link, err = t.c.dial(ctx, t.host); err != nil {
		return nil, err
	}
	return t.session(ctx)
}

func (t *turn) session(ctx context.Context) (*ssh.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	session, err := await(ctx, t.link.close, t.link.client.NewSession)
	if err != nil {
		return nil, t.broken(err)
	}
	return session, nil
}

// broken is the error of a link that failed.
func (t *turn) broken(err error) error {
	where, known := t.c.machine(t.host)
	if known != nil {
		return known
	}
	return where.unreachable(err)
}

// line is a command as it is sent: the words of a shell command, none of which
// comes from outside.
func (c *Client) line(command string) string {
	if c.User != "root" {
		return "sudo -n " + command
	}
	return command
}

// answer is how a command ended.
type answer struct {
	stdout, stderr string
	exit           int
}

// run runs a command. That it ended with an error is no error of run.
func (t *turn) run(ctx context.Context, command string) (answer, error) {
	session, err := t.open(ctx)
	if err != nil {
		return answer{}, err
	}
	t.kept = true
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	stdout, stderr := &capture{limit: maxOutput}, &capture{limit: maxOutput}
	session.Stdout, session.Stderr = stdout, stderr
	_, err = await(ctx, t.link.close, func() (struct{}, error) { return struct{}{}, session.Run(t.c.line(command)) })
	exit, err := exitStatus(err)
	if err == nil {
		return answer{stdout: stdout.String(), stderr: stderr.String(), exit: exit}, nil
	}
	t.link.close()
	err = fmt.Errorf("%s: %w", command, t.broken(err))
	// An image may answer a login as root with advice and a long wait.
	if said := sentence(stdout.String() + "\n" + stderr.String()); said != "" {
		err = fmt.Errorf("%w; until then it said: %s", err, said)
	}
	return answer{}, err
}

// exitStatus tells a command's end, be it by a signal, from a broken connection.
func exitStatus(err error) (int, error) {
	if exit, ended := errors.AsType[*ssh.ExitError](err); ended {
		return exit.ExitStatus(), nil
	}
	return 0, err
}

// missing says whether the command's program is not on the machine, as a
// shell says it, or sudo.
func (a answer) missing() bool {
	return a.exit == 127 || a.exit == 1 && strings.Contains(a.stderr, "sudo: ") && strings.Contains(a.stderr, "command not found")
}

// failed is the error of a command that ended with one.
func (a answer) failed(command string) error {
	said := sentence(a.stderr)
	if said == "" {
		said = sentence(a.stdout)
	}
	if strings.Contains(a.stderr, "sudo: ") && !a.missing() {
		said += " (the SSH user must be allowed to run commands by sudo without a password)"
	}
	return fmt.Errorf("%s: exit code %d: %s", command, a.exit, said)
}
