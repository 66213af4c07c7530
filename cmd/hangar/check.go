package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"hangar/reconciler/pools"
)

type checkCommand struct {
	printing
}

// Help teaches what is looked at.
func (checkCommand) Help() string {
	return `Looks whether everything that hangar needs is there and in order, line by line: ok, warn, FAIL with what to do about it, or skip where it could not be asked. Takes the same environment as hangar serve, works beside a running one or without one, and changes nothing; terraform works in a folder that is removed at the end.

Looked at are the settings, with the pools file and the modules; Drone: whether it answers, whether the token is an admin's, whether the queue can be read, whether it accepts the agents' secret (by the ping of a starting runner, POST /rpc/v2/ping; that the machines will reach Drone is not looked at), and how far its clock is from the one here; terraform and, by a real terraform init, its providers; by Terraform data sources, whether the API accepts the key, shows the project and knows places and plans; the data folder; the port.

    hangar check
    docker run --rm --env-file hangar.env -v /var/lib/hangar:/data hangar check
    hangar check --json | jq '.checks[] | select(.result == "FAIL")'

Exit code 0: nothing failed. 1: something did.`
}

// The results of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "FAIL"
	checkSkip = "skip" // it could not be asked
)

// checked is one line of what was found.
type checked struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // what to do about it
}

// doctor makes the checks, and keeps what they found.
type doctor struct {
	*program
	cfg     Config
	agents  *agents
	pools   *pools.Source
	scratch string
	out     io.Writer // where each line is shown as it is found

	OK     bool      `json:"ok"`
	Checks []checked `json:"checks"`
}

func (d *doctor) tell(c checked) {
	if d.agents != nil { // else the settings are not known
		c.Detail = mask(c.Detail, d.cfg.secrets(d.environ, d.agents.environ))
	}
	d.Checks = append(d.Checks, c)
	d.OK = d.OK && c.Result != checkFail
	fmt.Fprintf(d.out, "%-4s  %-14s  %s\n", c.Result, c.Name, c.Detail)
	if c.Fix != "" {
		fmt.Fprintf(d.out, "%22s-> %s\n", "", c.Fix)
	}
}

func (d *doctor) ok(name, format string, args ...any) {
	d.tell(checked{name, checkOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(name, detail, fix string) { d.tell(checked{name, checkWarn, detail, fix}) }

// fail tells of what is wrong. What has to be done may be said by detail itself.
func (d *doctor) fail(name, detail, fix string) { d.tell(checked{name, checkFail, detail, fix}) }

func (d *doctor) skip(name, why string) { d.tell(checked{name, checkSkip, why, ""}) }

// Run makes all checks, in the order in which each builds on the ones before.
func (c checkCommand) Run(p *program) (err error) {
	d := &doctor{program: p, OK: true, Checks: []checked{}, out: p.stdout}
	if c.JSON {
		d.out = io.Discard
	}
	if d.scratch, err = os.MkdirTemp("", "hangar-check-"); err != nil {
		return fmt.Errorf("make a folder to look from: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.scratch)) }()
	if d.settings() {
		d.drone()
		d.terraform()
		d.data()
		d.port()
	}
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if c.JSON {
		err = c.print(p.stdout, d, nil)
	}
	if err == nil && !d.OK {
		return exitStatus(1)
	}
	return err
}

// settings reads the settings, the pools and the modules. Nothing else can be
// looked at when they are not in order.
func (d *doctor) settings() bool {
	err := func() (err error) {
		if d.cfg, err = parseConfig(d.environ); err != nil {
			return err
		}
		if d.agents, err = d.cfg.agents(); err != nil {
			return err
		}
		if d.pools, err = d.cfg.pools(d.environ, d.agents, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		_, err = d.cfg.front(slog.New(slog.DiscardHandler))
		return err
	}()
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.fail("settings", line, "correct it; hangar serve --help tells what each setting means")
		}
		d.skip("all the rest", "it is looked at when the settings are in order")
		return false
	}
	d.ok("settings", "in order; pools: %s", summary(d.pools))
	for _, m := range d.pools.Set().Modules {
		if m.Census == nil {
			d.warn("module "+m.Name, "it has no census: machines that terraform forgets cannot be found, and a destruction is believed, not verified", "write one, if the provider can list machines")
			continue
		}
		d.ok("module "+m.Name, "it keeps the contract")
	}
	return true
}
