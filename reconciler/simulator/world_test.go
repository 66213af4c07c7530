package simulator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hangar/state"
)

// asleep runs a test in a bubble of fake time, with a running world in it.
func asleep(t *testing.T, config Config, test func(t *testing.T, w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.Seed, config.RPCSecret = 1, "rpc"
		w := New(config)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go w.Run(ctx)
		test(t, w)
		cancel()
		synctest.Wait()
	})
}

// runnerData is user data with a runner's environment in it.
func runnerData(name string, lines ...string) string {
	env := append([]string{"DRONE_RPC_SECRET=rpc", "DRONE_RUNNER_NAME=" + name}, lines...)
	return "#cloud-config\nwrite_files:\n- path: /etc/runner.env\n  content: |\n    " + strings.Join(env, "\n    ") + "\n"
}

func TestBuildsRunOnDevices(t *testing.T) {
	config := Config{BootTime: 10 * time.Second, SetupTime: time.Second, AcceptTime: time.Second, BuildTime: 20 * time.Second}
	asleep(t, config, func(t *testing.T, w *World) {
		w.Enqueue(3)
		order(t, w, "agent-1", runnerData("agent-1", "DRONE_RUNNER_CAPACITY=2"))
		steps := []struct {
			at                                  time.Duration
			state                               string
			waiting, running, machines, success int
		}{
			{0, stateQueued, 3, 0, 0, 0},
			{time.Second, stateProvisioning, 3, 0, 0, 0},
			{10 * time.Second, stateActive, 3, 0, 0, 0},
			{11 * time.Second, stateActive, 1, 2, 0, 0}, // accepted, still pending
			{12 * time.Second, stateActive, 1, 2, 2, 0},
			{32 * time.Second, stateActive, 0, 1, 0, 2},
			{53 * time.Second, stateActive, 0, 0, 0, 3},
		}
		start := time.Now()
		for _, step := range steps {
			time.Sleep(step.at - time.Since(start))
			synctest.Wait()
			started := 0
			for _, s := range queue(t, w) {
				if s.Status == "running" {
					started++
				}
			}
			got := w.Stats()
			if d := w.Devices()[0]; d.State != step.state || got.Waiting != step.waiting || got.Running != step.running ||
				started != step.machines || got.Succeeded != step.success {
				t.Errorf("after %s: device %s, %d running, %+v; want %+v", step.at, d.State, started, got, step)
			}
		}
		want := []time.Duration{11 * time.Second, 11 * time.Second, 32 * time.Second}
		if got := w.Stats().Waits; !slices.Equal(got, want) {
			t.Errorf("stages waited %v, want %v", got, want)
		}
	})
}

func TestWhichRunnersJoin(t *testing.T) {
	tests := []struct {
		name     string
		userData string
		want     int // stages accepted
	}{
		{"as many as its capacity", runnerData("agent-1", "DRONE_RUNNER_CAPACITY=3"), 3},
		{"drone-runner-docker's own capacity", runnerData("agent-1"), 2},
		{"another secret", strings.Replace(runnerData("agent-1"), "=rpc", "=other", 1), 0},
		{"no name", "DRONE_RPC_SECRET=rpc\n", 0},
		{"no user data", "", 0},
		{"another platform", runnerData("agent-1", "DRONE_PLATFORM_ARCH=arm64"), 0},
		{"labels that no stage asks for", runnerData("agent-1", "DRONE_RUNNER_LABELS=size:large"), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asleep(t, Config{BuildTime: time.Hour}, func(t *testing.T, w *World) {
				w.Enqueue(5)
				order(t, w, "agent-1", test.userData)
				time.Sleep(time.Minute)
				if got := w.Stats(); got.Running != test.want || got.Waiting != 5-test.want {
					t.Errorf("stats %+v, want %d accepted", got, test.want)
				}
			})
		})
	}
}

func TestStagesDieWithTheirDevice(t *testing.T) {
	asleep(t, Config{BuildTime: time.Hour}, func(t *testing.T, w *World) {
		w.Enqueue(3)
		order(t, w, "agent-1", runnerData("agent-1"))
		time.Sleep(time.Minute)
		if status, _ := metal(t, w, "DELETE", "/devices/"+w.Devices()[0].ID, ""); status != 204 {
			t.Fatalf("delete answered %d", status)
		}
		got := w.Stats()
		got.Waits = nil
		want := Stats{Builds: 3, Failed: 2, Waiting: 1, Created: 1, Destroyed: 1, MaxAlive: 1}
		if !equalStats(got, want) || len(w.Devices()) != 0 {
			t.Errorf("stats %+v, want %+v; devices %v", got, want, w.Devices())
		}
	})
}

func equalStats(a, b Stats) bool {
	return a.Builds == b.Builds && a.Succeeded == b.Succeeded && a.Failed == b.Failed && a.Waiting == b.Waiting &&
		a.Running == b.Running && a.Orphaned == b.Orphaned && a.Created == b.Created && a.Destroyed == b.Destroyed && a.Alive == b.Alive && a.MaxAlive == b.MaxAlive
}

func TestChanged(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		changed := w.Changed()
		w.Stats()
		select {
		case <-changed:
			t.Error("a look at the world changed it")
		default:
		}
		w.Enqueue(1)
		select {
		case <-changed:
		default:
			t.Error("a new build is no change")
		}
	})
}

func TestEnvironment(t *testing.T) {
	userData := runnerData("agent-1", "DRONE_RUNNER_LABELS=a:b,c:d", "DRONE_RUNNER_ENVIRON=X=Y") +
		"runcmd:\n- echo DRONE_RPC_SECRET=wrong\n- DRONE_RPC_HOST: x=y\n# DRONE_RPC_SECRET=wrong\n"
	got := environment(userData)
	for key, want := range map[string]string{
		"DRONE_RPC_SECRET": "rpc", "DRONE_RUNNER_NAME": "agent-1",
		"DRONE_RUNNER_LABELS": "a:b,c:d", "DRONE_RUNNER_ENVIRON": "X=Y",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("environment holds more: %v", got)
	}
}

func TestScheduler(t *testing.T) {
	run := func(s state.Stage) *stage { s.Running = true; return &stage{Stage: s} }
	wait := func(s state.Stage) *stage { return newStage(s) }
	tests := []struct {
		name   string
		runner string // its environment
		stage  state.Stage
		others []*stage
		want   bool
	}{
		{name: "the default", want: true},
		{name: "another type", stage: state.Stage{Type: "exec"}},
		{name: "another kind", stage: state.Stage{Kind: "secret"}},
		{name: "another os", stage: state.Stage{OS: "windows"}},
		{name: "another arch", stage: state.Stage{Arch: "arm64"}},
		{name: "a variant the runner lacks", stage: state.Stage{Variant: "v8"}},
		{name: "a variant the runner has", runner: "DRONE_PLATFORM_VARIANT=v8", stage: state.Stage{Variant: "v8"}, want: true},
		{name: "a variant only the runner has", runner: "DRONE_PLATFORM_VARIANT=v8", want: true},
		{name: "a kernel the runner lacks", stage: state.Stage{Kernel: "1809"}},
		{name: "a kernel only the runner has", runner: "DRONE_PLATFORM_KERNEL=1809", want: true},
		{name: "labels the runner lacks", stage: state.Stage{Labels: map[string]string{"a": "b"}}},
		{name: "labels only the runner has", runner: "DRONE_RUNNER_LABELS=a:b"},
		{name: "the same labels", runner: "DRONE_RUNNER_LABELS=a:b,c:d", stage: state.Stage{Labels: map[string]string{"c": "d", "a": "b"}}, want: true},
		{name: "limit reached by an older one", stage: state.Stage{Limit: 1}, others: []*stage{wait(state.Stage{ID: 1})}},
		{name: "limit not reached by a newer one", stage: state.Stage{Limit: 1}, others: []*stage{wait(state.Stage{ID: 9})}, want: true},
		{name: "limit reached by a newer one that runs", stage: state.Stage{Limit: 1}, others: []*stage{run(state.Stage{ID: 9, RepoID: 1, Name: "default"})}},
		{name: "limit of another name", stage: state.Stage{Limit: 1}, others: []*stage{wait(state.Stage{ID: 1, Name: "deploy"})}, want: true},
		{name: "limit of another repository", stage: state.Stage{Limit: 1}, others: []*stage{wait(state.Stage{ID: 1, RepoID: 2})}, want: true},
		{name: "limit of two", stage: state.Stage{Limit: 2}, others: []*stage{wait(state.Stage{ID: 1})}, want: true},
		{name: "throttle reached by an older one", stage: state.Stage{Throttle: 1}, others: []*stage{wait(state.Stage{ID: 1, Name: "deploy"})}},
		{name: "throttle of another repository", stage: state.Stage{Throttle: 1}, others: []*stage{wait(state.Stage{ID: 1, RepoID: 2})}, want: true},
		{name: "throttle not reached by a newer one that runs", stage: state.Stage{Throttle: 1}, others: []*stage{run(state.Stage{ID: 9, RepoID: 1})}, want: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.stage.ID = 5
			s := newStage(test.stage)
			queue := append(test.others, s)
			slices.SortFunc(queue, func(a, b *stage) int { return cmp.Compare(a.ID, b.ID) })
			held, back := newHolds(queue), map[*stage]bool{}
			for _, o := range queue {
				back[o] = held.back(o)
			}
			r := newRunner(&Device{}, environment(test.runner))
			if got := matches(r, s) && !back[s]; got != test.want {
				t.Errorf("may run: %v, want %v", got, test.want)
			}
		})
	}
}
