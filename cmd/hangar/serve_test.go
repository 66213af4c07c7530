package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

var quick = simulator.Waits{FirstPoll: 100 * time.Millisecond, NextPoll: 100 * time.Millisecond}

// The main job: waiting stages become devices as they were asked for, and idle
// ones go again.
func TestServeTurnsStagesIntoDevicesAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond, BuildTime: 2 * time.Second}, quick)
	w.Enqueue(5)
	w.Enqueue(1, state.Stage{Arch: "arm64", OS: "linux"}) // matches no pool
	s := w.serve(t, "DRONE_PACKET_TAGS=ci,team-a")
	until(t, "three devices are active", 90*time.Second, func() bool { return len(s.servers()["running"]) == 3 })

	for _, d := range w.Devices() {
		if !slices.Contains(s.servers()["running"], d.Hostname) || d.Facility != "ewr1" || d.Plan != "c3.small.x86" || d.OS != "ubuntu_24_04" ||
			d.ProjectID != w.Config().ProjectID || d.Billing != "hourly" {
			t.Errorf("device %+v", d)
		}
		for _, tag := range []string{"hangar", "hangar-server=" + d.Hostname, "ci", "team-a"} {
			if !slices.Contains(d.Tags, tag) {
				t.Errorf("device %s has no tag %s: %v", d.Hostname, tag, d.Tags)
			}
		}
		for _, line := range []string{"DRONE_RUNNER_NAME=" + d.Hostname, "DRONE_RUNNER_CAPACITY=2", "DRONE_RPC_SECRET=" + w.Config().RPCSecret, "DRONE_RPC_HOST=" + strings.TrimPrefix(w.drone, "http://")} {
			if !strings.Contains(d.UserData, line) {
				t.Errorf("the user data of %s has no %s", d.Hostname, strings.Split(line, "=")[0])
			}
		}
	}
	byHand(t, w, s)
	until(t, "all builds have succeeded", 90*time.Second, func() bool { return w.Stats().Succeeded == 5 })
	until(t, "no device is left", 90*time.Second, func() bool { return w.Stats().Alive == 0 && len(s.servers()["stopped"]) == 3 })
	if stats := w.Stats(); stats.Failed != 0 || stats.Created != 3 || stats.MaxAlive > 4 {
		t.Errorf("stats %+v", stats)
	}
	noSecrets(t, w, s)
}

// byHand looks into a stack as a person would, with nothing but the key.
func byHand(t *testing.T, w *world, s *served) {
	t.Helper()
	stacks, err := filepath.Glob(filepath.Join(w.data, "stacks", "*"))
	if err != nil || len(stacks) == 0 {
		t.Fatalf("stacks %v, %v", stacks, err)
	}
	for _, dir := range stacks {
		cmd := exec.Command("terraform", "plan", "-no-color", "-detailed-exitcode", "-lock-timeout=20s")
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "METAL_AUTH_TOKEN=" + w.Config().APIKey}
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("No changes")) {
			t.Errorf("terraform plan by hand in %s: %v\n%s", dir, err, out)
		}
	}
}

// noSecrets greps every surface for the secrets that hangar was given.
func noSecrets(t *testing.T, w *world, s *served) {
	t.Helper()
	c := w.Config()
	secrets := []string{c.ServerToken, c.RPCSecret, c.APIKey, "DRONE_RPC_SECRET"}
	clean := func(where, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", where)
			}
		}
	}
	clean("the log", s.log.String())
	paths := []string{"/api/servers", "/api/stacks", "/api/runs", "/api/decisions", "/varz", "/version", "/healthz", "/metrics",
		"/api", "/api/openapi.json", "/api/events?limit=500", "/api/audit", "/api/explain"}
	var stacks []string
	for _, list := range []struct{ path, key string }{{"/api/stacks", "name"}, {"/api/runs", "id"}, {"/api/servers", "name"}} {
		var all []map[string]any
		if err := json.Unmarshal([]byte(s.get(list.path)), &all); err != nil || len(all) == 0 {
			t.Fatalf("%s: %d, %v", list.path, len(all), err)
		}
		for _, one := range all {
			id, _ := json.Marshal(one[list.key])
			at := list.path + "/" + strings.Trim(string(id), `"`)
			paths = append(paths, at)
			switch list.path {
			case "/api/runs":
				paths = append(paths, at+"/plan", at+"/plan?format=json")
			case "/api/servers":
				paths = append(paths, strings.Replace(at, "servers", "explain", 1))
				status, logs := s.ask(http.MethodGet, at+"/logs", c.ServerToken)
				if status != http.StatusOK && status != http.StatusConflict { // it is gone
					t.Errorf("%s/logs: %d %s", at, status, logs)
				}
				clean(at+"/logs", logs)
			default:
				stacks = append(stacks, strings.Trim(string(id), `"`))
				paths = append(paths, at+"/outputs", at+"/versions", at+"/diff")
				var versions []state.StateVersion
				if err := json.Unmarshal([]byte(s.get(at+"/versions")), &versions); err != nil || len(versions) == 0 {
					t.Fatalf("%s has %d states, %v", at, len(versions), err)
				}
				for _, v := range versions {
					if v.Decision == 0 || v.Run == 0 {
						t.Errorf("nothing has made %+v", v)
					}
					paths = append(paths, fmt.Sprintf("%s/versions/%d", at, v.Serial))
				}
			}
		}
	}
	for _, path := range paths {
		clean(path, s.get(path))
	}
	asDescribed(t, s, paths)
	everyRoute(t, s, paths)
	pages := crawl(t, s.url, c.ServerToken)
	for at, text := range pages {
		clean(at, text)
	}
	if len(pages) < 20 {
		t.Errorf("only %d pages were found", len(pages))
	}
	exported := filepath.Join(t.TempDir(), "history.tar.gz")
	for _, stack := range stacks {
		if err := run(t.Context(), []string{"state", "export", stack, exported}, w.environ(), io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		for name, content := range unpack(t, exported) {
			clean(name, content)
		}
	}
	clean("hangar events", w.events(t))
	err := filepath.WalkDir(w.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !strings.Contains(path, "providers") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", path, info.Mode())
		}
		if filepath.Base(path) == "main.tf" {
			text, err := os.ReadFile(path)
			clean(path, string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everyRoute holds paths that were read against the routes that can be.
func everyRoute(t *testing.T, s *served, paths []string) {
	t.Helper()
	var listed struct {
		Routes []struct{ Method, Path string }
	}
	if err := json.Unmarshal([]byte(s.get("/api")), &listed); err != nil {
		t.Fatal(err)
	}
	for _, r := range listed.Routes {
		// TestEventsTellALife reads the stream, and the logs were read above.
		if r.Method != http.MethodGet || r.Path == "/api/events/stream" || strings.HasSuffix(r.Path, "/logs") {
			continue
		}
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.Path, "[^/]+") + `(\?|$)`)
		if !slices.ContainsFunc(paths, pattern.MatchString) {
			t.Errorf("%s was not grepped for secrets", r.Path)
		}
	}
}

// After a restart the answers are what they were.
func TestRestartForgetsNothing(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond}, quick)
	settings := []string{"DRONE_POOL_MIN=2", "DRONE_POOL_IDLE=1h", "DRONE_TERRAFORM_SETTLE=1s"}
	first := w.serve(t, settings...)
	until(t, "the minimum runs", 90*time.Second, func() bool { return len(first.servers()["running"]) == 2 })
	first.ended()
	paths := []string{"/api/servers", "/api/stacks", "/api/runs", "/api/runs/1", "/api/runs/1/plan", "/api/decisions"}
	steady := func(s *served) (answers []string) { // two passes that find nothing new
		until(t, "nothing changes any more", 60*time.Second, func() bool {
			if strings.Contains(s.get("/api/stacks"), `"look_at"`) {
				return false // a look is to come
			}
			before := answers
			answers = nil
			for _, p := range paths {
				answers = append(answers, s.get(p))
			}
			time.Sleep(300 * time.Millisecond)
			return slices.Equal(before, answers)
		})
		return answers
	}
	before := steady(first)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := w.serve(t, settings...)
	after := steady(second)
	for i := range paths {
		if before[i] != after[i] {
			t.Errorf("%s changed:\n%s\n%s", paths[i], before[i], after[i])
		}
	}
	if stats := w.Stats(); stats.Created != 2 || stats.Alive != 2 {
		t.Errorf("stats %+v", stats)
	}
}

// process is a hangar that serves in a process of its own, to be killed.
func (w *world) process(t *testing.T, more ...string) (kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Args = []string{"hangar", "serve"}
	var log logged
	child.Stderr = &log
	child.WaitDelay = 100 * time.Millisecond // a provider that outlives its terraform holds the pipe
	for name, value := range w.environ(append(more, "HANGAR_TEST_MAIN=1")...) {
		child.Env = append(child.Env, name+"="+value)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		child.Process.Kill()
		child.Wait()
		if t.Failed() {
			t.Logf("the killed hangar's log:\n%s", &log)
		}
	})
}

// Killed in mid-apply, before the state knows of any machine, hangar finds and
// adopts what it ordered: nothing is lost, nothing is made twice, and the
// maximum is never exceeded, also when the API commits what it was asked for
// long after the client has gone.
func TestKilledInMidApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 1500 * time.Millisecond, BuildTime: 3 * time.Second}, quick)
	w.SetFaults(simulator.Faults{Seed: 7, LateCommit: 4 * time.Second})
	w.Enqueue(6)
	settings := []string{"DRONE_POOL_MAX=3", "DRONE_TERRAFORM_SETTLE=6s", "DRONE_TERRAFORM_RETRY=500ms", "DRONE_SWEEP_INTERVAL=2s", "DRONE_SWEEP_CONFIRM=500ms", "DRONE_POOL_IDLE=3s"}
	kill := w.process(t, settings...)
	defer kill()
	until(t, "three are asked for", 90*time.Second, func() bool { return len(w.requests()) == 3 })
	kill()

	s := w.serve(t, settings...)
	until(t, "three are adopted", 60*time.Second, func() bool { return len(s.servers()["running"]) == 3 })
	until(t, "all builds have succeeded", 60*time.Second, func() bool { return w.Stats().Succeeded == 6 })
	until(t, "no device is left", 60*time.Second, func() bool { return w.Stats().Alive == 0 })
	if stats := w.Stats(); stats.MaxAlive != 3 || stats.Failed != 0 {
		t.Errorf("stats %+v", stats)
	}
	byHand(t, w, s)
	for _, phase := range []string{"interrupted", "applied"} {
		if body := s.get("/api/runs?phase=" + phase); !strings.Contains(body, phase) {
			t.Errorf("no run is %s", phase)
		}
	}
}

// The second hangar on a data folder refuses and names the first.
func TestSecondServeRefuses(t *testing.T) {
	w := newWorld(t, simulator.Config{}, quick)
	w.serve(t)
	err := run(t.Context(), []string{"serve"}, w.environ(), os.Stdout, os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("err = %v", err)
	}
}
