package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state/sqlite"
)

// A data folder of an earlier release, killed in mid-apply with two servers that
// run and one that was being created, is taken over as it is: every machine is
// kept, and can be destroyed in the end. Each was written by the last program
// with that schema (4 to 7 came at once with 8; the store's own test has them);
// devices.json is what the API showed when it had been killed.
func TestUpgrade(t *testing.T) {
	folders, err := filepath.Glob("testdata/upgrade/schema-*.tar.gz")
	if err != nil || len(folders) < 4 {
		t.Fatalf("%d old data folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(strings.TrimSuffix(filepath.Base(folder), ".tar.gz"), func(t *testing.T) {
			t.Parallel()
			upgrade(t, folder)
		})
	}
}

func upgrade(t *testing.T, folder string) {
	w := newWorld(t, simulator.Config{
		ServerToken: "upgrade-admin-token", RPCSecret: "upgrade-rpc-secret", APIKey: "upgrade-api-key", ProjectID: "93125c2a-8b78-4d4f-a3c4-7367d6b7cca8",
	}, quick)
	for name, content := range unpack(t, folder) {
		file := filepath.Join(w.data, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var devices []simulator.Device
	content, err := os.ReadFile(filepath.Join(w.data, "devices.json"))
	if err != nil || json.Unmarshal(content, &devices) != nil || len(devices) != 3 {
		t.Fatalf("devices.json: %v\n%s", err, content)
	}
	w.Place(devices...)

	// The agents of before knew another Drone server, and are outdated: a pause keeps
	// them meanwhile.
	pause := func(yes bool) {
		store, err := sqlite.Open(t.Context(), filepath.Join(w.data, "database.sqlite"))
		if err == nil {
			err = errors.Join(store.SetPaused(t.Context(), yes, "root", time.Now()), store.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	settings := []string{"DRONE_AGENT_SSH=false", "DRONE_TERRAFORM_SETTLE=2s", "DRONE_SWEEP_INTERVAL=1s", "DRONE_SWEEP_CONFIRM=300ms"}
	s := w.serve(t, append(settings, "DRONE_POOL_MIN=3")...)
	until(t, "all three run", 90*time.Second, func() bool { return len(s.servers()["running"]) == 3 })
	s.ended()
	var servers []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(s.get("/api/servers")), &servers); err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if !slices.Contains(servers, struct{ ID, Name string }{d.ID, d.Hostname}) {
			t.Errorf("machine %s is not that of server %s: %v", d.ID, d.Hostname, servers)
		}
	}
	if out, err := w.command(t, settings, "audit"); err != nil {
		t.Errorf("audit: %v\n%s", err, out)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	pause(false)
	w.serve(t, append(settings, "DRONE_POOL_MIN=0")...)
	until(t, "all of them go", 90*time.Second, func() bool { return w.Stats().Alive == 0 })
	if n := len(w.requests()); n != 0 {
		t.Errorf("%d machines were ordered", n)
	}
}
