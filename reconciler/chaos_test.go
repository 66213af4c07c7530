package reconciler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/reconciler/terraform/terraformtest"
	"hangar/state"
	"hangar/state/sqlite"
)

// The test binary is also the simulated provider, when terraform starts it from
// a mirror.
func TestMain(m *testing.M) {
	if simulator.IsProvider(os.Args[0]) {
		if err := simulator.ServeProvider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	terraformtest.OnPath()
	os.Exit(m.Run())
}

// chaosKills is how often hangar is killed: a few times in every run of the
// tests, more by HANGAR_CHAOS_KILLS.
func chaosKills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("HANGAR_CHAOS_KILLS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("HANGAR_CHAOS_KILLS=%s: want a whole number from 1", text)
	}
	return n
}

func chaosSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("HANGAR_CHAOS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("HANGAR_CHAOS_SEED=%s: %v", text, err)
	}
	return seed
}

// chaos is a world that outlives the hangar in it, which is a real process
// that is killed and started again.
type chaos struct {
	t       *testing.T
	world   *simulator.World
	rand    *rand.Rand
	program string
	data    string
	env     []string
	api     chan string // what the API is asked, as it is asked

	mu  sync.Mutex
	log bytes.Buffer
}

const chaosMax = 6

// newChaos builds the program and a world in which machines boot quickly.
func newChaos(t *testing.T) *chaos {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), "terraform") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	seed := chaosSeed(t)
	t.Logf("HANGAR_CHAOS_SEED=%d", seed)
	dir := t.TempDir()
	c := &chaos{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), program: filepath.Join(dir, "hangar"), data: filepath.Join(dir, "data"),
		api: make(chan string, 1000),
		world: simulator.New(simulator.Config{
			Seed: seed, BootTime: 1200 * time.Millisecond, SetupTime: 200 * time.Millisecond, BuildTime: time.Second,
		}),
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", c.program, "hangar/cmd/hangar").CombinedOutput(); err != nil {
		t.Fatalf("build hangar: %v\n%s", err, out)
	}
	mirror := filepath.Join(dir, "mirror")
	if err := simulator.Mirror(mirror, simulator.Waits{
		FirstPoll: 400 * time.Millisecond, NextPoll: 300 * time.Millisecond, MaxPoll: 300 * time.Millisecond,
		FirstRetry: 50 * time.Millisecond, MaxRetry: 200 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	metal := c.world.Metal()
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		what := r.Method
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/devices") {
			what = "LIST"
		}
		select {
		case c.api <- what:
		default:
		}
		metal.ServeHTTP(rw, r)
	}))
	drone := httptest.NewServer(c.world.Drone())
	ctx, cancel := context.WithCancel(context.Background())
	go c.world.Run(ctx)
	wait, err := c.world.ServeSSH(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		api.Close()
		drone.Close()
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			c.mu.Lock()
			defer c.mu.Unlock()
			path := filepath.Join(os.TempDir(), "hangar-chaos.log")
			t.Logf("hangar's log is in %s: %v", path, os.WriteFile(path, c.log.Bytes(), 0o600))
		}
	})
	cfg := c.world.Config()
	c.env = append(os.Environ(),
		"DRONE_SERVER_PROTO=http", "DRONE_SERVER_HOST="+strings.TrimPrefix(drone.URL, "http://"), "DRONE_SERVER_TOKEN="+cfg.ServerToken,
		"DRONE_AGENT_TOKEN="+cfg.RPCSecret, "DRONE_PACKET_APIKEY="+cfg.APIKey, "DRONE_PACKET_PROJECT_ID="+cfg.ProjectID,
		"DRONE_PACKET_FACILITY=ewr1,sjc1", "DRONE_PACKET_PLAN=c3.small.x86", "DRONE_PACKET_ENDPOINT="+api.URL,
		"DRONE_POOL_MIN=1", fmt.Sprintf("DRONE_POOL_MAX=%d", chaosMax), "DRONE_POOL_MIN_AGE=0s", "DRONE_POOL_IDLE=300ms", "DRONE_INTERVAL=200ms",
		"DRONE_POOL_CREATE_BUDGET=100000", "DRONE_TERRAFORM_STACK_SIZE=3",
		"DRONE_TERRAFORM_SETTLE=4s", "DRONE_TERRAFORM_RETRY=300ms", "DRONE_SWEEP_INTERVAL=5s", "DRONE_SWEEP_CONFIRM=500ms",
		"DRONE_INSTALL_CHECK_INTERVAL=200ms", "DRONE_PINGER_ENABLED=true", "DRONE_PINGER_INTERVAL=2s", "DRONE_SSH_PORT="+strconv.Itoa(c.world.SSHPort()), "DRONE_SSH_TIMEOUT=2s", "DRONE_AGENT_GRACE=3s",
		"DRONE_TERRAFORM_MIRROR="+mirror, "DRONE_DATA="+c.data, "DRONE_HTTP_PORT=127.0.0.1:0", "GORACE=atexit_sleep_ms=0", "DRONE_TERRAFORM_ENV=GORACE",
	)
	return c
}

// Write keeps hangar's log.
func (c *chaos) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

// start starts hangar.
func (c *chaos) start() *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(c.program, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c, c
	// A provider that outlives its terraform holds the pipe: it is not waited for.
	cmd.WaitDelay = 100 * time.Millisecond
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// moment waits for the instant of the next kill: by the clock, or in the
// middle of something that the API is asked.
func (c *chaos) moment() string {
	for len(c.api) > 0 {
		<-c.api
	}
	pause := time.Duration(c.rand.Int64N(int64(2500 * time.Millisecond)))
	what := []string{"", "POST", "POST", "GET", "LIST", "DELETE"}[c.rand.IntN(6)]
	if what == "" {
		time.Sleep(pause)
		return "by the clock"
	}
	limit := time.After(5 * time.Second)
	for {
		select {
		case asked := <-c.api:
			if asked == what {
				time.Sleep(time.Duration(c.rand.Int64N(int64(400 * time.Millisecond))))
				return "after " + what
			}
		case <-limit:
			return "nothing was asked"
		}
	}
}

// plant puts devices of others beside ours, which nobody may touch.
func (c *chaos) plant() (foreign []string) {
	for i, tags := range [][]string{nil, {"hangar", "hangar-instance=another", "hangar-stack=default-aaaaaaaa", "hangar-server=agent-aaaaaaaa"}} {
		foreign = append(foreign, c.world.Order(simulator.Order{Hostname: fmt.Sprintf("foreign-%d", i), Tags: tags}))
	}
	return foreign
}

// ours are the devices at the API that nobody has deleted, without the foreign
// ones; inState those in the Terraform states; recorded those of the servers.
func (c *chaos) ours(foreign []string) (devices []string, names map[string]int) {
	names = map[string]int{}
	for _, d := range c.world.Devices() {
		if d.State != "deprovisioning" && !slices.Contains(foreign, d.ID) {
			devices = append(devices, d.ID)
			names[d.Hostname]++
		}
	}
	slices.Sort(devices)
	return devices, names
}

func (c *chaos) inState() (ids []string) {
	files, _ := filepath.Glob(filepath.Join(c.data, "stacks", "*", "terraform.tfstate"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || len(content) == 0 {
			continue
		}
		var s struct {
			Resources []struct {
				Instances []struct{ Attributes struct{ ID string } }
			}
		}
		if json.Unmarshal(content, &s) != nil {
			continue // half written
		}
		for _, r := range s.Resources {
			for _, i := range r.Instances {
				ids = append(ids, i.Attributes.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *chaos) recorded() (ids []string, servers []state.Server, err error) {
	store, err := sqlite.OpenReadOnly(context.Background(), filepath.Join(c.data, "database.sqlite"))
	if err != nil {
		return nil, nil, err
	}
	defer store.Close()
	snap, err := store.Snapshot(context.Background(), time.Now())
	for _, s := range snap.Servers {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids, snap.Servers, err
}

// settled waits until every build has ended, and devices, states and records
// are the same, the servers all at work.
func (c *chaos) settled(foreign []string, within time.Duration) {
	c.t.Helper()
	var said string
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		devices, names := c.ours(foreign)
		inState := c.inState()
		recorded, servers, err := c.recorded()
		stats := c.world.Stats()
		running := 0
		for _, s := range servers {
			if s.Phase == state.Running {
				running++
			}
		}
		twice := 0
		for _, n := range names {
			twice = max(twice, n-1)
		}
		done := err == nil && stats.Succeeded+stats.Failed == stats.Builds && slices.Equal(devices, inState) && slices.Equal(devices, recorded) &&
			running == len(servers) && running == 1 && twice == 0
		if done {
			return
		}
		said = fmt.Sprintf("devices %v\nin states %v\nin records %v (%v)\nstats %+v", devices, inState, recorded, err, stats)
		for _, s := range servers {
			said += fmt.Sprintf("\n%s %s %s absent=%q doubt=%v id=%s: %s %s", s.Stack, s.Name, s.Phase, s.Absent, s.Doubt, s.ID, s.Reason, s.Error)
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not settled within %s:\n%s", within, said)
		}
	}
}

// kills runs hangar and kills it again and again, while builds arrive.
func (c *chaos) kills(n int, each func(i int)) {
	c.t.Helper()
	for i := range n {
		each(i)
		if i%3 < 2 { // else machines become idle
			c.world.Enqueue(2 + c.rand.IntN(2*2*chaosMax))
		}
		cmd := c.start()
		when := c.moment()
		if err := cmd.Process.Kill(); err != nil {
			c.t.Fatal(err)
		}
		cmd.Wait()
		fmt.Fprintf(c, "--- kill %d: %s\n", i+1, when)
	}
}

func (c *chaos) untouched(foreign []string) {
	c.t.Helper()
	there := map[string]bool{}
	for _, d := range c.world.Devices() {
		there[d.ID] = d.State == "active"
	}
	for _, id := range foreign {
		if !there[id] {
			c.t.Errorf("the foreign device %s was touched", id)
		}
	}
}

// Hangar is killed at random instants, again and again: no device is lost or
// doubled, no build is killed, the maximum is never exceeded.
func TestChaosOfKills(t *testing.T) {
	c := newChaos(t)
	n := chaosKills(t)
	foreign := c.plant()
	c.kills(n, func(int) {})
	cmd := c.start()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	c.settled(foreign, 2*time.Minute)
	c.untouched(foreign)
	stats := c.world.Stats()
	if stats.Failed > 0 || stats.MaxAlive > chaosMax+len(foreign) {
		t.Errorf("builds were killed, or the maximum was exceeded: %+v", stats)
	}
	t.Logf("%d kills: %d builds, %d created, %d destroyed, at most %d at once", n, stats.Builds, stats.Created, stats.Destroyed, stats.MaxAlive-len(foreign))
}

// The same with an API that fails in every way that the real one is known to.
func TestChaosOfFaults(t *testing.T) {
	c := newChaos(t)
	n := chaosKills(t)
	foreign := c.plant()
	faults := simulator.Faults{
		Seed: c.rand.Uint64(), ServerError: 0.05, RateLimited: 0.05, Slow: 0.05, SlowBy: time.Second,
		LateCommit: 2500 * time.Millisecond, BadGateway: 0.15, DeleteDenied: 0.3, Deprovision: 2 * time.Second, DeviceFails: 0.15,
		NoCapacity: []string{"ewr1"},
	}
	c.kills(n, func(i int) {
		f := faults
		switch i % 5 {
		case 3:
			f.Denied = true // on everything, for a while
		case 4:
			f.CreateError = 1 // until the provider's retries run out, and it crashes
		}
		c.world.SetFaults(f)
	})
	c.world.SetFaults(faults)
	cmd := c.start()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	time.Sleep(10 * time.Second)
	c.world.SetFaults(simulator.Faults{NoCapacity: []string{"ewr1"}})
	c.settled(foreign, 4*time.Minute)
	c.untouched(foreign)
	stats := c.world.Stats()
	if stats.Failed > 0 {
		t.Errorf("builds were killed: %+v", stats)
	}
	t.Logf("%d kills: %d builds, %d created, %d destroyed, at most %d at once", n, stats.Builds, stats.Created, stats.Destroyed, stats.MaxAlive-len(foreign))
}
