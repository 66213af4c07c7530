package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
	"hangar/tfmodules"
)

// mirrorOf is the provider under test: the simulated one with the real one's
// waits, or the one in the folder that HANGAR_BENCH_MIRROR names.
func mirrorOf(b *testing.B, w *world) {
	b.Helper()
	if dir := os.Getenv("HANGAR_BENCH_MIRROR"); dir != "" {
		w.mirror = dir
	}
}

// BenchmarkReaction measures from a stage that begins to wait to the create
// request that the API sees for it: with the queue read every second, and with
// Drone's webhook alone. Of the latter, s-own is hangar's share: what is not spent in
// terraform.
func BenchmarkReaction(b *testing.B) {
	for name, interval := range map[string]string{"Poll": "1s", "Hook": "1h"} {
		b.Run(name, func(b *testing.B) { reaction(b, interval, name == "Hook") })
	}
}

func reaction(b *testing.B, interval string, hook bool) {
	w := newWorld(b, simulator.Config{BootTime: 50 * time.Millisecond, BuildTime: time.Hour}, quick)
	mirrorOf(b, w)
	s := w.serve(b, "DRONE_INTERVAL="+interval, "DRONE_POOL_MAX=100000", "DRONE_AGENT_CONCURRENCY=1", "DRONE_POOL_IDLE=1h", "DRONE_WEBHOOK_SECRET=bench")
	if hook {
		go w.PostEvents(b.Context(), s.url+"/hook", "bench")
	}
	var took, own []time.Duration
	seed := time.Now().UnixNano()
	for n := 0; b.Loop(); n++ {
		// At any moment between two reads of the queue.
		time.Sleep(time.Duration((seed+int64(n)*617)%1000) * time.Millisecond)
		began := time.Now()
		w.Enqueue(1)
		until(b, "the API sees the create", 30*time.Second, func() bool { return len(w.requests()) > n })
		took = append(took, w.requests()[n].Sub(began))
		until(b, "its server runs", 60*time.Second, func() bool { return w.Stats().Running > n })
		var runs []state.Run
		if err := json.Unmarshal([]byte(s.get("/api/runs?limit=1")), &runs); err != nil || len(runs) != 1 {
			b.Fatal(err, len(runs))
		}
		t := runs[0].Timings
		own = append(own, runs[0].Applying.Sub(began)-time.Duration((t.Init+t.Plan+t.Show)*float64(time.Second)))
	}
	if err := s.stop(); err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	slices.Sort(own)
	b.ReportMetric(took[len(took)/2].Seconds(), "s-median")
	b.ReportMetric(took[(len(took)*99+99)/100-1].Seconds(), "s-p99")
	if hook {
		b.ReportMetric(own[len(own)/2].Seconds(), "s-own")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkHundred measures 100 servers wanted at once, devices that boot in
// 2 s, and the provider's own waits, against one hand-written root module of
// 100 under plain terraform.
func BenchmarkHundred(b *testing.B) {
	const n = 100
	realWaits := simulator.Waits{}
	for b.Loop() {
		w := newWorld(b, simulator.Config{BootTime: 2 * time.Second, BuildTime: time.Hour}, realWaits)
		mirrorOf(b, w)
		plain := plainTerraform(b, w, n)

		w = newWorld(b, simulator.Config{BootTime: 2 * time.Second, BuildTime: time.Hour}, realWaits)
		mirrorOf(b, w)
		s := w.serve(b, fmt.Sprintf("DRONE_POOL_MAX=%d", n), "DRONE_AGENT_CONCURRENCY=1", "DRONE_INTERVAL=1s")
		began := time.Now()
		w.Enqueue(n)
		until(b, "all run", 5*time.Minute, func() bool { return len(s.servers()["running"]) == n })
		hangar := time.Since(began)
		if err := s.stop(); err != nil {
			b.Error(err)
		}
		b.ReportMetric(plain.Seconds(), "s-plain")
		b.ReportMetric(hangar.Seconds(), "s-hangar")
		b.ReportMetric(hangar.Seconds()/plain.Seconds(), "ratio")
		b.ReportMetric(0, "ns/op")
	}
}

// plainTerraform makes n devices by one root module and returns how long the
// plan and the apply took.
func plainTerraform(b *testing.B, w *world, n int) time.Duration {
	b.Helper()
	module, err := tfmodules.Shipped("packet")
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(w.data, "stacks", "plain")
	if _, err := module.Copy(filepath.Join(w.data, "modules")); err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "cloud-init"), 0o700); err != nil {
		b.Fatal(err)
	}
	cfg, err := parseConfig(w.environ())
	if err != nil {
		b.Fatal(err)
	}
	source, err := cfg.pools(w.environ(), &agents{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	settings := source.At(time.Now()).Pools[0].Candidates[0].Settings
	root := tfmodules.Root{Module: module, Settings: settings, Provider: map[string]any{"endpoint": w.metal}}
	for i := range n {
		name := fmt.Sprintf("plain-%08d", i)
		root.Servers = append(root.Servers, tfmodules.Server{Name: name, Tags: []string{"plain"}})
		if err := os.WriteFile(filepath.Join(dir, tfmodules.CloudInit(name)), []byte("#cloud-config\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	text, err := tfmodules.Render(root)
	if err != nil {
		b.Fatal(err)
	}
	cli := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", w.mirror)
	for name, content := range map[string]string{"main.tf": string(text), "cli.tfrc": cli} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	command := func(args ...string) {
		cmd := exec.Command("terraform", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "METAL_AUTH_TOKEN="+w.Config().APIKey, "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.tfrc"))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("terraform %v: %v\n%s", args, err, out)
		}
	}
	command("init", "-no-color")
	began := time.Now()
	command("apply", "-no-color", "-auto-approve", "-parallelism=100")
	return time.Since(began)
}

// BenchmarkIdleMemory measures the resident memory of an idle serve with 100
// servers, a process of its own, after ten passes.
func BenchmarkIdleMemory(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, simulator.Config{BootTime: 50 * time.Millisecond, BuildTime: time.Hour}, quick)
		child := exec.Command(os.Args[0])
		var log logged
		child.Stderr = &log
		for name, value := range w.environ("HANGAR_TEST_MAIN=1", "DRONE_POOL_MIN=100", "DRONE_POOL_MAX=100", "DRONE_INTERVAL=500ms") {
			child.Env = append(child.Env, name+"="+value)
		}
		child.Args = []string{"hangar", "serve"}
		if err := child.Start(); err != nil {
			b.Fatal(err)
		}
		s := &served{t: b, w: w, url: log.address(b)}
		until(b, "all run", 3*time.Minute, func() bool { return len(s.servers()["running"]) == 100 })
		time.Sleep(5 * time.Second)
		b.ReportMetric(float64(meminfo(fmt.Sprintf("/proc/%d/status", child.Process.Pid), "VmRSS:"))/1024, "MB-resident")
		b.ReportMetric(0, "ns/op")
		child.Process.Signal(os.Interrupt)
		child.Wait()
	}
}
