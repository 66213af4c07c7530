package simulator

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// agentContainer is the one container that docker has on a machine, once its setup is
// done.
const agentContainer = "agent"

// docker runs docker's commands that are about one container.
func (s *shell) docker(ctx context.Context, command string, args []string) int {
	switch command {
	case "inspect":
		return s.inspect(args)
	case "update":
		return s.update(args)
	case "kill":
		return s.kill(args)
	case "start":
		return s.start(args)
	case "logs":
		return s.logs(ctx, args)
	}
	return s.fail(notFoundStatus, "docker: '%s' is not a docker command.", command)
}

// arguments reads the flags of a docker command, and the one container that it
// is about.
func arguments(args []string, define func(*flag.FlagSet)) (container string, err error) {
	flags := flag.NewFlagSet("docker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	define(flags)
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() != 1 {
		return "", fmt.Errorf("requires 1 argument, not %d", flags.NArg())
	}
	return flags.Arg(0), nil
}

// misused is the exit status of docker where its arguments are wrong.
const misused = 125

// update is docker update --restart=POLICY.
func (s *shell) update(args []string) int {
	var policy string
	name, err := arguments(args, func(f *flag.FlagSet) { f.StringVar(&policy, "restart", "", "") })
	if err != nil {
		return s.fail(misused, "docker update: %v", err)
	}
	return s.change(name, func(r *runner, _ time.Time) string {
		if policy != always && policy != never {
			return fmt.Sprintf("invalid restart policy: unknown policy '%s'", policy)
		}
		s.world.setPolicy(r, policy)
		return ""
	})
}

// kill is docker kill.
func (s *shell) kill(args []string) int {
	signal := "KILL"
	name, err := arguments(args, func(f *flag.FlagSet) {
		f.StringVar(&signal, "signal", signal, "")
		f.StringVar(&signal, "s", signal, "")
	})
	if err != nil {
		return s.fail(misused, "docker kill: %v", err)
	}
	return s.change(name, func(r *runner, now time.Time) string {
		if r.status == exited {
			return fmt.Sprintf("cannot kill container: %s: container %s is not running", name, r.device.ID)
		}
		switch strings.TrimPrefix(signal, "SIG") {
		case "TERM":
			s.world.terminate(r, now)
		case "KILL":
			s.world.kill(r, now)
		default:
			return "invalid signal: " + signal
		}
		return ""
	})
}

// start is docker start.
func (s *shell) start(args []string) int {
	name, err := arguments(args, func(*flag.FlagSet) {})
	if err != nil {
		return s.fail(misused, "docker start: %v", err)
	}
	code := s.change(name, func(r *runner, now time.Time) string {
		s.world.start(r, now)
		return ""
	})
	if code != 0 {
		return s.fail(code, "Error: failed to start containers: %s", name)
	}
	return 0
}

// change does something to the container and prints its name, as docker does.
// f returns what the daemon says is wrong; empty: nothing.
func (s *shell) change(name string, f func(r *runner, now time.Time) string) int {
	wrong := "No such container: " + name
	s.on(func(d *Device, now time.Time) {
		if d.runner != nil && name == agentContainer {
			wrong = f(d.runner, now)
		}
	})
	if wrong != "" {
		return s.fail(1, "Error response from daemon: %s", wrong)
	}
	fmt.Fprintln(s.out, name)
	return 0
}

// inspected is what docker inspect knows of a container, as far as it is
// asked.
type inspected struct {
	Name  string
	State struct {
		Status   string
		Running  bool
		ExitCode int
	}
	HostConfig struct{ RestartPolicy struct{ Name string } }
}

// inspect is docker inspect --format.
func (s *shell) inspect(args []string) int {
	var format string
	name, err := arguments(args, func(f *flag.FlagSet) {
		f.StringVar(&format, "format", "", "")
		f.StringVar(&format, "f", "", "")
	})
	if err != nil || format == "" {
		return s.fail(misused, "docker inspect: a format and a container are wanted, not %q", args)
	}
	t, err := template.New("").Parse(format)
	if err != nil {
		return s.fail(64, "template parsing error: %v", err)
	}
	var found *inspected
	s.on(func(d *Device, _ time.Time) {
		if r := d.runner; r != nil && name == agentContainer {
			found = &inspected{Name: "/" + name}
			found.State.Status, found.State.Running, found.State.ExitCode = r.status, r.status != exited, r.code
			found.HostConfig.RestartPolicy.Name = r.policy
		}
	})
	if found == nil {
		fmt.Fprintln(s.out) // docker flushes an empty line
		return s.fail(1, "Error: No such object: %s", name)
	}
	if err := t.Execute(s.out, found); err != nil {
		return s.fail(1, "template parsing error: %v", err)
	}
	fmt.Fprintln(s.out)
	return 0
}

// logs is docker logs. The runner writes to its standard error, and there it
// comes out again.
func (s *shell) logs(ctx context.Context, args []string) int {
	var tail string
	var follow bool
	name, err := arguments(args, func(f *flag.FlagSet) {
		f.StringVar(&tail, "tail", "all", "")
		f.StringVar(&tail, "n", "all", "")
		f.BoolVar(&follow, "follow", false, "")
		f.BoolVar(&follow, "f", false, "")
	})
	if err != nil {
		return s.fail(misused, "docker logs: %v", err)
	}
	n, err := strconv.Atoi(tail)
	if err != nil {
		n = -1 // all
	}
	seen := -1
	for {
		changed := s.world.Changed()
		status := ""
		var text string
		s.on(func(d *Device, _ time.Time) {
			if r := d.runner; r != nil && name == agentContainer {
				if seen >= 0 {
					n = r.printed - seen
				}
				text, seen, status = lastLines(r.log, n), r.printed, r.status
			}
		})
		if seen < 0 {
			return s.fail(1, "Error response from daemon: No such container: %s", name)
		}
		io.WriteString(s.err, text)
		if !follow || status != running {
			return 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0
		}
	}
}
