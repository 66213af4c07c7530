package agent

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// Logs writes the end of cloud-init's log and of the runner's to w, printable,
// line by line, each at most 1 MiB. With follow it goes on with what the runner
// logs until ctx ends, which is no error, or the container does, or w fails.
// Half of the connections may follow, so that the rest is there for work: one
// more is refused as Unavailable.
func (c *Client) Logs(ctx context.Context, h state.Host, follow bool, w io.Writer) error {
	return c.visit(ctx, "show the logs of", h, func(t *turn) error {
		if follow {
			select {
			case c.followers <- struct{}{}:
				defer func() { <-c.followers }()
			default:
				return state.Errorf(state.Unavailable, "%d logs are followed already, which is all that the limit of %d SSH connections allows", cap(c.followers), c.Limit)
			}
		}
		if err := t.show(ctx, "cloud-init ("+cloudInitLog+")", cloudInitLog, w); err != nil {
			return err
		}
		if follow {
			return t.follow(ctx, w)
		}
		return t.show(ctx, "runner ("+runnerLog+")", runnerLog, w)
	})
}

// show writes a heading and the output of a command.
func (t *turn) show(ctx context.Context, heading, command string, w io.Writer) error {
	session, err := t.open(ctx)
	if err != nil {
		return err
	}
	t.kept = true
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	return t.write(ctx, heading, command, session, &page{w: w, limit: maxOutput})
}

// follow writes what the runner logs until ctx ends or w fails.
func (t *turn) follow(ctx context.Context, w io.Writer) error {
	session, err := t.open(ctx)
	if err != nil {
		return err
	}
	// With a terminal, the command is hung up when the link is closed. Without
	// one, where the machine gives none, it stays until it next has a line to
	// write, which may be long.
	if err := t.terminal(ctx, session); err != nil {
		return err
	}
	t.kept = true
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err = t.write(reading, "runner ("+runnerFollow+")", runnerFollow, session, &page{w: w, failed: func(err error) { stop(err) }})
	if ctx.Err() != nil {
		return nil
	}
	if reading.Err() != nil {
		return fmt.Errorf("write the log: %w", context.Cause(reading))
	}
	return err
}

// terminal asks for a terminal, which may be refused.
func (t *turn) terminal(ctx context.Context, session *ssh.Session) error {
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	await(ctx, t.link.close, func() (struct{}, error) { return struct{}{}, session.RequestPty("dumb", 24, 200, nil) })
	if err := ctx.Err(); err != nil {
		return t.broken(err)
	}
	return nil
}

// write runs a command whose output goes to the page. When ctx ends, the link
// is closed.
func (t *turn) write(ctx context.Context, heading, command string, session *ssh.Session, p *page) error {
	defer p.close() // nothing is written to w later on
	p.line("==> " + heading + " <==")
	stdout, stderr := &stream{page: p}, &stream{page: p}
	session.Stdout, session.Stderr = stdout, stderr
	_, err := await(ctx, t.link.close, func() (struct{}, error) {
		return struct{}{}, session.Run(t.c.line(command))
	})
	if ctx.Err() == nil {
		if _, err = exitStatus(err); err == nil { // a missing log says so itself
			stdout.end()
			stderr.end()
			return nil
		}
	}
	t.link.close()
	return fmt.Errorf("%s: %w", command, t.broken(err))
}
