package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
)

var planted = []string{"PLANTED", "S3cretRootPw", "correct-horse", "cloud-config"}

// unpack returns the files of a tar.gz by their names.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		files[h.Name] = string(content)
	}
}

// exports is a data folder with a stack of which there is everything.
func exports(t *testing.T) (data string) {
	t.Helper()
	data = recorded(t)
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	const stack, server = "default-k3v7q2mn", "agent-k3v7q2mn"
	decision := state.Decision{At: at, Pools: []state.PoolDecision{{Pool: "default", Reason: "it is told to"}}, Servers: []state.ServerDecision{{Server: server, Action: state.Drop}}}
	must(store.Commit(t.Context(), state.Changes{At: at, Decision: &decision, Moves: []state.Move{{Server: server, From: state.Pending, To: state.Stopping}}}))
	must(store.Commit(t.Context(), state.Changes{At: at, Sightings: []state.Sighting{sighted(t, store, server)}}))
	run, _, err := store.BeginRun(t.Context(), stack, at)
	must(err)
	must(store.Planned(t.Context(), run.ID, at, state.Plan{Text: "Plan: 0 to add, 1 to destroy", JSON: []byte(`{"format_version":"1.2"}`)}, "passed"))
	must(store.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: at, Log: "Error: no"}))
	_, err = store.Gather(t.Context(), at, state.Watch{Overdue: time.Hour, Calm: time.Minute})
	must(err)
	return data
}

// sighted gives a server the device that the newest state of its stack shows.
func sighted(t *testing.T, store *sqlite.Store, name string) state.Sighting {
	t.Helper()
	server, err := store.Server(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	s := state.Seen(server)
	s.Device = state.Device{ID: "d-1", State: "active"}
	return s
}

// An export holds all that is recorded of a stack and no secret, unless it is
// asked for, and then in a file that others cannot read.
func TestStateExport(t *testing.T) {
	data := exports(t)
	export := func(file string, more ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"state", "export", "default-k3v7q2mn", file}, more...), map[string]string{"DRONE_DATA": data}, &out, &out)
		return out.String(), err
	}
	file := filepath.Join(t.TempDir(), "history.tar.gz")
	if err := os.WriteFile(file, nil, 0o644); err != nil { // is replaced
		t.Fatal(err)
	}
	out, err := export(file)
	if err != nil || !strings.HasPrefix(out, file+": 2 states, 3 runs, 1 decision, ") {
		t.Fatalf("%v: %s", err, out)
	}
	files := unpack(t, file)
	names := []string{}
	for name, content := range files {
		names = append(names, strings.TrimPrefix(name, "default-k3v7q2mn/"))
		for _, secret := range planted {
			if strings.Contains(content, secret) {
				t.Errorf("%s shows %s", name, secret)
			}
		}
	}
	slices.Sort(names)
	want := []string{"decisions.json", "events.json", "runs.json", "runs/6.log", "runs/6.plan.json", "runs/6.plan.txt", "stack.json",
		"versions.json", "versions/0001-serial-3.json", "versions/0002-serial-4.json"}
	if !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	for name, want := range map[string]string{
		"stack.json": `"candidate": "ewr1/c3.small.x86"`, "runs.json": `"decision": 1`, "decisions.json": `"it is told to"`, "events.json": `"run.errored"`,
		"runs/6.log": "Error: no", "runs/6.plan.txt": "1 to destroy", "versions/0001-serial-3.json": `"sha256": "`, "versions/0002-serial-4.json": state.Masked,
	} {
		if !strings.Contains(files["default-k3v7q2mn/"+name], want) {
			t.Errorf("%s lacks %s:\n%s", name, want, files["default-k3v7q2mn/"+name])
		}
	}

	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := export(file, "--with-secrets"); err == nil || !strings.Contains(err.Error(), "can be read by others (mode 0640)") || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("to a file that others can read: %v", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := export(file, "--with-secrets"); err != nil || !strings.Contains(out, "it holds secrets") {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	files = unpack(t, file)
	var versions []state.StateVersion
	if err := json.Unmarshal([]byte(files["default-k3v7q2mn/versions.json"]), &versions); err != nil || len(versions) != 2 {
		t.Fatalf("versions %+v, %v", versions, err)
	}
	for i, v := range versions {
		name := fmt.Sprintf("default-k3v7q2mn/versions/%04d-serial-%d.tfstate", i+1, v.Serial)
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(files[name]))); sum != v.SHA256 {
			t.Errorf("%s has the SHA-256 %s, want %s", name, sum, v.SHA256)
		}
	}
}

// What cannot be exported leaves no file behind, and what is there as it was.
func TestStateExportRefusals(t *testing.T) {
	data := recorded(t)
	dir := t.TempDir()
	for _, tt := range []struct{ stack, file, want string }{
		{"s1", filepath.Join(dir, "a"), "there is no stack s1; there are default-"},
		{"default-k3v7q2mn", dir, "is no file"},
		{"default-k3v7q2mn", filepath.Join(dir, "no", "such"), "no such file or directory"},
	} {
		err := run(t.Context(), []string{"state", "export", tt.stack, tt.file}, map[string]string{"DRONE_DATA": data}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	var out bytes.Buffer
	file := filepath.Join(dir, "none.tar.gz")
	if err := run(t.Context(), []string{"state", "export", "default-new88888", file}, map[string]string{"DRONE_DATA": data}, &out, io.Discard); err != nil {
		t.Errorf("a stack without a state: %v", err)
	}
	if files := unpack(t, file); files["default-new88888/versions.json"] != "[]\n" || !strings.Contains(out.String(), "0 states") {
		t.Errorf("%s: %v", &out, files)
	}
}
