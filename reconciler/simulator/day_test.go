package simulator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"hangar/state"
)

// A day with 10,000 builds on 50 machines passes in little time, and no build
// is lost. Machines are drained and revived at all hours.
func TestADay(t *testing.T) {
	asleep(t, Config{BootTime: 10 * time.Minute, SetupTime: 2 * time.Minute}, func(t *testing.T, w *World) {
		const machines, builds = 50, 10000
		for i := range machines {
			name := fmt.Sprintf("agent-%02d", i)
			w.Order(Order{Hostname: name, UserData: runnerData(name)})
		}
		dice := rand.New(rand.NewPCG(1, 2))
		time.Sleep(15 * time.Minute)
		for i := range builds {
			time.Sleep(24 * time.Hour / builds)
			w.EnqueueFor(time.Duration(dice.ExpFloat64()*float64(5*time.Minute)), state.Stage{Limit: i % 2 * 40, RepoID: int64(1 + i%7)})
			if i%10 > 0 {
				continue
			}
			m := w.Machine(fmt.Sprintf("agent-%02d", dice.IntN(machines)))
			if look, err := m.Look(); err != nil {
				t.Fatal(err)
			} else if look.Healthy {
				must(t, m.Drain())
			} else if look.Gone() {
				must(t, m.Revive())
			}
			queue(t, w)
		}
		time.Sleep(3 * time.Hour)
		check(t, w, "the next morning", Stats{Succeeded: builds})
	})
}

// BenchmarkBacklog works off a queue of 10,000 builds with 50 machines.
func BenchmarkBacklog(b *testing.B) {
	for _, limit := range []int{0, 30} {
		b.Run(fmt.Sprintf("limit %d", limit), func(b *testing.B) {
			for b.Loop() {
				w := New(Config{BootTime: 1, SetupTime: 1, RPCSecret: "rpc", Seed: 1})
				w.Enqueue(10000, state.Stage{Limit: limit})
				for i := range 50 {
					w.Order(Order{Hostname: fmt.Sprint(i), UserData: runnerData(fmt.Sprint(i))})
				}
				now := time.Now()
				for n := 0; n < 20000 && len(w.stages) > 0; n++ {
					w.mu.Lock()
					now = now.Add(time.Second / 2)
					w.advance(now)
					w.mu.Unlock()
				}
				if w.stats.Succeeded != 10000 {
					b.Fatalf("%+v", w.stats.Succeeded)
				}
			}
		})
	}
}
