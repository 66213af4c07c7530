package simulator

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// shell runs commands on a device: those that an autoscaler sends. No process
// is ever started for them.
type shell struct {
	world    *World
	device   *Device
	out, err io.Writer
	gone     bool // the device has stopped to answer in the midst of it
}

// notFoundStatus is the exit status of a command that there is not.
const notFoundStatus = 127

// run runs a command line and returns its exit status.
func (s *shell) run(ctx context.Context, line string) int {
	args := split(line)
	if n := len(args); n > 0 && args[n-1] == "2>&1" {
		args, s.err = args[:n-1], s.out
	}
	if len(args) > 2 && args[0] == "sudo" && args[1] == "-n" {
		args = args[2:]
	}
	switch {
	case len(args) == 0:
		return 0
	case args[0] == "cloud-init" && strings.Join(args[1:], " ") == "status --long":
		return s.cloudInit()
	case args[0] == "curl":
		return s.curl(args[len(args)-1])
	case args[0] == "tail" && len(args) == 4:
		return s.tail(args[1:])
	case args[0] == "docker" && len(args) > 1:
		return s.docker(ctx, args[1], args[2:])
	}
	return s.fail(notFoundStatus, "bash: line 1: %s: command not found", args[0])
}

// fail prints an error and returns the exit status.
func (s *shell) fail(status int, format string, args ...any) int {
	fmt.Fprintf(s.err, format+"\n", args...)
	return status
}

// on asks something of the device as it is now.
func (s *shell) on(f func(d *Device, now time.Time)) {
	s.world.do(func(now time.Time) {
		if s.gone = !s.device.answers(); !s.gone {
			f(s.device, now)
		}
	})
}

func (s *shell) cloudInit() (code int) {
	var text string
	s.on(func(d *Device, _ time.Time) { text, code = d.cloudInitStatus() })
	io.WriteString(s.out, text)
	return code
}

// health is where the runner answers its health check.
const health = "http://127.0.0.1:3000/healthz"

func (s *shell) curl(url string) int {
	healthy := false
	s.on(func(d *Device, _ time.Time) { healthy = d.runner != nil && d.runner.healthy() })
	if url != health || !healthy {
		return s.fail(7, "curl: (7) Failed to connect to 127.0.0.1 port 3000 after 0 ms: Couldn't connect to server")
	}
	io.WriteString(s.out, "OK")
	return 0
}

// setupLogFile is where cloud-init writes what its commands print.
const setupLogFile = "/var/log/cloud-init-output.log"

// tail is tail -n N FILE.
func (s *shell) tail(args []string) int {
	var n int
	if _, err := fmt.Sscanf(args[1], "%d", &n); err != nil || args[0] != "-n" {
		return s.fail(1, "tail: invalid number of lines: '%s'", args[1])
	}
	if args[2] != setupLogFile {
		return s.fail(1, "tail: cannot open '%s' for reading: No such file or directory", args[2])
	}
	var log []string
	s.on(func(d *Device, now time.Time) { log = d.setupLog(now, s.world.config.SetupTime) })
	io.WriteString(s.out, lastLines(log, n))
	return 0
}

// split cuts a command line into words, as a shell does that knows quotes and
// nothing else.
func split(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\n'):
			end()
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	end()
	return words
}
