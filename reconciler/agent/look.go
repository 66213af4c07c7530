package agent

import (
	"context"
	"errors"
	"slices"
	"strings"

	"hangar/state"
)

// Unknown is what a look shows as the state of a container when docker is
// there but does not say: neither ready nor gone.
const Unknown = "unknown"

// The size of what is shown of cloud-init's errors and of its log.
const (
	problemBytes = 1 << 10
	tailLines    = 20
	tailBytes    = 4 << 10
)

// Look looks how far a machine's setup is, and whether its runner is at work.
func (c *Client) Look(ctx context.Context, h state.Host) (state.AgentLook, error) {
	var look state.AgentLook
	err := c.visit(ctx, "look at", h, func(t *turn) error {
		a, err := t.run(ctx, cloudInitStatus)
		if err != nil {
			return err
		}
		s := parseStatus(a.stdout, a.exit)
		details := []string{shorten(strings.Join(s.problems, "; "), problemBytes)}
		switch s.status {
		case "":
			details = append(details, "cloud-init does not say how far it is: "+a.failed(cloudInitStatus).Error())
		case "running", "error":
			log, err := t.log(ctx, s.status == "running")
			if err != nil {
				return err
			}
			details = append(details, log)
		}
		look.CloudInit = s.status
		about, err := t.lookAtRunner(ctx, &look, s.status == "done" || s.status == "degraded")
		details = slices.DeleteFunc(append(details, about), func(d string) bool { return d == "" })
		look.Detail = strings.Join(details, "\n")
		return err
	})
	if err != nil {
		return state.AgentLook{}, err
	}
	return look, nil
}

// lookAtRunner says what is wrong with the runner once it is expected to be
// there.
func (t *turn) lookAtRunner(ctx context.Context, look *state.AgentLook, expected bool) (about string, err error) {
	look.Container, err = t.container(ctx)
	switch {
	case errors.Is(err, errDaemon): // it is not up yet, or no more; its containers may be
		look.Container = Unknown
		return err.Error(), nil
	case err != nil:
		return "", err
	case look.Container == "running":
		_, healthy, said, err := t.listens(ctx)
		if err != nil || healthy {
			look.Healthy = healthy
			return "", err
		}
		return "the runner does not answer its health check: " + said, nil
	case !expected:
		return "", nil
	case look.Container == "":
		return "there is no container named agent", nil
	}
	return "the runner's container is " + look.Container, nil
}

// log is the last line of cloud-init's log, or the last few.
func (t *turn) log(ctx context.Context, one bool) (string, error) {
	command, lines := cloudInitLog, tailLines
	if one {
		command, lines = cloudInitLast, 1
	}
	a, err := t.run(ctx, command)
	return lastLines(a.stdout, lines, tailBytes), err
}

// Tail is the end of cloud-init's log, for the report of an error: a few
// printable lines. It is empty when there is none.
func (c *Client) Tail(ctx context.Context, h state.Host) (tail string, err error) {
	err = c.visit(ctx, "read the log of", h, func(t *turn) error {
		tail, err = t.log(ctx, false)
		return err
	})
	return tail, err
}
