package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/drone"
	"hangar/reconciler/simulator"
)

// diagnose runs hangar check and returns its exit code and what it printed.
func diagnose(t *testing.T, environ map[string]string, args ...string) (code int, out string) {
	t.Helper()
	var stdout bytes.Buffer
	err := run(t.Context(), append([]string{"check"}, args...), environ, &stdout, &stdout)
	if _, silent := errors.AsType[exitStatus](err); err != nil && !silent {
		t.Fatal(err)
	}
	return exitCode(err), stdout.String()
}

// results is what was found, by what was looked at.
func results(t *testing.T, environ map[string]string) (code int, found map[string]checked) {
	t.Helper()
	code, out := diagnose(t, environ, "--json")
	var d struct {
		OK     bool
		Checks []checked
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.OK != (code == 0) {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	found = map[string]checked{}
	for _, c := range d.Checks {
		if _, twice := found[c.Name]; twice && c.Name != "settings" {
			t.Errorf("%s is told twice:\n%s", c.Name, out)
		}
		if c.Result == checkFail && c.Fix == "" && !strings.Contains(c.Detail, "DRONE_") {
			t.Errorf("%s fails, and nobody is told what to do: %+v", c.Name, c)
		}
		found[c.Name] = c
	}
	return code, found
}

// All is in order, without a running server and beside one, and nothing is left
// behind.
func TestCheckInOrder(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond}, quick)
	env := w.environ("DRONE_DATA=" + filepath.Join(w.data, "new", "folder"))
	code, out := diagnose(t, env)
	for _, want := range []string{
		"ok    settings        in order; pools: default 0 to 4", "ok    drone           http://", "the admin root", "0 stages in it",
		"ok    agent secret", "ok    clock", "ok    terraform       terraform 1.", "registry.terraform.io/equinix/equinix ~> 4.16, from the mirror", "terraform init works",
		"ok    api key", "ok    project", "ok    facility ewr1", "ok    plan c3.small.x86", "is made at the first start", "there are none yet", "127.0.0.1:0 is free",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("exit code %d, and no %q in:\n%s", code, want, out)
		}
	}
	for _, bad := range []string{"FAIL", "warn", "skip", w.Config().APIKey, w.Config().ServerToken, w.Config().RPCSecret} {
		if strings.Contains(out, bad) {
			t.Errorf("%q in:\n%s", bad, out)
		}
	}
	if entries, err := os.ReadDir(w.data); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}

	s := w.serve(t)
	code, found := results(t, w.environ())
	if code != 0 || found["port"].Detail != "hangar serve answers at "+s.url || !strings.Contains(found["records"].Detail, "holds 0 servers") {
		t.Errorf("beside a server: %d %+v", code, found)
	}
	if w.Stats().Created != 0 {
		t.Error("a look made a device")
	}
}

// Each thing that is wrong is told under its name, with what to do about it, and
// does not hide the others.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t, simulator.Config{}, quick)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		set  []string
		want map[string]string // what fails, and words of it
		skip []string
	}{
		{"mistakes in the settings", []string{"DRONE_POOL_MAX=none"}, map[string]string{"settings": "DRONE_POOL_MAX=none"}, []string{"all the rest"}},
		{"a pools file that is none", []string{"DRONE_POOLS_FILE=" + file}, map[string]string{"settings": "there is no pool"}, []string{"all the rest"}},
		{"wrong secrets", []string{"DRONE_SERVER_TOKEN=" + w.Config().UserToken, "DRONE_AGENT_TOKEN=wrong", "DRONE_PACKET_APIKEY=wrong-key"},
			map[string]string{"drone token": "not that of a Drone admin", "agent secret": "DRONE_RPC_SECRET", "api key": "does not accept"}, []string{"drone queue", "project"}},
		{"unknown names", []string{"DRONE_PACKET_PROJECT_ID=elsewhere", "DRONE_PACKET_FACILITY=ewr1,xyz9", "DRONE_PACKET_PLAN=c3.smal.x86"},
			map[string]string{"project": "elsewhere is not there", "facility xyz9": "does not know", "plan c3.smal.x86": "does not know"}, nil},
		{"an unknown metro", []string{"DRONE_PACKET_FACILITY=", "DRONE_PACKET_METRO=zz"}, map[string]string{"metro zz": "does not know"}, nil},
		{"nothing answers", []string{"DRONE_SERVER_HOST=" + strings.TrimPrefix(gone.URL, "http://"), "DRONE_PACKET_ENDPOINT=" + gone.URL, "DRONE_HTTP_PORT=" + taken.Addr().String()},
			map[string]string{"drone": "refused", "api key": "does not answer", "port": "cannot be had"}, []string{"drone token", "drone queue", "agent secret", "clock", "project"}},
		{"an empty mirror", []string{"DRONE_TERRAFORM_MIRROR=" + t.TempDir()}, map[string]string{"provider": "not to be had from the mirror"}, nil},
		{"no terraform", []string{"DRONE_TERRAFORM_BINARY=" + file}, map[string]string{"terraform": "file"}, []string{"provider"}},
		{"a data folder that is none", []string{"DRONE_DATA=" + file}, map[string]string{"data folder": "not a directory"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, found := results(t, w.environ(tt.set...))
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			for name, c := range found {
				words, wrong := tt.want[name]
				if (c.Result == checkFail) != wrong || !strings.Contains(c.Detail, words) {
					t.Errorf("%s: %+v", name, c)
				}
			}
			for name := range tt.want {
				if found[name].Result == "" {
					t.Errorf("nothing is told of %s: %+v", name, found)
				}
			}
			for _, name := range tt.skip {
				if found[name].Result != checkSkip {
					t.Errorf("%s is not skipped: %+v", name, found[name])
				}
			}
		})
	}
	if _, found := results(t, w.environ("DRONE_PACKET_ENDPOINT=", "DRONE_TERRAFORM_MIRROR="+t.TempDir())); found["provider"].Result != checkFail {
		t.Errorf("%+v", found)
	}
}

// Where the module packet speaks to its own endpoint, the end of the service is
// told. No API is asked here.
func TestCheckTellsThatMetalHasEnded(t *testing.T) {
	var out bytes.Buffer
	d := &doctor{program: &program{ctx: t.Context()}, out: &out}
	d.ended()
	if len(d.Checks) != 1 || d.Checks[0].Result != checkWarn || !strings.Contains(out.String(), "closed Metal on 30 June 2026") {
		t.Errorf("%s", out.String())
	}
	d.cfg.PacketEndpoint, d.Checks = "http://127.0.0.1:9", nil
	if d.ended(); len(d.Checks) != 0 {
		t.Errorf("with another endpoint: %+v", d.Checks)
	}
}

func TestCheckOfTheClock(t *testing.T) {
	for _, tt := range []struct {
		ahead time.Duration // of Drone
		want  string
		words string
	}{
		{0, checkOK, "as Drone's"},
		{time.Minute, checkWarn, "behind Drone's"},
		{-time.Minute, checkWarn, "ahead of Drone's"},
		{time.Hour, checkFail, "behind Drone's"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(tt.ahead).UTC().Format(http.TimeFormat))
		}))
		defer server.Close()
		client := drone.New(server.URL, "token")
		seen := &clockSeen{next: client.HTTP.Transport}
		client.HTTP.Transport = seen
		if err := client.Ping(t.Context(), "secret"); err != nil {
			t.Fatal(err)
		}
		d := &doctor{out: &bytes.Buffer{}}
		d.clock(seen)
		if c := d.Checks[0]; c.Result != tt.want || !strings.Contains(c.Detail, tt.words) {
			t.Errorf("%s ahead: %+v", tt.ahead, c)
		}
	}
}
