// Command hangar keeps a fleet of build machines exactly as large as a Drone
// server's build queue needs, and lets Terraform do the work at the provider.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"hangar/reconciler/simulator"
)

// Version and Commit are stamped by the linker.
var (
	Version = "dev"
	Commit  = "unknown"
)

// source is where the program comes from, as /version tells it.
const source = "https://github.com/hangar/hangar"

func main() {
	// In the mirror of the embedded default this binary is the provider.
	if simulator.IsProvider(os.Args[0]) {
		if err := simulator.ServeProvider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getpid() == 1 {
		self, err := os.Executable()
		if err != nil {
			self = "/proc/self/exe"
		}
		os.Exit(supervise(self, os.Args))
	}
	// Everything hangar and its children write may hold secrets.
	syscall.Umask(0o077)
	// The image has no folder for temporary files but in the data folder. That it
	// cannot be made is told by who needs it.
	_ = os.MkdirAll(os.TempDir(), 0o700)

	// The first signal asks for an orderly end, the second ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], environ(os.Environ()), os.Stdout, os.Stderr)
	if _, silent := errors.AsType[exitStatus](err); err != nil && !silent {
		fmt.Fprintln(os.Stderr, "hangar: "+strings.ReplaceAll(err.Error(), "\n", "\nhangar: "))
	}
	os.Exit(exitCode(err))
}

// exitCode is 2 for what the user has to correct before anything can start,
// and 1 for everything that went wrong afterwards, unless a command says
// otherwise.
func exitCode(err error) int {
	var config ConfigError
	var usage *kong.ParseError
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, &config), errors.As(err, &usage):
		return 2
	}
	return 1
}

// program is what every command gets: the world outside, to be replaced in
// tests.
type program struct {
	ctx            context.Context
	environ        map[string]string
	stdout, stderr io.Writer
}

// commands is the command line.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the autoscaler: read the queue, decide, apply, answer over REST."`
	Plan     planCommand     `cmd:"" help:"Show what serve would do now, with its reasons and Terraform's plan; change nothing."`
	Status   statusCommand   `cmd:"" help:"Show the queue, the servers, the runs and the findings on one screen."`
	Explain  explainCommand  `cmd:"" help:"Tell why: why a stage waits, why a server stays or leaves, why a pool makes no more."`
	Check    checkCommand    `cmd:"" help:"Look whether everything that serve needs is there and in order, and say what to do where it is not."`
	Audit    auditCommand    `cmd:"" help:"Compare the provider's machines with the records: what nobody knows, what is there twice, what is gone."`
	Runs     runsCommand     `cmd:"" help:"Show what was planned and applied, and the plans that wait for approval."`
	Approve  approveCommand  `cmd:"" help:"Have a plan that waits applied."`
	Discard  discardCommand  `cmd:"" help:"Discard a plan that waits: what it was to destroy goes back to work."`
	Events   eventsCommand   `cmd:"" help:"Tell what happened, or what happens: phases, runs, decisions, orders and who gave them."`
	Logs     logsCommand     `cmd:"" help:"Show the logs of a machine: of its setup and of its runner."`
	SSH      sshCommand      `cmd:"" name:"ssh" help:"Log in to a machine with the right key and its pinned host key."`
	Simulate simulateCommand `cmd:"" help:"Run everything for real except the outside world: nothing to sign up for, nothing downloaded."`
	Health   healthCommand   `cmd:"" help:"Ask the running hangar serve whether it is well; exit code 0: it is. For health checks."`
	Mirror   mirrorCommand   `cmd:"" help:"Download the providers of the modules into a folder, so that serve downloads nothing."`
	Backup   backupCommand   `cmd:"" help:"Write all that hangar needs to go on, into one file; beside a running serve, or without one."`
	Restore  restoreCommand  `cmd:"" help:"Put a backup back into an empty data folder."`
	Replay   replayCommand   `cmd:"" help:"Try settings on a trace of builds, in simulated time: how long builds wait, and what the machines cost."`
	Bench    benchCommand    `cmd:"" help:"Measure how fast hangar reacts, makes servers and rests, against the simulated Drone and API."`
	State    stateCommand    `cmd:"" help:"Read the recorded Terraform states: what there is, and what changed."`
	Version  versionCommand  `cmd:"" help:"Print the versions of hangar, of its terraform and of the providers in its mirror."`

	Completion kongcompletion.Completion `cmd:"" help:"Show how the shell is made to complete hangar's commands and flags: hangar completion bash, zsh or fish."`
}

// run is the whole program.
func run(ctx context.Context, args []string, environ map[string]string, stdout, stderr io.Writer) error {
	exited := false
	parser, err := kong.New(&commands{},
		kong.Name("hangar"),
		kong.Description("Terraform-driven autoscaler for Drone CI build agents on bare metal.\n\nFirst look: hangar simulate. Reference of all settings: hangar serve --help."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
	)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if kongcompletion.Register(parser); exited { // it was the shell that asked
		return nil
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited {
		return nil
	}
	if err != nil && args[0] == "audit" { // whose exit code 2 is a finding
		return errors.New(err.Error() + " (see hangar audit --help)")
	}
	if err != nil {
		return fmt.Errorf("%w (see hangar --help)", err)
	}
	return command.Run(&program{ctx, environ, stdout, stderr})
}

// environ makes a map of NAME=value lines.
func environ(lines []string) map[string]string {
	m := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		m[name] = value
	}
	return m
}
