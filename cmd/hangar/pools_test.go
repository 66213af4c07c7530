package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

var example = regexp.MustCompile("(?s)<!-- ([a-z./]+) -->\n```(?:hcl|sh)\n(.*?)```\n")

// examples writes the README's examples whose names begin so into a folder.
func examples(t *testing.T, dir, prefix string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range example.FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(m[1], prefix) {
			continue
		}
		path := filepath.Join(dir, m[1])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, path, m[2])
		n++
	}
	if n == 0 {
		t.Fatalf("the README has no example %s", prefix)
	}
}

// put replaces a file whole.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// overflow puts the README's module at dir/overflow.
func overflow(t *testing.T, dir string) {
	t.Helper()
	examples(t, dir, "mine/")
	if err := os.Rename(filepath.Join(dir, "mine"), filepath.Join(dir, "overflow")); err != nil {
		t.Fatal(err)
	}
}

type shownServer struct{ Name, State, Pool, Provider, Region, Size, Error string }

func (s *served) all() (list []shownServer) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.get("/api/servers")), &list); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// running lists pool and provider of the servers that run, in order.
func (s *served) running() (list []string) {
	for _, one := range s.all() {
		if one.State == "running" {
			list = append(list, one.Pool+" "+one.Provider)
		}
	}
	slices.Sort(list)
	return list
}

// The README's module makes servers with nothing but terraform, and gets the
// variables that are named for it and no others.
func TestModuleOfTheReadme(t *testing.T) {
	needTerraform(t)
	dir := t.TempDir()
	examples(t, dir, "mine/")
	w := newWorld(t, simulator.Config{}, quick)
	// A provisioner is not part of the contract, but forbidden by nothing: it
	// tells what the module's terraform sees.
	main := filepath.Join(dir, "mine", "main.tf")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(dir, "seen")
	put(t, main, strings.Replace(string(text), "  lifecycle {", fmt.Sprintf("  provisioner \"local-exec\" {\n    command = \"env > %s\"\n  }\n  lifecycle {", seen), 1))

	settings := []string{
		"DRONE_TERRAFORM_MODULE=" + filepath.Join(dir, "mine"), "DRONE_TERRAFORM_SETTINGS=size:large", "DRONE_TERRAFORM_ENV=MY_TOKEN", "MY_TOKEN=correct-horse",
		"DRONE_PACKET_APIKEY=", "DRONE_PACKET_PROJECT_ID=", "DRONE_AGENT_SSH=false", "DRONE_POOL_MIN=1", "DRONE_POOL_MAX=2", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_POOL_IDLE=1h",
	}
	s := w.serve(t, settings...)
	until(t, "it runs", 60*time.Second, func() bool { return slices.Equal(s.running(), []string{"default mine"}) })
	// Terraform tells some outputs of a server only when its run ends.
	until(t, "all is known of it", 30*time.Second, func() bool { return s.all()[0].Size == "large" })
	first := s.all()[0]
	if !strings.Contains(s.log.String(), "a module has no census") {
		t.Error("nothing tells that its module has no census")
	}
	var audit bytes.Buffer
	if err := run(t.Context(), []string{"audit"}, w.environ(settings...), &audit, io.Discard); err != nil || !strings.Contains(audit.String(), "The machines of module mine cannot be looked for") {
		t.Errorf("the audit tells, %v: %s", err, &audit)
	}
	env, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(env), "MY_TOKEN=correct-horse") || strings.Contains(string(env), "METAL_AUTH_TOKEN") || strings.Contains(string(env), "DRONE_") {
		t.Errorf("its terraform sees, %v: %s", err, env)
	}
	byHand(t, w, s)
	if status, body := s.ask("DELETE", "/api/servers/"+first.Name, w.Config().ServerToken); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	until(t, "it is gone, and another runs", 60*time.Second, func() bool {
		by := s.servers()
		return slices.Contains(by["stopped"], first.Name) && len(by["running"]) == 1
	})
	if strings.Contains(s.log.String()+s.get("/api/runs")+s.get("/api/stacks"), "correct-horse") {
		t.Error("a variable of the module is shown")
	}
}

// A module that no pool names any more keeps its variables: its machines are
// still to be destroyed, also after a restart.
func TestModuleThatIsGoneKeepsItsVariables(t *testing.T) {
	needTerraform(t)
	dir := t.TempDir()
	overflow(t, dir)
	examples(t, dir, "mine/")
	main := filepath.Join(dir, "mine", "main.tf")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	put(t, main, strings.Replace(string(text), "  lifecycle {", "  provisioner \"local-exec\" {\n    when    = destroy\n    command = \"test -n \\\"$MY_TOKEN\\\"\"\n  }\n  lifecycle {", 1))
	path := filepath.Join(dir, "pools.hcl")
	pool := func(name, module, env string) string {
		return fmt.Sprintf("pool %q {\n min = 1\n module = %q\n settings = { size = \"s\" }\n env = %s\n}\n", name, module, env)
	}
	put(t, path, pool("a", "./mine", `["MY_TOKEN"]`))
	w := newWorld(t, simulator.Config{}, quick)
	settings := []string{"DRONE_POOLS_FILE=" + path, "MY_TOKEN=correct-horse", "DRONE_AGENT_SSH=false", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_POOL_IDLE=1h"}
	s := w.serve(t, settings...)
	until(t, "it runs", 60*time.Second, func() bool { return slices.Equal(s.running(), []string{"a mine"}) })
	s.ended()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	put(t, path, pool("b", "./overflow", "[]"))
	s = w.serve(t, settings...)
	until(t, "its machine is destroyed, and the other module's runs", 60*time.Second, func() bool {
		return slices.Equal(s.running(), []string{"b overflow"}) && len(s.servers()["stopped"]) == 1
	})
	if strings.Contains(s.get("/api/runs"), "errored") {
		t.Error("a run failed")
	}
}

// What is wrong with a module is told at the start, before anything is touched.
func TestModuleMistakes(t *testing.T) {
	dir := t.TempDir()
	examples(t, dir, "mine/")
	mine := filepath.Join(dir, "mine")
	guideWith := func(more ...string) map[string]string {
		env := guide("DRONE_PACKET_APIKEY=", "DRONE_DATA="+filepath.Join(dir, "data"))
		for _, m := range more {
			name, value, _ := strings.Cut(m, "=")
			env[name] = value
		}
		return env
	}
	for want, env := range map[string]map[string]string{
		"module packet needs DRONE_PACKET_PROJECT_ID":      guideWith("DRONE_POOLS_FILE="+dir+"/packet.hcl", "DRONE_PACKET_PROJECT_ID="),
		"module mine: setting size is missing":             guideWith("DRONE_TERRAFORM_MODULE=" + mine),
		"module mine: setting colour is unknown":           guideWith("DRONE_TERRAFORM_MODULE="+mine, "DRONE_TERRAFORM_SETTINGS=size:s,colour:red"),
		"there is no folder " + dir + "/none":              guideWith("DRONE_TERRAFORM_MODULE=" + dir + "/none"),
		`module "packt" does not come with hangar`:         guideWith("DRONE_TERRAFORM_MODULE=packt"),
		"are those of another module":                      guideWith("DRONE_PACKET_APIKEY=k", "DRONE_TERRAFORM_SETTINGS=size:s"),
		"DRONE_POOLS_FILE=" + dir + "/none.hcl: read":      guideWith("DRONE_POOLS_FILE=" + dir + "/none.hcl"),
		"packet.hcl:1,1: module packet needs DRONE_PACKET": guideWith("DRONE_POOLS_FILE=" + dir + "/packet.hcl"),
		"half.hcl:1,": guideWith("DRONE_POOLS_FILE=" + dir + "/half.hcl"),
	} {
		put(t, filepath.Join(dir, "packet.hcl"), `pool "a" {}`)
		put(t, filepath.Join(dir, "half.hcl"), `pool "a" {`)
		err := run(t.Context(), []string{"serve"}, env, os.Stdout, os.Stderr)
		if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, exit code %d; want %s", err, exitCode(err), want)
		}
	}
	if exists(filepath.Join(dir, "data")) {
		t.Error("the data folder was touched")
	}
}

// The README's pools are in order, and each pool's agents are its own.
func TestPoolsOfTheReadme(t *testing.T) {
	dir := t.TempDir()
	overflow(t, dir)
	examples(t, dir, "pools.hcl")
	env := guide("DRONE_POOLS_FILE=" + filepath.Join(dir, "pools.hcl"))
	c, err := parseConfig(env)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.agents()
	if err != nil {
		t.Fatal(err)
	}
	source, err := c.pools(env, a, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	pools := source.At(friday).Pools
	if len(pools) != 3 || pools[0].Min != 4 || pools[0].Schedule != "workdays" || pools[1].Budget != 120 || pools[2].Candidates[1].Name != "overflow/large" {
		t.Errorf("%+v", pools)
	}
	for pool, lines := range map[string][]string{
		"amd64": {"DRONE_PLATFORM_ARCH=amd64"},
		"arm64": {"DRONE_PLATFORM_ARCH=arm64", "DRONE_PLATFORM_VARIANT=v8", "DRONE_RUNNER_LABELS=size:large"},
		"gone":  {"DRONE_PLATFORM_ARCH=amd64"},
	} {
		text, err := a.userData(state.Server{Name: "agent-x", Pool: pool, Capacity: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("pool %s: no %s", pool, line)
			}
		}
	}
}

// Three pools, one of them reserved hardware that overflows to another module,
// against one queue: the right machines in the right places, and what none may
// run is told with what it asks for.
func TestThreePools(t *testing.T) {
	t.Parallel()
	needTerraform(t)
	dir := t.TempDir()
	overflow(t, dir)
	path := filepath.Join(dir, "pools.hcl")
	put(t, path, `
pool "amd64" {
  max = 2
  candidate {
    facility = "ewr1"
  }
}
pool "arm64" {
  labels = { size = "large" }
  platform {
    arch    = "arm64"
    variant = "v8"
  }
  candidate {
    facility = "sjc1"
    plan     = "c2.large.arm"
  }
}
pool "reserved" {
  concurrency = 1
  labels      = { hardware = "own" }
  candidate {
    metro                   = "ny"
    hardware_reservation_id = "next-available"
  }
  candidate {
    module = "./overflow"
    size   = "large"
  }
}
`)
	w := newWorld(t, simulator.Config{BootTime: 200 * time.Millisecond, BuildTime: time.Hour}, quick)
	arm := state.Stage{Arch: "arm64", Variant: "v8", Labels: map[string]string{"size": "large"}}
	own := state.Stage{Labels: map[string]string{"hardware": "own"}}
	w.Enqueue(2)
	w.Enqueue(1, arm)
	w.Enqueue(1, own)
	w.Enqueue(2, state.Stage{Arch: "s390x", Labels: map[string]string{"size": "huge"}})
	s := w.serve(t, "DRONE_POOLS_FILE="+path, "DRONE_AGENT_SSH=false", "DRONE_POOL_MIN=0", "DRONE_TERRAFORM_SETTLE=2s")
	until(t, "one of each runs", 90*time.Second, func() bool {
		return slices.Equal(s.running(), []string{"amd64 packet", "arm64 packet", "reserved packet"})
	})
	places := map[string]string{}
	for _, d := range w.Devices() {
		for _, one := range s.all() {
			if one.Name == d.Hostname {
				places[one.Pool] = fmt.Sprintf("%s %s, reserved: %t", d.Metro, d.Plan, d.Reservation != "")
			}
		}
	}
	if want := map[string]string{"amd64": "ewr c3.small.x86, reserved: false", "arm64": "sjc c2.large.arm, reserved: false", "reserved": "ny c3.small.x86, reserved: true"}; !maps.Equal(places, want) {
		t.Errorf("places %v, want %v", places, want)
	}
	until(t, "the builds run", 60*time.Second, func() bool { return w.Stats().Running == 4 })
	var decisions []state.Decision
	if err := json.Unmarshal([]byte(s.get("/api/decisions?limit=1")), &decisions); err != nil {
		t.Fatal(err)
	}
	if u := decisions[0].Unmatched; len(u) != 1 || len(u[0].Stages) != 2 || u[0].Asks != "pipeline/docker linux/s390x size=huge" {
		t.Errorf("unmatched %+v", u)
	}

	// No more reserved hardware: the other module serves.
	w.SetFaults(simulator.Faults{NoCapacity: []string{"ny"}})
	w.Enqueue(1, own)
	until(t, "the overflow serves", 60*time.Second, func() bool { return slices.Contains(s.running(), "reserved overflow") })

	// A bad file changes nothing; a good one without a pool has it drain.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, string(text)+"\npool \"amd64\" {\n  max = \"many\"\n}\n")
	until(t, "the mistakes are told", 30*time.Second, func() bool { return strings.Contains(s.log.String(), "the pools file is not in order") })
	if log := s.log.String(); !strings.Contains(log, "pools.hcl:32,1: ") || !strings.Contains(log, "pools.hcl:33,10: ") {
		t.Error("no line and column of the mistakes")
	}
	if n := len(s.running()); n != 4 {
		t.Errorf("%d run", n)
	}
	_, rest, _ := strings.Cut(string(text), `pool "arm64"`)
	put(t, path, `pool "arm64"`+rest)
	until(t, "amd64 drains", 30*time.Second, func() bool { return len(s.servers()["shutdown"]) == 1 })
	if n := w.Stats().Running; n != 4 {
		t.Errorf("%d builds run: none may be killed", n)
	}
}

// A changed image takes the place of the old one, a server at a time, when it
// holds no build.
func TestRollout(t *testing.T) {
	t.Parallel()
	needTerraform(t)
	path := filepath.Join(t.TempDir(), "pools.hcl")
	pool := func(image string) string {
		return fmt.Sprintf("pool \"a\" {\n min = 2\n max = 3\n settings = { image = %q }\n}\n", image)
	}
	put(t, path, pool("ubuntu_22_04"))
	w := newWorld(t, simulator.Config{BootTime: 200 * time.Millisecond, BuildTime: 6 * time.Second}, quick)
	s := w.serve(t, "DRONE_POOLS_FILE="+path, "DRONE_AGENT_CONCURRENCY=1", "DRONE_TERRAFORM_SETTLE=2s", "DRONE_POOL_IDLE=1h")
	until(t, "two run", 90*time.Second, func() bool { return len(s.running()) == 2 })
	w.Enqueue(1)
	until(t, "one works", 30*time.Second, func() bool { return w.Stats().Running == 1 })

	hup := make(chan os.Signal, 1) // should hangar not listen yet, the test survives
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	put(t, path, pool("debian_12"))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	images := func() (list []string) {
		for _, d := range w.Devices() {
			if d.State == "active" {
				list = append(list, d.OS)
			}
		}
		slices.Sort(list)
		return list
	}
	until(t, "both are made anew", 120*time.Second, func() bool { return slices.Equal(images(), []string{"debian_12", "debian_12"}) })
	if stats := w.Stats(); stats.Failed != 0 || stats.MaxAlive > 3 {
		t.Errorf("stats %+v", stats)
	}
	if !strings.Contains(s.log.String(), "outdated: the image") {
		t.Error("nothing tells why")
	}
}

// hangar plan shows what each pool wants.
func TestPlanOfPools(t *testing.T) {
	needTerraform(t)
	dir := t.TempDir()
	overflow(t, dir)
	path := filepath.Join(dir, "pools.hcl")
	put(t, path, "max = 2\npool \"a\" {\n min = 0\n}\npool \"b\" {\n min = 2\n max = 3\n module = \"./overflow\"\n settings = { size = \"s\" }\n}\n")
	w := newWorld(t, simulator.Config{}, quick)
	child := exec.Command(os.Args[0])
	child.Args = []string{"hangar", "plan"}
	for name, value := range w.environ("HANGAR_TEST_MAIN=1", "DRONE_POOLS_FILE="+path) {
		child.Env = append(child.Env, name+"="+value)
	}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"Pool a: nothing to change", "Pool b: create 2 servers at overflow, because the minimum is 2",
		"module.devices.terraform_data.server", "Guard: passed: 2 to create",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A field that is empty does not count in what a server is made of; one that is
// not does.
func TestDigest(t *testing.T) {
	digest := func(change func(a *agents)) string {
		a := &agents{}
		a.agent.Image = "runner:1"
		change(a)
		return a.digest(state.Pool{Name: "a", Platform: state.Platform{OS: "linux"}})
	}
	was := digest(func(a *agents) { a.agent.Labels, a.agent.Volumes = map[string]string{}, []string{} })
	if is := digest(func(a *agents) {}); is != was {
		t.Error("nothing changed, and another digest")
	}
	for name, change := range map[string]func(a *agents){
		"image":    func(a *agents) { a.agent.Image = "runner:2" },
		"secret":   func(a *agents) { a.agent.Secret = "another" },
		"gc":       func(a *agents) { a.agent.GC.Enabled = true },
		"environ":  func(a *agents) { a.agent.Environ = []string{"A=b"} },
		"template": func(a *agents) { a.template = "#cloud-config" },
	} {
		if digest(change) == was {
			t.Errorf("another %s, and the same digest", name)
		}
	}
}
