package simulator

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Faults is what goes wrong at the simulated Metal API and on the machines.
// Shares are probabilities from 0 to 1; the zero value is a world without
// faults.
type Faults struct {
	Seed uint64 // of the dice; they are thrown anew by every SetFaults

	ServerError float64       // share of calls answered 500, nothing done
	RateLimited float64       // share of calls answered 429, nothing done
	Slow        float64       // share of calls that begin late, by SlowBy
	SlowBy      time.Duration //
	Denied      bool          // every call is answered 403, nothing done

	CreateError  float64       // share of creates answered 500, nothing done
	LateCommit   time.Duration // creates are committed, and answered, up to so late, also when the client has gone
	BadGateway   float64       // share of creates that are committed and answered 502
	DeleteDenied float64       // share of deletes that are answered 403 and do nothing
	DeviceFails  float64       // share of new devices that end failed
	NoCapacity   []string      // facilities and metros without a free machine
	Deprovision  time.Duration // for which a deleted device is still shown

	SetupFails float64       // share of new devices on which cloud-init fails
	DeviceDies float64       // share of new devices that die, though the API shows them active
	DiesWithin time.Duration // of becoming active; an hour, unless set

	// Of connections to machines. A Machine meets them as errors.
	SSHRefused   float64       // share that is reset at once
	SSHHalfOpen  float64       // share that is accepted and never answered
	SSHSlow      float64       // share that is answered late, by SSHSlowBy
	SSHSlowBy    time.Duration //
	WrongHostKey []string      // host names or ids of devices that show another host key than their own
}

// SetFaults changes what goes wrong from now on.
func (w *World) SetFaults(f Faults) {
	w.do(func(time.Time) {
		f.NoCapacity = slices.Clone(f.NoCapacity)
		f.WrongHostKey = slices.Clone(f.WrongHostKey)
		w.faults = f
		w.dice = newDice(f.Seed)
	})
}

func newDice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// strikes throws the dice for a fault with the given share.
func (w *World) strikes(share float64) bool {
	return share > 0 && w.dice.Float64() < share
}

// impersonates says whether a device shows another host key than its own.
func (f Faults) impersonates(d *Device) bool {
	return slices.Contains(f.WrongHostKey, d.ID) || slices.Contains(f.WrongHostKey, d.Hostname)
}

// lateness draws by how much a create is committed late.
func (w *World) lateness() time.Duration {
	return time.Duration(w.dice.Float64() * float64(w.faults.LateCommit))
}
