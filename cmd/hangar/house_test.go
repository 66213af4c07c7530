package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/reconciler/simulator/schematest"
	"hangar/reconciler/terraform/terraformtest"
)

// The test binary is also the simulated provider, when terraform starts it
// from a mirror, and hangar itself, when a test starts it as a process that
// can be killed.
func TestMain(m *testing.M) {
	if schematest.Is() {
		if err := schematest.Serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if simulator.IsProvider(os.Args[0]) || os.Getenv("HANGAR_TEST_MAIN") != "" {
		main()
		return
	}
	if script := os.Getenv("HANGAR_TEST_SUPERVISE"); script != "" {
		os.Exit(supervise("/bin/sh", []string{"sh", "-c", script}))
	}
	syscall.Umask(0o077) // as main sets it
	terraformtest.OnPath()
	os.Exit(m.Run())
}

// needTerraform skips a test where terraform is not to be had, unless it is
// required.
func needTerraform(t testing.TB) {
	t.Helper()
	need(t, "terraform")
}

// need skips the rest of a test where a program is not to be had, unless it is
// required.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), program) {
		t.Fatal(program + " is not on PATH")
	}
	t.Skip(program + " is not on PATH")
}

// world is a simulated world on loopback with a mirror of the simulated
// provider, and a data folder for a hangar that runs in it.
type world struct {
	*simulator.World
	drone, metal string // base URLs
	ssh          string // port of the machines' SSH servers
	mirror, data string

	mu    sync.Mutex
	posts []time.Time // create requests seen by the API
}

func newWorld(t testing.TB, c simulator.Config, m simulator.Waits) *world {
	t.Helper()
	needTerraform(t)
	w := &world{World: simulator.New(c), mirror: filepath.Join(t.TempDir(), "mirror"), data: t.TempDir()}
	if err := simulator.Mirror(w.mirror, m); err != nil {
		t.Fatal(err)
	}
	api := w.Metal()
	metal := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.mu.Lock()
			w.posts = append(w.posts, time.Now())
			w.mu.Unlock()
		}
		api.ServeHTTP(rw, r)
	}))
	drone := httptest.NewServer(w.Drone())
	ctx, cancel := context.WithCancel(context.Background())
	go w.Run(ctx)
	wait, err := w.ServeSSH(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.ssh = strconv.Itoa(w.SSHPort())
	t.Cleanup(func() {
		metal.Close()
		drone.Close()
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
	w.metal, w.drone = metal.URL, drone.URL
	return w
}

func (w *world) requests() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.posts)
}

// environ is the Packet guide's environment for this world, with more.
func (w *world) environ(more ...string) map[string]string {
	c := w.Config()
	env := environ(os.Environ())
	maps.Copy(env, map[string]string{
		"DRONE_SERVER_PROTO": "http", "DRONE_SERVER_HOST": strings.TrimPrefix(w.drone, "http://"), "DRONE_SERVER_TOKEN": c.ServerToken,
		"DRONE_AGENT_TOKEN": c.RPCSecret, "DRONE_PACKET_APIKEY": c.APIKey, "DRONE_PACKET_PROJECT_ID": c.ProjectID,
		"DRONE_PACKET_FACILITY": "ewr1", "DRONE_PACKET_PLAN": "c3.small.x86", "DRONE_PACKET_ENDPOINT": w.metal,
		"DRONE_POOL_MIN": "0", "DRONE_POOL_MAX": "4", "DRONE_POOL_MIN_AGE": "0s", "DRONE_POOL_IDLE": "2s", "DRONE_INTERVAL": "200ms",
		// Under -race every provider would linger for a second.
		"GORACE": "atexit_sleep_ms=0", "DRONE_TERRAFORM_ENV": "GORACE",
		"DRONE_TERRAFORM_MIRROR": w.mirror, "DRONE_DATA": w.data, "DRONE_HTTP_PORT": "127.0.0.1:0",
		"DRONE_LOGS_PRETTY": "true", "DRONE_SSH_PORT": w.ssh, "DRONE_INSTALL_CHECK_INTERVAL": "200ms",
	})
	for _, m := range more {
		name, value, _ := strings.Cut(m, "=")
		env[name] = value
	}
	return env
}

// served is a hangar that serves.
type served struct {
	t    testing.TB
	w    *world
	url  string
	log  *logged
	stop func() error // orderly; returns its error
}

// serve runs hangar serve in this process until stop, or the test's end.
func (w *world) serve(t testing.TB, more ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{t: t, w: w, log: &logged{}}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serve"}, w.environ(more...), io.Discard, s.log) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("hangar's log:\n%s", s.log)
		}
	})
	s.url = s.log.address(t)
	return s
}

// get reads a route as the admin.
func (s *served) get(path string) string {
	s.t.Helper()
	status, body := s.ask(http.MethodGet, path, s.w.Config().ServerToken)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

func (s *served) ask(method, path, token string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// servers lists the servers' names by state.
func (s *served) servers() map[string][]string {
	s.t.Helper()
	var all []struct{ Name, State string }
	if err := json.Unmarshal([]byte(s.get("/api/servers")), &all); err != nil {
		s.t.Fatal(err)
	}
	by := map[string][]string{}
	for _, one := range all {
		by[one.State] = append(by[one.State], one.Name)
	}
	return by
}

// ended waits until every run has ended.
func (s *served) ended() {
	s.t.Helper()
	until(s.t, "every run has ended", 60*time.Second, func() bool {
		for _, phase := range []string{"planning", "planned", "applying"} {
			if s.get("/api/runs?phase="+phase) != "[]" {
				return false
			}
		}
		return true
	})
}

// until waits for something that hangar or the world brings about.
func until(t testing.TB, what string, within time.Duration, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come about within %s", what, within)
		}
	}
}

// logged keeps a log that is written while it is read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var serving = regexp.MustCompile(`msg=serving address=(\S+) proto=(\S+)`)

// address waits for the line that tells where hangar listens.
func (l *logged) address(t testing.TB) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if m := serving.FindStringSubmatch(l.String()); m != nil {
			return fmt.Sprintf("%s://%s", m[2], m[1])
		}
	}
	t.Fatalf("hangar does not serve:\n%s", l)
	return ""
}
