package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
)

// recorded makes a data folder with four stacks: one with two states, one
// whose state was lost and has come to the same serial again, one with its
// first state, and one that has none yet. The server that recorded them is still there.
func recorded(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	next := func() time.Time { at = at.Add(time.Minute); return at }
	for _, stack := range []struct {
		name   string
		states []string
	}{
		{"default-k3v7q2mn", []string{"secrets-before", "secrets-after"}},
		{"default-lost7777", []string{"state-three", "state-after-doubled-after-502"}},
		{"default-one55555", []string{"secrets-before"}},
		{"default-new88888", nil},
	} {
		server := state.Server{Name: "agent-" + stack.name[8:], Pool: "default", Stack: stack.name, Phase: state.Pending, Provider: "packet", Capacity: 2}
		if err := store.Commit(t.Context(), state.Changes{At: next(), Servers: []state.Server{server}, Stacks: []state.Stack{
			{Name: stack.name, Pool: "default", Provider: "packet", Candidate: "ewr1/c3.small.x86", Module: "packet-0a1b", Resource: "equinix_metal_device.server"},
		}}); err != nil {
			t.Fatal(err)
		}
		for _, name := range stack.states {
			stateJSON, err := os.ReadFile("../../tfmodules/testdata/" + name + ".tfstate")
			if err != nil {
				t.Fatal(err)
			}
			var known state.StateVersion
			if err := json.Unmarshal(stateJSON, &known); err != nil {
				t.Fatal(err)
			}
			known.Bytes = stateJSON
			run, _, err := store.BeginRun(t.Context(), stack.name, next())
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunDiscarded, At: next(), Version: &known,
				Outputs: map[string]state.Device{"a": {ID: "1"}, "b": {ID: "2"}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return data
}

// What each command prints, errors included, is a golden file; no secret of
// the recorded states is in any.
func TestStateCommands(t *testing.T) {
	data := recorded(t)
	const address = `module.devices.cloud_server.server["agent-aaaaaaaa"]`
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"list", []string{"list"}, 0},
		{"list-json", []string{"list", "--json"}, 0},
		{"list-stack", []string{"list", "default-k3v7q2mn"}, 0},
		{"list-stack-json", []string{"list", "default-k3v7q2mn", "--json"}, 0},
		{"list-serial", []string{"list", "default-k3v7q2mn", "3"}, 0},
		{"list-none", []string{"list", "default-new88888"}, 1},
		{"versions", []string{"versions", "default-lost7777"}, 0},
		{"versions-json", []string{"versions", "default-lost7777", "--json"}, 0},
		{"versions-none", []string{"versions", "default-new88888"}, 0},
		{"versions-none-json", []string{"versions", "default-new88888", "--json"}, 0},
		{"show", []string{"show", "default-k3v7q2mn"}, 0},
		{"show-address", []string{"show", "default-k3v7q2mn", "3", "--address", address}, 0},
		{"show-address-json", []string{"show", "default-k3v7q2mn", "3", "--address", address, "--json"}, 0},
		{"show-no-address", []string{"show", "default-k3v7q2mn", "3", "--address", "x.y"}, 1},
		{"show-no-serial", []string{"show", "default-k3v7q2mn", "9"}, 1},
		{"show-no-stack", []string{"show", "s1"}, 1},
		{"diff", []string{"diff", "default-k3v7q2mn"}, 0},
		{"diff-json", []string{"diff", "default-k3v7q2mn", "--json"}, 0},
		{"diff-since-newest", []string{"diff", "default-k3v7q2mn", "4"}, 0},
		{"diff-back", []string{"diff", "default-k3v7q2mn", "4", "3"}, 0},
		{"diff-began-anew", []string{"diff", "default-lost7777"}, 0},
		{"diff-first", []string{"diff", "default-one55555"}, 0},
		{"diff-no-serial", []string{"diff", "default-k3v7q2mn", "3", "5"}, 1},
		{"diff-none", []string{"diff", "default-new88888"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			// Nothing but the place of the records is set.
			err := run(t.Context(), append([]string{"state"}, tt.args...), map[string]string{"DRONE_DATA": data}, &out, &out)
			if exitCode(err) != tt.code {
				t.Errorf("exit code %d, want %d", exitCode(err), tt.code)
			}
			if err != nil {
				fmt.Fprintln(&out, err)
				if strings.Count(out.String(), "\n") != 1 {
					t.Errorf("the error is not one line")
				}
			}
			for _, secret := range []string{"PLANTED", "S3cretRootPw", "correct-horse", "cloud-config"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("%s is shown", secret)
				}
			}
			if strings.HasSuffix(tt.name, "-json") && !json.Valid(out.Bytes()) {
				t.Error("it is no JSON")
			}
			path := filepath.Join("testdata", "state", tt.name+".golden")
			if *update {
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

// A wrong place of the records is told in one line, and nothing else is asked
// for, or looked at.
func TestStateSettings(t *testing.T) {
	data := recorded(t)
	database := filepath.Join(data, "database.sqlite")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		set  map[string]string
		want string
		code int
	}{
		{"the file", map[string]string{"DRONE_DATABASE_DATASOURCE": database}, "default-k3v7q2mn", 0},
		{"mistakes elsewhere", map[string]string{"DRONE_DATA": data, "DRONE_POOL_MAX": "two", "DRONE_SERVER_PROTO": "gopher"}, "default-k3v7q2mn", 0},
		{"no such folder", map[string]string{"DRONE_DATA": "/no/such"}, "there is no database at /no/such/database.sqlite", 2},
		{"a file for a folder", map[string]string{"DRONE_DATA": database}, "cannot be opened", 2},
		{"a folder for a file", map[string]string{"DRONE_DATABASE_DATASOURCE": data}, "is a folder", 2},
		{"no database", map[string]string{"DRONE_DATABASE_DATASOURCE": text}, "is not a sqlite database", 2},
		{"another driver", map[string]string{"DRONE_DATABASE_DRIVER": "postgres"}, "DRONE_DATABASE_DRIVER=postgres: want sqlite3", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), []string{"state", "list"}, tt.set, &out, &out)
			text := out.String()
			if err != nil {
				text += err.Error()
			}
			if exitCode(err) != tt.code || !strings.Contains(text, tt.want) || err != nil && strings.Contains(text, "\n") {
				t.Errorf("exit code %d, want %d; want %q in:\n%s", exitCode(err), tt.code, tt.want, text)
			}
		})
	}
}
