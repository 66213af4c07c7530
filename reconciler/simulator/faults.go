package simulator

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Faults is what goes wrong at the simulated Metal API. Shares are
// probabilities from 0 to 1; the zero value is an API without faults.
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
}

// SetFaults changes what goes wrong from now on.
func (w *World) SetFaults(f Faults) {
	w.do(func(time.Time) {
		f.NoCapacity = slices.Clone(f.NoCapacity)
		w.faults = f
		w.dice = newDice(f.Seed)
	})
}

func newDice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// strikes throws the dice for a fault with the given share.
func (w *World) strikes(share float64) bool {
	return share > 0 && w.dice.Float64() < share
}

// lateness draws by how much a create is committed late.
func (w *World) lateness() time.Duration {
	return time.Duration(w.dice.Float64() * float64(w.faults.LateCommit))
}
