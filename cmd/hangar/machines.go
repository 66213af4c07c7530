package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"hangar/reconciler/agent"
	"hangar/state"
	"hangar/state/sqlite"
)

// machines are the machines over SSH; the secrets in what they show are masked.
type machines struct {
	*agent.Client
	private bool // private addresses are used
	secrets []string
}

// Look implements reconciler.Machines.
func (m machines) Look(ctx context.Context, h state.Host) (state.AgentLook, error) {
	look, err := m.Client.Look(ctx, h)
	look.Detail = mask(look.Detail, m.secrets)
	return look, err
}

// Tail implements reconciler.Machines.
func (m machines) Tail(ctx context.Context, h state.Host) (string, error) {
	tail, err := m.Client.Tail(ctx, h)
	return mask(tail, m.secrets), err
}

// mask hides secrets. Shorter ones than four characters are none, and would be
// found in every word.
func mask(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, state.Masked)
		}
	}
	return text
}

// logReader reads the logs of machines.
type logReader struct{ machines }

// Logs implements api.LogReader.
func (l logReader) Logs(ctx context.Context, s state.Server, follow bool, w io.Writer) error {
	masked := &masking{to: w, secrets: l.secrets}
	return errors.Join(l.Client.Logs(ctx, hostOf(s, l.private), follow, masked), masked.flush())
}

// hostOf is where a server's machine is reached.
func hostOf(s state.Server, private bool) state.Host {
	if private && s.PrivateAddress != "" {
		return state.Host{Server: s.Runner(), Address: s.PrivateAddress}
	}
	return state.Host{Server: s.Runner(), Address: s.Address}
}

// masking passes lines on without the secrets in them. Only whole lines are
// passed on: a secret may come in two parts.
type masking struct {
	to      io.Writer
	secrets []string
	rest    []byte
}

// Write takes the next bytes.
func (m *masking) Write(p []byte) (int, error) {
	m.rest = append(m.rest, p...)
	end := bytes.LastIndexByte(m.rest, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	lines := mask(string(m.rest[:end]), m.secrets)
	m.rest = append([]byte(nil), m.rest[end:]...)
	_, err := io.WriteString(m.to, lines)
	return len(p), err
}

// flush passes on what is no whole line.
func (m *masking) flush() error {
	if len(m.rest) == 0 {
		return nil
	}
	_, err := io.WriteString(m.to, mask(string(m.rest), m.secrets))
	m.rest = nil
	return err
}

type logsCommand struct {
	Server string `arg:"" help:"Name of the server."`
	Follow bool   `short:"f" help:"Go on with what the runner logs."`
}

func (logsCommand) Help() string {
	return "Asks the running hangar serve for the end of the logs of a machine: of its setup (cloud-init) and of its runner. Needs DRONE_DATA and DRONE_SERVER_TOKEN.\n\nExample: hangar logs agent-k3v7q2mn --follow"
}

func (c logsCommand) Run(p *program) error {
	a, err := newAsker(p)
	if err != nil {
		return fmt.Errorf("%w; hangar ssh %s --print tells how to log in by hand", err, c.Server)
	}
	path := a.url + "/api/servers/" + url.PathEscape(c.Server) + "/logs"
	if c.Follow {
		path += "?follow=true"
	}
	answer, err := askServer(p.ctx, a.cfg, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer answer.Close()
	if _, err = io.Copy(p.stdout, answer); p.ctx.Err() != nil {
		return nil
	}
	return err
}

type sshCommand struct {
	Server string   `arg:"" help:"Name of the server."`
	Print  bool     `help:"Print the command line instead of running it."`
	Words  []string `arg:"" optional:"" passthrough:"" help:"A command to run there; a shell without one."`
}

func (sshCommand) Help() string {
	return "Runs an ordinary ssh with the installation's key and the machine's own host key, which hangar made before the machine was: no other one is accepted. Needs the data folder, and no running server.\n\nExamples:\n  hangar ssh agent-k3v7q2mn\n  hangar ssh agent-k3v7q2mn docker ps"
}

func (c sshCommand) Run(p *program) error {
	cfg, err := parseConfig(p.environ)
	if err != nil {
		return err
	}
	if !cfg.SSH {
		return errors.New("DRONE_AGENT_SSH=false: machines are made without a key to log in with")
	}
	store, err := sqlite.OpenReadOnly(p.ctx, cfg.databasePath())
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := store.Server(p.ctx, c.Server)
	if err != nil {
		return err
	}
	if s.Phase == state.Stopped || s.Address == "" {
		return fmt.Errorf("server %s (%s) has no machine to log in to", s.Name, s.Phase)
	}
	keys, err := agent.LoadKeys(cfg.sshFolder(), cfg.SSHKeyFile)
	if err != nil {
		return err
	}
	client, err := newClient(cfg, keys)
	if err != nil {
		return err
	}
	argv, err := client.Command(hostOf(s, cfg.private()))
	if err != nil {
		return err
	}
	argv = append(argv, c.Words...)
	program, err := exec.LookPath(argv[0])
	if c.Print || err != nil {
		if err != nil {
			fmt.Fprintln(p.stderr, "There is no ssh here; from a machine with the same data folder:")
		}
		_, err := fmt.Fprintln(p.stdout, agent.ShellLine(argv))
		return err
	}
	run := exec.CommandContext(p.ctx, program, argv[1:]...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, p.stdout, p.stderr
	if err := run.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exitStatus(exit.ExitCode())
		}
		return err
	}
	return nil
}
