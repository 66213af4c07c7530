package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/reconciler/simulator/schematest"
	"hangar/state"
)

// cloudy is a world in whose mirror there are the other providers, too, made from
// their schemas.
func cloudy(t *testing.T) (*world, *schematest.Cloud) {
	t.Helper()
	w := newWorld(t, simulator.Config{BootTime: 200 * time.Millisecond, BuildTime: time.Hour}, quick)
	cloud := schematest.New(t)
	if err := cloud.Mirror(w.mirror); err != nil {
		t.Fatal(err)
	}
	return w, cloud
}

var exported = regexp.MustCompile(`(\S+)=(\S+)`)

// Whoever does what the guide says has a provider of their own: checked, planned,
// served, found again and removed.
func TestGuideOfTheReadme(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	examples(t, dir, "cloud")
	w, cloud := cloudy(t)
	settings := []string{
		"DRONE_PACKET_APIKEY=", "DRONE_PACKET_PROJECT_ID=", "HCLOUD_TOKEN=correct-horse", "DRONE_AGENT_SSH=false", "DRONE_POOL_MIN=1", "DRONE_POOL_MAX=2", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_SWEEP_INTERVAL=1s", "DRONE_SWEEP_CONFIRM=500ms",
	}
	guide, err := os.ReadFile(filepath.Join(dir, "cloud.env"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.SplitSeq(string(guide), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if names, ok := strings.CutPrefix(line, "export "); ok {
			for _, m := range exported.FindAllStringSubmatch(names, -1) {
				settings = append(settings, m[1]+"="+strings.Replace(m[2], "./", dir+"/", 1))
			}
		}
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "hangar "); ok {
			commands = append(commands, command)
		}
	}
	if !slices.Equal(commands, []string{"check", "plan", "serve"}) {
		t.Fatalf("the guide has the commands %v", commands)
	}
	for command, want := range map[string]string{
		"check": "hcloud ~> 1.54", "plan": "create 1 server at cloud",
	} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{command}, w.environ(settings...), &out, io.Discard); err != nil {
			t.Errorf("%s: %v\n%s", command, err, &out)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "correct-horse") {
			t.Errorf("%s does not say %q:\n%s", command, want, &out)
		}
	}

	s := w.serve(t, settings...)
	until(t, "a server runs", 60*time.Second, func() bool { return slices.Equal(s.running(), []string{"default cloud"}) })
	made := cloud.All("hcloud_server")
	if len(made) != 1 || made[0]["server_type"] != "cx43" || made[0]["name"] != s.all()[0].Name {
		t.Fatalf("the provider holds %v", made)
	}
	audit := func() string {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"audit"}, w.environ(settings...), &out, io.Discard); err != nil {
			t.Errorf("audit: %v", err)
		}
		return out.String()
	}
	if told := audit(); !strings.Contains(told, "1 machine") && !strings.Contains(told, "othing") {
		t.Errorf("the audit tells\n%s", told)
	}
	if status, body := s.ask("DELETE", "/api/servers/"+s.all()[0].Name, w.Config().ServerToken); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	until(t, "another one has taken its place", 60*time.Second, func() bool {
		now := cloud.All("hcloud_server")
		return len(now) == 1 && now[0]["id"] != made[0]["id"] && len(s.servers()["running"]) == 1
	})
}

// One hangar makes servers at three providers: reserved hardware first, another
// provider when there is none left, and arm64 at a third one.
func TestThreeProviders(t *testing.T) {
	t.Parallel()
	w, cloud := cloudy(t)
	path := filepath.Join(t.TempDir(), "pools.hcl")
	put(t, path, `
pool "amd64" {
  concurrency = 1
  module      = "packet"
  candidate {
    metro                   = "ny"
    hardware_reservation_id = "next-available"
  }
  candidate {
    module      = "hetznercloud"
    server_type = "cx43"
  }
}
pool "arm64" {
  module   = "scaleway"
  settings = { type = "COPARM1-4C-16G", zone = "fr-par-2" }
  platform {
    arch = "arm64"
  }
}
`)
	w.Enqueue(1)
	w.Enqueue(1, state.Stage{Arch: "arm64"})
	s := w.serve(t, "DRONE_POOLS_FILE="+path, "DRONE_HETZNERCLOUD_TOKEN=hc-token", "DRONE_SCALEWAY_ACCESS_KEY=SCW", "DRONE_SCALEWAY_SECRET_KEY=sc-secret", "DRONE_AGENT_SSH=false", "DRONE_TERRAFORM_SETTLE=2s")
	until(t, "one of each runs", 90*time.Second, func() bool { return slices.Equal(s.running(), []string{"amd64 packet", "arm64 scaleway"}) })
	if d := w.Devices(); len(d) != 1 || d[0].Reservation == "" {
		t.Errorf("at the first provider there are %+v", d)
	}
	if made := cloud.All("scaleway_instance_server"); len(made) != 1 || made[0]["type"] != "COPARM1-4C-16G" {
		t.Errorf("at the third provider there are %v", made)
	}

	w.SetFaults(simulator.Faults{NoCapacity: []string{"ny"}})
	w.Enqueue(1)
	until(t, "the second provider serves", 60*time.Second, func() bool { return slices.Contains(s.running(), "amd64 hetznercloud") })

	// And none left there, either: it is told why, and what to do.
	cloud.Fail("hcloud_server", "error during placement (resource_unavailable, 1d1d17e504e28a4c)", false)
	w.Enqueue(1)
	until(t, "it is told why", 60*time.Second, func() bool {
		return strings.Contains(s.get("/api/runs?limit=5"), "the next place or plan is tried; name more of them")
	})
	seen := s.log.String() + s.get("/api/runs") + s.get("/api/stacks") + s.get("/api/servers")
	for _, secret := range []string{"hc-token", "sc-secret"} {
		if strings.Contains(seen, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if by := s.servers(); !maps.Equal(map[string]int{"running": 3}, map[string]int{"running": len(by["running"])}) {
		t.Errorf("servers %v", by)
	}
}

// A machine that Terraform forgot at a provider which can list nothing is found by
// its name, and taken over: no second one is made.
func TestLostMachineIsFoundByName(t *testing.T) {
	t.Parallel()
	w, cloud := cloudy(t)
	const kind = "vultr_bare_metal_server"
	cloud.Fail(kind, "error while waiting for bare metal server to be in active state: timeout", true)
	settings := []string{
		"DRONE_PACKET_APIKEY=", "DRONE_PACKET_PROJECT_ID=", "VULTR_API_KEY=correct-horse", "DRONE_AGENT_SSH=false", "DRONE_POOL_MIN=1", "DRONE_POOL_MAX=2", "DRONE_TERRAFORM_SETTLE=2s", "DRONE_SWEEP_INTERVAL=1s", "DRONE_SWEEP_CONFIRM=500ms",
	}
	s := w.serve(t, settings...)
	until(t, "it is taken over", 90*time.Second, func() bool { return slices.Equal(s.running(), []string{"default vultr"}) })
	made := cloud.All(kind)
	if len(made) != 1 || made[0]["label"] != s.all()[0].Name {
		t.Errorf("the provider holds %d machines, hangar %+v", len(made), s.all())
	}
	cloud.Fail(kind, "", false)
	if strings.Contains(s.log.String(), "a module has no census") {
		t.Error("it is said that nobody can look")
	}
	if status, body := s.ask("DELETE", "/api/servers/"+s.all()[0].Name, w.Config().ServerToken); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	until(t, "another one has taken its place", 60*time.Second, func() bool {
		now := cloud.All(kind)
		return len(now) == 1 && now[0]["id"] != made[0]["id"] && len(s.servers()["running"]) == 1
	})
	until(t, "its destruction is verified", 60*time.Second, func() bool { return strings.Contains(s.log.String(), "the provider no longer shows it") })
}
