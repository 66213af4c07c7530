package simulator

import (
	"fmt"
	"time"

	"hangar/state"
)

// Machine is a device as those see it who are logged in to it. Its methods do
// what hangar does there over SSH, without a network, so that a test with
// simulated time can play the part of SSH. They meet the faults of connections
// as errors, and need no key. Their errors have the codes by which a caller
// branches: Unavailable when the machine does not answer, Untrusted when
// another answers in its place.
type Machine struct {
	world *World
	at    string
}

// Machine is the machine with an address, host name or device id. Whether
// there is one shows when something is asked of it.
func (w *World) Machine(at string) *Machine { return &Machine{w, at} }

var (
	errNoRoute = state.Errorf(state.Unavailable, "no route to host")
	errReset   = state.Errorf(state.Unavailable, "connection reset by peer")
	errTimeout = state.Errorf(state.Unavailable, "i/o timeout")
	errHostKey = state.Errorf(state.Untrusted, "ssh: handshake failed: ssh: host key mismatch")
	errNoAgent = state.Errorf(state.NotFound, "there is no container")
	errEnding  = state.Errorf(state.Conflict, "the runner still ends")
)

// Look is what a look at the machine shows.
func (m *Machine) Look() (look state.AgentLook, err error) {
	err = m.do("look at", func(d *Device, now time.Time) error {
		look = m.world.look(d, now)
		return nil
	})
	return look, err
}

// Drain lets the runner take no more stages and end after those that run. A
// runner that is ending already is not told twice: the second signal would
// kill it. Where there is none, all is done.
func (m *Machine) Drain() error {
	return m.do("drain", func(d *Device, now time.Time) error {
		if d.runner == nil {
			return nil
		}
		m.world.setPolicy(d.runner, never)
		if d.runner.healthy() || d.runner.status == restarting {
			m.world.terminate(d.runner, now)
		}
		return nil
	})
}

// Revive gives the runner back its restart policy and starts it. One that is
// still ending cannot be started before it has ended: that is a Conflict. No
// container at all is NotFound.
func (m *Machine) Revive() error {
	return m.do("revive", func(d *Device, now time.Time) error {
		if d.runner == nil {
			return errNoAgent
		}
		if d.runner.ending {
			return errEnding
		}
		m.world.setPolicy(d.runner, always)
		m.world.start(d.runner, now)
		return nil
	})
}

// Restart starts the runner's container if it has exited. No container at all
// is NotFound.
func (m *Machine) Restart() error {
	return m.do("restart the runner of", func(d *Device, now time.Time) error {
		if d.runner == nil {
			return errNoAgent
		}
		m.world.start(d.runner, now)
		return nil
	})
}

// Kill kills the runner as docker kill --signal=KILL does: what it runs stays
// running in Drone's queue until the reaper comes, and its container exited.
func (m *Machine) Kill() error {
	return m.do("kill the runner of", func(d *Device, now time.Time) error {
		if d.runner == nil {
			return errNoAgent
		}
		if d.runner.status == running {
			m.world.kill(d.runner, now)
		}
		return nil
	})
}

// do runs f on the device if it answers.
func (m *Machine) do(what string, f func(d *Device, now time.Time) error) error {
	w := m.world
	var slow time.Duration
	err := errNoRoute
	w.do(func(time.Time) {
		if d := w.find(m.at); d != nil && d.answers() {
			slow, err = w.contact(d)
		}
	})
	time.Sleep(slow)
	if err == nil {
		w.do(func(now time.Time) {
			err = errNoRoute // it may have gone meanwhile
			if d := w.find(m.at); d != nil && d.answers() {
				err = f(d, now)
			}
		})
	}
	if err != nil {
		return fmt.Errorf("%s machine %s: %w", what, m.at, err)
	}
	return nil
}

// contact throws the dice for the faults of one connection.
func (w *World) contact(d *Device) (slow time.Duration, err error) {
	switch {
	case w.strikes(w.faults.SSHRefused):
		return 0, errReset
	case w.strikes(w.faults.SSHHalfOpen):
		return 0, errTimeout
	case w.strikes(w.faults.SSHSlow):
		slow = w.faults.SSHSlowBy
	}
	if w.faults.impersonates(d) {
		err = errHostKey
	}
	return slow, err
}

// answers says whether a device answers whoever calls it.
func (d *Device) answers() bool { return d.State == stateActive && !d.dead }

// find finds a device that nobody has deleted by its id or an address of its;
// or else, as host names may repeat, the oldest with that host name.
func (w *World) find(at string) *Device {
	var named *Device
	for _, d := range w.devices {
		switch {
		case d.State == stateDeprovisioning || at == "":
		case d.ID == at, d.Address == at, d.PrivateIP == at:
			return d
		case named == nil && d.Hostname == at:
			named = d
		}
	}
	return named
}

// look is what a look at a device shows.
func (w *World) look(d *Device, now time.Time) state.AgentLook {
	look := state.AgentLook{CloudInit: d.cloudInit()}
	switch log := d.setupLog(now, w.config.SetupTime); look.CloudInit {
	case "running":
		look.Detail = log[len(log)-1]
	case "error":
		look.Detail = setupError
	}
	if d.runner != nil {
		look.Container, look.Healthy = d.runner.status, d.runner.healthy()
	}
	return look
}

// Die lets a device die: it answers nothing any more, its runner is gone, and
// the API still shows it active. False: there is no such device.
func (w *World) Die(at string) (found bool) {
	w.do(func(time.Time) {
		if d := w.find(at); d != nil {
			w.die(d)
			found = true
		}
	})
	return found
}

// Crash lets a device's runner exit by itself. Docker restarts it if its
// policy says so; what it ran is orphaned. False: no runner runs there.
func (w *World) Crash(at string) (found bool) {
	w.do(func(now time.Time) {
		if d := w.find(at); d != nil && d.runner != nil && d.runner.status == running {
			w.exit(d.runner, 2, now)
			found = true
		}
	})
	return found
}
