package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// hook measures from a build that arrives to the create request. Only the webhook
// tells of it: the queue is read every hour.
func (b *bench) hook() error {
	return b.run(map[string]string{"DRONE_INTERVAL": "1h"}, nil, func(s *benched) error {
		spent := map[string][]float64{}
		for n := range b.Hooks {
			time.Sleep(rand.N(time.Second))
			began := time.Now()
			s.Enqueue(1)
			err := eventually(b.ctx, "the API sees the create", time.Minute, func() (bool, error) { return s.Stats().Created > n, nil })
			if err != nil {
				return err
			}
			devices := s.Devices()
			created := devices[len(devices)-1].Created
			if err := eventually(b.ctx, "the build runs", 5*time.Minute, func() (bool, error) { return s.Stats().Running > n, nil }); err != nil {
				return err
			}
			var runs []state.Run
			if err := s.get(b.ctx, "/api/runs?limit=1", &runs); err != nil || len(runs) != 1 {
				return fmt.Errorf("%d runs: %w", len(runs), err)
			}
			t := runs[0].Timings
			own := runs[0].Applying.Sub(began).Seconds() - t.Init - t.Plan - t.Show
			for what, seconds := range map[string]float64{
				"to the create request": created.Sub(began).Seconds(), "hangar's own share": own,
				"terraform init": t.Init, "terraform plan": t.Plan, "terraform show": t.Show, "terraform apply to the request": created.Sub(runs[0].Applying).Seconds(),
			} {
				spent[what] = append(spent[what], seconds)
			}
		}
		for _, what := range []string{"to the create request", "terraform init", "terraform plan", "terraform show", "terraform apply to the request", "hangar's own share"} {
			slices.Sort(spent[what])
			b.measured("hook", what+", median", share(spent[what], 0.5), "s")
		}
		b.measured("hook", "to the create request, p99", share(spent["to the create request"], 0.99), "s")
		return nil
	})
}

// bursts measures servers that are wanted at once, until builds run on all.
func (b *bench) bursts() error {
	for _, n := range b.Bursts {
		what := fmt.Sprintf("%d servers", n)
		plain, memory, err := b.plain(n)
		if err != nil {
			return err
		}
		b.measured("burst", what+", plain terraform", plain.Seconds(), "s")
		b.measured("burst", what+", memory of plain terraform, at most", float64(memory)/1e9, "GB")
		err = b.run(nil, nil, func(s *benched) error {
			watch := b.watch(s.command.Process.Pid)
			began := time.Now()
			s.Enqueue(n)
			err := eventually(b.ctx, what+" run builds", 10*time.Minute, func() (bool, error) { return s.Stats().Running == n, nil })
			builds := time.Since(began)
			if err == nil {
				err = eventually(b.ctx, what+" are known to run", 10*time.Minute, func() (bool, error) { return s.running(b.ctx, n) })
			}
			took := time.Since(began)
			memory, watched := watch()
			if err := errors.Join(err, watched); err != nil {
				return err
			}
			b.measured("burst", what+", hangar, until builds run on all", builds.Seconds(), "s")
			b.measured("burst", what+", hangar, until all applies have ended", took.Seconds(), "s")
			b.measured("burst", what+", hangar against plain terraform", took.Seconds()/plain.Seconds(), "times")
			b.measured("burst", what+", memory of all hangar's processes, at most", float64(memory)/1e9, "GB")
			if made := s.Stats().Created; made != n {
				return fmt.Errorf("%d machines were made for %d builds", made, n)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// running says whether hangar has seen n servers run, and has no apply under way.
func (s *benched) running(ctx context.Context, n int) (bool, error) {
	time.Sleep(100 * time.Millisecond) // a long answer is not asked for all the time
	var servers []struct{ State state.Phase }
	if err := s.get(ctx, "/api/servers", &servers); err != nil {
		return false, err
	}
	for _, one := range servers {
		if one.State == state.Running {
			n--
		}
	}
	var runs []state.Run
	err := s.get(ctx, "/api/runs?phase=applying", &runs)
	return n == 0 && len(runs) == 0, err
}

// watch looks at the memory of a process and all below it until the returned
// function is called, which tells the most that there was.
func (b *bench) watch(pid int) func() (most int64, err error) {
	stop, done := make(chan struct{}), make(chan struct{})
	var most int64
	var failed error
	go func() {
		defer close(done)
		for every := time.NewTicker(250 * time.Millisecond); ; {
			select {
			case <-stop:
				every.Stop()
				return
			case <-every.C:
			}
			all, err := look(pid, true)
			most, failed = max(most, all.Memory), err
		}
	}()
	return func() (int64, error) {
		close(stop)
		<-done
		return most, failed
	}
}

// idle measures a hangar with one server that has nothing to do, between two
// looks at the provider's list.
func (b *bench) idle() error {
	more := map[string]string{"DRONE_POOL_MIN": "1", "DRONE_SWEEP_INTERVAL": "24h", "DRONE_INTERVAL": "10s", "DRONE_TERRAFORM_SETTLE": "1s"}
	return b.run(more, nil, func(s *benched) error {
		err := eventually(b.ctx, "the server runs", 5*time.Minute, func() (bool, error) { return s.running(b.ctx, 1) })
		if err != nil {
			return err
		}
		time.Sleep(90 * time.Second) // the look at the stack's devices after the apply is over, and what changed is recorded
		pid := s.command.Process.Pid
		before, err := look(pid, true)
		if err != nil {
			return err
		}
		began, started := time.Now(), map[string]bool{}
		for time.Since(began) < b.Idle {
			now, err := look(pid, false)
			if err != nil {
				return err
			}
			for _, name := range now.Names {
				started[name] = true
			}
			time.Sleep(50 * time.Millisecond)
		}
		after, err := look(pid, true)
		if err != nil {
			return err
		}
		took := time.Since(began)
		b.measured("idle", "processor", 100*(after.CPU-before.CPU).Seconds()/took.Seconds(), "% of one")
		b.measured("idle", "memory", float64(after.Memory)/1e6, "MB")
		b.measured("idle", "written to disk", float64(after.Written-before.Written)/1e3, "kB")
		b.measured("idle", "processes started, by name", float64(len(started)), "")
		return nil
	})
}

// census measures a look at a long list in which hangar's machines are few.
func (b *bench) census() error {
	others := make([]simulator.Device, b.Devices)
	for i := range others {
		others[i] = simulator.Device{
			Hostname: fmt.Sprintf("other-%05d", i), Plan: "c3.small.x86", OS: "ubuntu_24_04", Facility: "ewr1",
			Tags: []string{"hangar", "hangar-instance=other", fmt.Sprintf("hangar-stack=other-%d", i/25), fmt.Sprintf("hangar-server=other-%05d", i)},
		}
	}
	prepare := func(s *benched) { s.Place(others...) }
	return b.run(map[string]string{"DRONE_POOL_MIN": "1", "DRONE_SWEEP_INTERVAL": "24h"}, prepare, func(s *benched) error {
		err := eventually(b.ctx, "the server is made", 10*time.Minute, func() (bool, error) { return s.Stats().Created > b.Devices, nil })
		if err != nil {
			return err
		}
		watch := b.watch(s.command.Process.Pid)
		began := time.Now()
		answer, err := askServer(b.ctx, s.cfg, http.MethodPost, s.url+"/api/audit")
		if err != nil {
			return err
		}
		took := time.Since(began)
		memory, err := watch()
		if err != nil {
			return err
		}
		what := strings.TrimSpace(fmt.Sprintf("%d machines", b.Devices))
		b.measured("census", what, took.Seconds(), "s")
		b.measured("census", what+", memory of all processes, at most", float64(memory)/1e9, "GB")
		return answer.Close()
	})
}
