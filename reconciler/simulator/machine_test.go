package simulator

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hangar/state"
)

// inUse is a world with one machine, agent-1, on which two stages run.
func inUse(t *testing.T, config Config, test func(t *testing.T, w *World, m *Machine)) {
	t.Helper()
	config.BootTime, config.SetupTime, config.AcceptTime = time.Minute, time.Minute, time.Second
	asleep(t, config, func(t *testing.T, w *World) {
		order(t, w, "agent-1", runnerData("agent-1", "DRONE_RUNNER_CAPACITY=2"))
		w.Enqueue(2)
		time.Sleep(2*time.Minute + 2*time.Second)
		if got := w.Stats(); got.Running != 2 {
			t.Fatalf("stats %+v, want 2 running", got)
		}
		test(t, w, w.Machine("agent-1"))
	})
}

// check compares the counts that tell how builds ended.
func check(t *testing.T, w *World, when string, want Stats) {
	t.Helper()
	got := w.Stats()
	if got.Waiting != want.Waiting || got.Running != want.Running || got.Succeeded != want.Succeeded ||
		got.Failed != want.Failed || got.Orphaned != want.Orphaned {
		t.Errorf("%s: %d waiting, %d running, %d succeeded, %d failed, %d orphaned; want %+v",
			when, got.Waiting, got.Running, got.Succeeded, got.Failed, got.Orphaned, want)
	}
}

// looksLike checks what a look shows of the runner.
func looksLike(t *testing.T, m *Machine, when, container string, healthy bool) {
	t.Helper()
	look, err := m.Look()
	if err != nil || look.Container != container || look.Healthy != healthy {
		t.Errorf("%s: %+v, %v; want container %q, healthy %v", when, look, err, container, healthy)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func destroy(t *testing.T, w *World) {
	t.Helper()
	if status, _ := metal(t, w, "DELETE", "/devices/"+w.Devices()[0].ID, ""); status != 204 {
		t.Errorf("delete answered %d", status)
	}
}

func TestSetupIsSeen(t *testing.T) {
	asleep(t, Config{BootTime: time.Minute, SetupTime: 8 * time.Minute}, func(t *testing.T, w *World) {
		order(t, w, "agent-1", runnerData("agent-1"))
		m := w.Machine("agent-1")
		if _, err := m.Look(); state.CodeOf(err) != state.Unavailable || err.Error() != "look at machine agent-1: no route to host" {
			t.Errorf("a machine that boots was looked at: %v", err)
		}
		for _, step := range []struct {
			after time.Duration
			want  state.AgentLook
		}{
			{time.Minute, state.AgentLook{CloudInit: "running", Detail: setupLines[0]}},
			{4 * time.Minute, state.AgentLook{CloudInit: "running", Detail: setupLines[4]}},
			{4 * time.Minute, state.AgentLook{CloudInit: "done", Container: "running", Healthy: true}},
		} {
			time.Sleep(step.after)
			if look, err := m.Look(); err != nil || look != step.want {
				t.Errorf("%+v, %v; want %+v", look, err, step.want)
			}
		}
	})
}

func TestSetupFails(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{SetupFails: 1})
		order(t, w, "agent-1", runnerData("agent-1"))
		time.Sleep(time.Hour)
		m := w.Machine("agent-1")
		want := state.AgentLook{CloudInit: "error", Detail: setupError}
		if look, err := m.Look(); err != nil || look != want {
			t.Errorf("%+v, %v; want %+v", look, err, want)
		}
		for what, do := range map[string]func() error{"revive": m.Revive, "restart": m.Restart, "kill": m.Kill} {
			if err := do(); state.CodeOf(err) != state.NotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, m.Drain())
	})
}

// A runner that the server refuses runs, and is healthy, and takes no work.
func TestRefusedRunner(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		order(t, w, "agent-1", strings.Replace(runnerData("agent-1"), "=rpc", "=other", 1))
		w.Enqueue(1)
		time.Sleep(time.Minute)
		looksLike(t, w.Machine("agent-1"), "refused", running, true)
		check(t, w, "refused", Stats{Waiting: 1})
	})
}

func TestDrain(t *testing.T) {
	inUse(t, Config{BuildTime: time.Hour}, func(t *testing.T, w *World, m *Machine) {
		must(t, m.Drain())
		w.Enqueue(1)
		must(t, m.Drain()) // again: it is not told twice
		looksLike(t, m, "draining", running, false)
		time.Sleep(30 * time.Minute)
		check(t, w, "draining", Stats{Waiting: 1, Running: 2})
		time.Sleep(30 * time.Minute)
		looksLike(t, m, "drained", exited, false)
		must(t, m.Drain())
		time.Sleep(time.Hour)
		looksLike(t, m, "long drained", exited, false)
		check(t, w, "drained", Stats{Waiting: 1, Succeeded: 2})

		must(t, m.Revive())
		looksLike(t, m, "revived", running, true)
		time.Sleep(2 * time.Hour)
		check(t, w, "revived", Stats{Succeeded: 3})
	})
}

// A runner that is revived while it ends takes no work until it has ended and
// is started: docker start does nothing to a container that runs, and no
// policy restarts one that docker has sent a signal.
func TestReviveWhileEnding(t *testing.T) {
	inUse(t, Config{BuildTime: time.Hour}, func(t *testing.T, w *World, m *Machine) {
		must(t, m.Drain())
		if err := m.Revive(); state.CodeOf(err) != state.Conflict {
			t.Errorf("revived: %v", err)
		}
		w.do(func(now time.Time) { // what the commands do that hangar would send
			w.setPolicy(w.devices[0].runner, always)
			w.start(w.devices[0].runner, now)
		})
		w.Enqueue(1)
		time.Sleep(30 * time.Minute)
		looksLike(t, m, "ending", running, false)
		time.Sleep(time.Hour)
		looksLike(t, m, "ended", exited, false)
		check(t, w, "ended", Stats{Waiting: 1, Succeeded: 2})
		must(t, m.Revive())
		looksLike(t, m, "revived", running, true)
		check(t, w, "revived", Stats{Running: 1, Succeeded: 2})
	})
}

// The end of a runner, and whether docker restarts it.
func TestRestartPolicy(t *testing.T) {
	tests := []struct {
		name   string
		policy string
		end    func(w *World, r *runner)
		want   string // its container, a minute later
		orphan int
	}{
		{"a crash, always", always, func(w *World, _ *runner) { w.Crash("agent-1") }, running, 2},
		{"a crash, no", never, func(w *World, _ *runner) { w.Crash("agent-1") }, exited, 2},
		{"KILL, always", always, func(w *World, _ *runner) { w.Machine("agent-1").Kill() }, exited, 2},
		{"TERM, always", always, func(w *World, r *runner) { w.do(func(now time.Time) { w.terminate(r, now) }) }, exited, 0},
		{"TERM, no", never, func(w *World, r *runner) { w.do(func(now time.Time) { w.terminate(r, now) }) }, exited, 0},
		{"a second TERM", always, func(w *World, r *runner) {
			w.do(func(now time.Time) { w.terminate(r, now); w.terminate(r, now) })
		}, exited, 2},
		{"TERM between a crash and the restart", always, func(w *World, r *runner) {
			w.Crash("agent-1")
			w.do(func(now time.Time) { w.terminate(r, now) })
		}, exited, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inUse(t, Config{BuildTime: 30 * time.Minute, ReapAfter: 24 * time.Hour}, func(t *testing.T, w *World, m *Machine) {
				r := w.devices[0].runner
				w.do(func(time.Time) { w.setPolicy(r, test.policy) })
				test.end(w, r)
				time.Sleep(31 * time.Minute)
				looksLike(t, m, "later", test.want, test.want == running)
				check(t, w, "later", Stats{Running: test.orphan, Succeeded: 2 - test.orphan})
				time.Sleep(24 * time.Hour)
				check(t, w, "a day later", Stats{Orphaned: test.orphan, Succeeded: 2 - test.orphan})
			})
		})
	}
}

// Stages of a runner that is gone stay as they were in the queue until they
// are reaped, whatever becomes of the machine.
func TestReaper(t *testing.T) {
	tests := []struct {
		name string
		end  func(t *testing.T, w *World)
		dead bool  // it does not answer then
		want Stats // an hour later; two hours later, those that run are orphaned
	}{
		{"the machine dies", func(_ *testing.T, w *World) { w.Die("agent-1") }, true, Stats{Running: 2}},
		{"the machine dies and is destroyed", func(t *testing.T, w *World) { w.Die("agent-1"); destroy(t, w) }, true, Stats{Running: 2}},
		{"the runner is killed", func(t *testing.T, w *World) { must(t, w.Machine("agent-1").Kill()) }, false, Stats{Running: 2}},
		{"the runner is killed and its machine destroyed", func(t *testing.T, w *World) {
			must(t, w.Machine("agent-1").Kill())
			destroy(t, w)
		}, true, Stats{Running: 2}},
		{"the machine is destroyed under its runner", destroy, true, Stats{Failed: 2}},
		{"the machine is destroyed while it drains", func(t *testing.T, w *World) {
			must(t, w.Machine("agent-1").Drain())
			destroy(t, w)
		}, true, Stats{Failed: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inUse(t, Config{BuildTime: 30 * time.Minute, ReapAfter: 90 * time.Minute}, func(t *testing.T, w *World, m *Machine) {
				test.end(t, w)
				time.Sleep(time.Hour)
				check(t, w, "an hour later", test.want)
				for _, s := range queue(t, w) {
					if s.Status != "running" || s.Machine != "agent-1" {
						t.Errorf("the queue shows %+v", s)
					}
				}
				if _, err := m.Look(); test.dead != (err != nil) {
					t.Errorf("looked: %v, want an error: %v", err, test.dead)
				}
				for _, d := range w.Devices() {
					if d.State != stateActive {
						t.Errorf("the API shows %s", d.State)
					}
				}
				time.Sleep(time.Hour)
				check(t, w, "two hours later", Stats{Failed: test.want.Failed, Orphaned: test.want.Running})
			})
		})
	}
}

// A runner that is started again has room for as many stages as before.
func TestOrphansTakeNoRoom(t *testing.T) {
	inUse(t, Config{BuildTime: time.Hour}, func(t *testing.T, w *World, m *Machine) {
		must(t, m.Kill())
		w.Enqueue(3)
		must(t, m.Restart())
		check(t, w, "restarted", Stats{Waiting: 1, Running: 4})
		time.Sleep(3 * time.Hour)
		check(t, w, "later", Stats{Running: 2, Succeeded: 3})
	})
}

func TestDevicesDie(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{DeviceDies: 0.5})
		for i := range 40 {
			w.Order(Order{Hostname: fmt.Sprintf("agent-%d", i), UserData: runnerData("agent")})
		}
		count := func() (n int) {
			for _, d := range w.Devices() {
				if _, err := w.Machine(d.Address).Look(); err != nil {
					n++
				}
			}
			return n
		}
		time.Sleep(2 * time.Second)
		if n := count(); n != 0 {
			t.Errorf("%d devices die as soon as they are active", n)
		}
		time.Sleep(30 * time.Minute)
		half := count()
		time.Sleep(31 * time.Minute)
		if all := count(); half < 3 || half >= all || all < 10 || all > 30 || w.Stats().Alive != 40 {
			t.Errorf("%d of 40 devices die, %d in the first half of an hour", all, half)
		}
	})
}

// The world needs nobody to run it: what is due happens, at its time, when it
// is asked next.
func TestWorldCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{BootTime: time.Minute, SetupTime: time.Minute, AcceptTime: time.Second, BuildTime: time.Minute, RPCSecret: "rpc"})
		w.Order(Order{Hostname: "agent-1", UserData: runnerData("agent-1", "DRONE_RUNNER_CAPACITY=1")})
		w.Enqueue(3)
		w.EnqueueFor(time.Hour, state.Stage{})
		time.Sleep(time.Hour)
		check(t, w, "an hour later", Stats{Running: 1, Succeeded: 3})
		want := []time.Duration{2 * time.Minute, 3*time.Minute + time.Second, 4*time.Minute + 2*time.Second, 5*time.Minute + 3*time.Second}
		if got := w.Stats().Waits; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("stages waited %v, want %v", got, want)
		}
	})
}
