package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The states of a device that the simulated API knows.
const (
	stateQueued         = "queued"
	stateProvisioning   = "provisioning"
	stateActive         = "active"
	stateFailed         = "failed"
	stateDeprovisioning = "deprovisioning"
)

// Device is a machine at the simulated Metal API.
type Device struct {
	ID          string
	ProjectID   string
	Hostname    string
	Description string
	Tags        []string
	Plan        string
	OS          string
	Facility    string
	Metro       string
	Billing     string // hourly or monthly
	UserData    string
	Reservation string
	SSHKeys     []string // ids
	State       string
	Address     string // public IPv4; empty until it is active, as the next
	PrivateIP   string
	Created     time.Time
	Updated     time.Time

	locked     bool
	alwaysPXE  bool
	ipxeScript string

	serial     int           // makes its addresses
	fails      bool          // ends failed instead of active
	setupFails bool          // cloud-init fails on it
	lives      time.Duration // from active to its death; zero: for ever
	due        time.Time     // of its next state; zero: none
	active     time.Time     // since when; zero: it never was
	setUp      time.Time     // when cloud-init is done; zero: it is, or will not be
	dies       time.Time     // zero: it has, or will not
	dead       bool          // it answers nothing any more
	runner     *runner       // in its container; nil: there is none
}

// Devices returns all devices that the API shows, in order of creation.
func (w *World) Devices() []Device {
	var all []Device
	w.do(func(time.Time) {
		for _, d := range w.devices {
			c := *d
			c.Tags = slices.Clone(d.Tags)
			all = append(all, c)
		}
	})
	return all
}

// create is a device that the API has promised but not yet committed.
type create struct {
	device *Device
	at     time.Time
	done   chan struct{} // closed when it is committed
}

// commitLate commits the creates that are due.
func (w *World) commitLate(now time.Time) {
	w.late = slices.DeleteFunc(w.late, func(c *create) bool {
		if c.at.After(now) {
			return false
		}
		w.commit(c.device, c.at)
		close(c.done)
		return true
	})
}

// commit lets a new device exist.
func (w *World) commit(d *Device, now time.Time) {
	w.made++
	d.serial = w.made
	d.ID = w.newID()
	d.State = stateQueued
	d.Created, d.Updated = now, now
	d.due = now.Add(w.config.BootTime / 10)
	d.setupFails = w.strikes(w.faults.SetupFails)
	if w.strikes(w.faults.DeviceDies) {
		d.lives = max(1, time.Duration(w.dice.Float64()*float64(cmp.Or(w.faults.DiesWithin, time.Hour))))
	}
	w.devices = append(w.devices, d)
	w.stats.Created++
	w.stats.MaxAlive = max(w.stats.MaxAlive, w.alive())
	w.dirty = true
}

// advanceDevices moves every device to the state it is due to be in.
func (w *World) advanceDevices(now time.Time) {
	for _, d := range w.devices {
		for !d.due.IsZero() && !d.due.After(now) && d.State != stateDeprovisioning {
			w.nextState(d)
		}
		if !d.setUp.IsZero() && !d.setUp.After(now) {
			w.finishSetup(d)
		}
		if !d.dies.IsZero() && !d.dies.After(now) {
			w.die(d)
		}
	}
	w.devices = slices.DeleteFunc(w.devices, func(d *Device) bool {
		gone := d.State == stateDeprovisioning && !d.due.After(now)
		w.dirty = w.dirty || gone
		return gone
	})
}

// nextState moves a booting device one step on.
func (w *World) nextState(d *Device) {
	at := d.due
	d.Updated, d.due = at, time.Time{}
	w.dirty = true
	switch {
	case d.State == stateQueued:
		d.State = stateProvisioning
		d.due = d.Created.Add(w.config.BootTime)
	case d.fails:
		d.State = stateFailed
	default:
		d.State = stateActive
		d.addressed()
		d.active, d.setUp = at, at.Add(w.config.SetupTime)
		if d.lives > 0 {
			d.dies = at.Add(d.lives)
		}
	}
}

// addressed gives a device its addresses.
func (d *Device) addressed() {
	d.Address = fmt.Sprintf("127.1.%d.%d", (d.serial+1)/256, (d.serial+1)%256)
	d.PrivateIP = fmt.Sprintf("10.99.%d.%d", (d.serial+1)/256, (d.serial+1)%256)
}

// die lets a device answer nothing any more, though the API shows it active.
// Its runner is gone; Drone does not know.
func (w *World) die(d *Device) {
	d.dead, d.dies, d.setUp = true, time.Time{}, time.Time{}
	if d.runner != nil {
		w.orphan(d.runner)
		d.runner = nil
	}
	w.dirty = true
}

// remove takes a device away, and with it a runner that lives: its stages are
// killed. Those of a runner that had died before are left to the reaper.
func (w *World) remove(d *Device, now time.Time) {
	d.State = stateDeprovisioning
	d.Updated, d.setUp, d.dies = now, time.Time{}, time.Time{}
	d.due = now.Add(w.faults.Deprovision)
	w.stats.Destroyed++
	w.fail(d)
	d.runner = nil
	w.dirty = true
}

// device finds a device by id; nil: there is none.
func (w *World) device(id string) *Device {
	for _, d := range w.devices {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// alive counts the devices that nobody has deleted.
func (w *World) alive() int {
	n := 0
	for _, d := range w.devices {
		if d.State != stateDeprovisioning {
			n++
		}
	}
	return n
}

// Place puts active devices, by what the API showed of them, into the world, as if
// it had always had them. No runner is on them.
func (w *World) Place(devices ...Device) {
	w.do(func(now time.Time) {
		for _, d := range devices {
			w.made++
			d.serial = w.made
			d.Tags = slices.Clone(d.Tags)
			d.ProjectID, d.State, d.Created, d.Updated, d.active = w.config.ProjectID, stateActive, now, now, now
			d.addressed()
			w.devices = append(w.devices, &d)
			w.stats.Created++
		}
		w.stats.MaxAlive = max(w.stats.MaxAlive, w.alive())
		w.dirty = true
	})
}
