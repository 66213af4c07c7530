package session

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A caller may be wrong so often at once, and once more after each pause.
const (
	burst = 5
	pause = 15 * time.Second

	maxCallers = 4096 // remembered at once
)

// Throttle bounds how often each caller may show a wrong password. Its methods
// may be called at any time.
type Throttle struct {
	Now func() time.Time

	mu      sync.Mutex
	callers map[string]*rate.Limiter // those that were wrong lately
}

// NewThrottle returns a Throttle that knows of nobody.
func NewThrottle() *Throttle {
	return &Throttle{Now: time.Now, callers: make(map[string]*rate.Limiter)}
}

// Allowed says whether a caller may try. When it may not, wait is for how long.
func (t *Throttle) Allowed(caller string) (ok bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.callers[caller]
	if limiter == nil {
		return true, 0
	}
	left := limiter.TokensAt(t.Now())
	if left >= 1 {
		return true, 0
	}
	return false, time.Duration((1 - left) * float64(pause))
}

// Wrong notes that a caller was wrong.
func (t *Throttle) Wrong(caller string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Now()
	limiter := t.callers[caller]
	if limiter == nil {
		if len(t.callers) >= maxCallers {
			t.forget(now)
		}
		limiter = rate.NewLimiter(rate.Every(pause), burst)
		t.callers[caller] = limiter
	}
	limiter.AllowN(now, 1)
}

// forget makes room: those go that have been quiet, and if there are none, any
// one.
func (t *Throttle) forget(now time.Time) {
	for caller, limiter := range t.callers {
		if limiter.TokensAt(now) >= burst {
			delete(t.callers, caller)
		}
	}
	for caller := range t.callers {
		if len(t.callers) < maxCallers {
			return
		}
		delete(t.callers, caller)
	}
}
