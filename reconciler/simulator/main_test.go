package simulator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/terraform/terraformtest"
)

// TestMain lets the test binary be the stand-in provider when terraform
// starts it from a mirror.
func TestMain(m *testing.M) {
	if IsProvider(os.Args[0]) {
		if err := ServeProvider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	terraformtest.OnPath()
	os.Exit(m.Run())
}

// quickWaits are the waits of the stand-in provider in tests.
var quickWaits = Waits{
	FirstPoll: 20 * time.Millisecond, NextPoll: 20 * time.Millisecond, MaxPoll: 100 * time.Millisecond,
	FirstRetry: 10 * time.Millisecond, MaxRetry: 10 * time.Millisecond,
}

// runWorld lets time pass in a new world until the test ends.
func runWorld(t *testing.T, config Config) *World {
	t.Helper()
	if config.Seed == 0 {
		config.Seed = 1
	}
	w := New(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// serveMetal serves a world's Metal API on loopback until the test ends, and
// tells which devices are looked at, until the channel is full.
func serveMetal(t *testing.T, w *World) (url string, looks <-chan string) {
	t.Helper()
	seen := make(chan string, 1000)
	api := w.Metal()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if id, ok := strings.CutPrefix(r.URL.Path, "/metal/v1/devices/"); ok && r.Method == http.MethodGet {
			select {
			case seen <- id:
			default:
			}
		}
		api.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, seen
}

// required skips a test whose tool is missing, unless HANGAR_REQUIRE names it.
func required(t *testing.T, tool string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), tool) {
		t.Fatalf("%s is required: %v", tool, err)
	}
	t.Skipf("no %s: %v", tool, err)
}
