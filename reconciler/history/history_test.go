package history

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
)

// A history that is longer than a page of anything is exported whole, in order.
func TestExportOfALongHistory(t *testing.T) {
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "database.sqlite"))
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
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	must(store.Commit(t.Context(), state.Changes{At: at,
		Stacks:  []state.Stack{{Name: "s1", Pool: "default", Settings: map[string]any{"api_token": "PLANTED"}}},
		Servers: []state.Server{{Name: "a", Pool: "default", Stack: "s1"}},
	}))
	const runs = 260
	for i := range runs {
		run, _, err := store.BeginRun(t.Context(), "s1", at)
		must(err)
		stateJSON := fmt.Sprintf(`{"version":4,"serial":%d,"lineage":"l","outputs":{"n":{"value":"n-%d"},"token":{"value":"PLANTED-%d"}}}`, i/2, i, i)
		must(store.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: at,
			Version: &state.StateVersion{Serial: int64(i / 2), Lineage: "l", Bytes: []byte(stateJSON)}}))
	}
	_, err = store.Gather(t.Context(), at, state.Watch{})
	must(err)

	var out bytes.Buffer
	done, err := Export(t.Context(), store, "s1", false, &out)
	must(err)
	if want := (Exported{States: runs, Runs: runs, Events: 1 + 2*runs}); done != want {
		t.Errorf("exported %+v, want %+v", done, want)
	}
	files := unpack(t, &out)
	var listed []state.Run
	must(json.Unmarshal([]byte(files["s1/runs.json"]), &listed))
	for i, run := range listed {
		if run.ID != int64(i+1) {
			t.Fatalf("run %d comes after %d others", run.ID, i)
		}
	}
	for i, name := range []string{"s1/versions/0001-serial-0.json", "s1/versions/0002-serial-0.json", "s1/versions/0003-serial-1.json"} {
		if !strings.Contains(files[name], fmt.Sprintf(`"n": "n-%d"`, i)) {
			t.Errorf("%s: %s", name, files[name])
		}
	}
	for name, content := range files {
		if strings.Contains(content, "PLANTED") {
			t.Errorf("%s shows a secret", name)
		}
	}
	if _, err := Export(t.Context(), store, "s2", false, io.Discard); state.CodeOf(err) != state.NotFound {
		t.Errorf("of no stack: %v", err)
	}
}

func unpack(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	packed, err := gzip.NewReader(from)
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
		files[h.Name] = string(content)
	}
}

// Without serials a diff is that of the newest state, or of a given one, against
// the one before it.
func TestDiffAgainstTheOneBefore(t *testing.T) {
	h := History{shelf{"s1": {`{"version":4,"serial":3}`, `{"version":4,"serial":2}`, `{"version":4,"serial":1}`}}}
	serial := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name     string
		from, to *int64
		old, new int64 // old 0: nothing
	}{
		{"newest", nil, nil, 2, 3},
		{"a given one", nil, serial(2), 1, 2},
		{"the first", nil, serial(1), 0, 1},
		{"since", serial(1), nil, 1, 3},
		{"backwards", serial(3), serial(1), 3, 1},
	} {
		d, err := h.Diff(t.Context(), "s1", tt.from, tt.to)
		old := int64(0)
		if d.Old != nil {
			old = d.Old.Serial
		}
		if err != nil || old != tt.old || d.New.Serial != tt.new {
			t.Errorf("%s: from %d to %d, %v; want from %d to %d", tt.name, old, d.New.Serial, err, tt.old, tt.new)
		}
	}
}
