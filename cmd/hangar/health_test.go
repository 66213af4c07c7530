package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"hangar/reconciler/simulator"
)

// A health check needs nothing but the data folder.
func TestHealth(t *testing.T) {
	w := newWorld(t, simulator.Config{}, quick)
	environ := map[string]string{"DRONE_DATA": w.data}
	if err := run(t.Context(), []string{"health"}, environ, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "no hangar serve is running") {
		t.Errorf("without a server: %v", err)
	}
	s := w.serve(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"health"}, environ, &out, io.Discard); err != nil || out.String() != "hangar is well\n" {
		t.Errorf("%v: %s", err, &out)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"health"}, environ, io.Discard, io.Discard); err == nil || exitCode(err) != 1 {
		t.Errorf("after its end: %v", err)
	}
}
