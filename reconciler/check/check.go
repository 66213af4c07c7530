// Package check asks a command of the user's whether a plan may be applied.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"hangar/state"
)

// shell runs the command.
const shell = "/bin/sh"

// maxOutput is how much of what the command says is kept, in bytes.
const maxOutput = 4 << 10

// Command is a line for /bin/sh -c that reads a plan's JSON on its standard
// input. By an exit code other than 0 it refuses the plan, and its output, both
// standard ones, says why.
type Command struct {
	Line    string
	Env     map[string]string        // all that it sees of hangar's environment
	Timeout time.Duration            // after which its process group is killed, and the plan refused
	Mask    func(text string) string // removes secrets from what it says
}

// New returns a command with a timeout of a minute that masks nothing.
func New(line string, env map[string]string) *Command {
	return &Command{Line: line, Env: env, Timeout: time.Minute, Mask: func(text string) string { return text }}
}

// Possible says why the command cannot be run here.
func (c *Command) Possible() error {
	info, err := os.Stat(shell)
	if err != nil || info.Mode()&0o111 == 0 {
		return fmt.Errorf("there is no %s to run it with; use an image that has one, or unset it", shell)
	}
	return nil
}

// Check puts a plan, masked, to the command. A refusal is an error of code
// Forbidden, with what the command said, masked and at most 4 KiB of it. Of the
// run it is told by HANGAR_RUN, HANGAR_STACK and HANGAR_POOL.
func (c *Command) Check(ctx context.Context, run state.Run, planJSON []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var said output
	cmd := exec.CommandContext(ctx, shell, "-c", c.Line)
	cmd.Env = c.environment(run)
	cmd.Stdout, cmd.Stderr = &said, &said
	// A command need not read the plan. Were it given as Stdin, the end of a
	// pipe that nobody reads would be an error.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	// What it starts is of its process group, and ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_, _ = io.Copy(stdin, bytes.NewReader(planJSON))
		stdin.Close()
	}()
	err = cmd.Wait()
	// Also what it left behind, which is in its group still; there may be nothing.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-fed
	switch exit := (*exec.ExitError)(nil); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it said yes; what it left behind held the pipe
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return state.Errorf(state.Forbidden, "it had not ended after %s (DRONE_TERRAFORM_CHECK_TIMEOUT) and was killed%s", c.Timeout, c.told(&said))
	case errors.As(err, &exit) && ctx.Err() == nil:
		return state.Errorf(state.Forbidden, "%s%s", exit, c.told(&said))
	}
	return err
}

func (c *Command) environment(run state.Run) []string {
	env := []string{fmt.Sprintf("HANGAR_RUN=%d", run.ID), "HANGAR_STACK=" + run.Stack, "HANGAR_POOL=" + run.Pool}
	for name, value := range c.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// told is what the command said, to be added to what became of it.
func (c *Command) told(o *output) string {
	text := strings.TrimSpace(strings.ToValidUTF8(c.Mask(o.kept.String()), "?"))
	if text == "" {
		return ""
	}
	if len(text) > maxOutput {
		text = strings.ToValidUTF8(text[:maxOutput], "") + " [...]"
	}
	return ": " + text
}

// output keeps the beginning of what is written to it: somewhat more than is
// shown, so that a secret at the end is masked as a whole.
type output struct{ kept bytes.Buffer }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.kept.Write(p[:min(len(p), max(0, 4*maxOutput-o.kept.Len()))])
	return len(p), nil
}
