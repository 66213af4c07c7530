package api

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
)

// crowd is a real store of 1,000 servers, as many that are gone, 10,000 runs and a
// week of samples.
func crowd(t testing.TB) *sqlite.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "database.sqlite")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UnixMicro()
	count := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) ", n)
	}
	for _, fill := range []string{
		`INSERT INTO stacks (name, pool, provider, candidate, settings, module, resource, changed, created) ` + count(80) +
			`SELECT 's' || n, 'default', 'packet', 'ewr1/c3', '{}', 'packet-0', 'x.server', 1, ?1 FROM c`,
		`INSERT INTO servers (name, pool, stack, phase, provider, capacity, device_id, region, size, reason, began, active, created, updated, stopped, price) ` + count(2000) +
			`SELECT printf('agent-%08d', n), 'default', 's' || (1 + n / 25), iif(n > 1000, 'stopped', iif(n % 50, 'running', 'creating')), 'packet', 2, n, 'ewr1', 'c3.small.x86', 'its runner is ready',
				?1 - 600000000, ?1, ?1, ?1, iif(n > 1000, ?1, 0), 2.5 FROM c WHERE n < 2000`,
		`INSERT INTO runs (stack, pool, generation, phase, creates, deletes, forced, keeps, started, finished) ` + count(10000) +
			`SELECT 's' || (1 + n % 80), 'default', 1, 'applied', '["agent-00000001"]', '[]', '[]', '[]', ?1, ?1 FROM c`,
		`INSERT INTO samples (at, pool, demand, capacity, machines, wait, cost) ` + count(10080) +
			`SELECT ?1 - n * 60000000, 'default', n % 40, 40, 20, n, n FROM c`,
	} {
		if _, err := db.Exec(fill, now); err != nil {
			t.Fatal(err)
		}
	}
	if snap, err := store.Snapshot(t.Context(), time.Now()); err != nil || len(snap.Servers) != 1000 || snap.Servers[0].Phase == state.Stopped {
		t.Fatal(len(snap.Servers), err)
	}
	return store
}

var crowded = []string{"/ui", "/ui?range=week", "/ui/servers", "/ui/servers?gone=true", "/ui/servers?page=20", "/ui/runs", "/ui/runs?before=5000", "/ui/stacks", "/ui/stacks/s1", "/ui/servers/agent-00000001", "/ui/runs/9999"}

// reading returns how an admin reads a page of a crowd, and how long the page is.
func reading(t testing.TB) func(path string) (size int) {
	t.Helper()
	store := crowd(t)
	r, pools := pooled()
	a := New(store, r.world, auditor{r.world}, r.world)
	a.Pages = &Pages{Store: store, Pools: pools, States: r, Unread: func() time.Duration { return 0 }, Wait: func() time.Duration { return 0 }}
	handler := a.Handler()
	session := a.Pages.sessions.Begin("octocat")
	return func(path string) int {
		req := httptest.NewRequest("GET", path, nil)
		req.Header.Set("Cookie", sessionCookie+"="+session)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != 200 {
			t.Fatal(path, w.Code, w.Body)
		}
		return w.Body.Len()
	}
}

// Pages of a crowd are made in less than 300 ms and have less than 500 kB. The
// best of ten counts: others may be at work on this machine.
func TestPagesOfACrowd(t *testing.T) {
	read := reading(t)
	for _, path := range crowded {
		size, best := 0, time.Hour
		for try := 0; try < 10 && best >= 300*time.Millisecond; try++ {
			begin := time.Now()
			size = read(path)
			best = min(best, time.Since(begin))
		}
		if size >= 500_000 || best >= 300*time.Millisecond {
			t.Errorf("%s has %d bytes and takes %s", path, size, best)
		}
		t.Logf("%s: %d bytes, %s", path, size, best)
	}
}

// BenchmarkPages renders pages of a crowd.
func BenchmarkPages(b *testing.B) {
	read := reading(b)
	for _, path := range crowded {
		b.Run(path, func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = read(path)
			}
			b.ReportMetric(float64(size)/1000, "kB")
		})
	}
}

// The list of servers is made once for all who ask, and anew for whoever asks after
// something was committed.
func TestServersAreListedAnew(t *testing.T) {
	store := crowd(t)
	var l listed
	read := func() string {
		t.Helper()
		text, err := l.read(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := read()
	if again, err := l.read(t.Context(), store); err != nil || &again[0] != &l.text[0] || string(again) != before {
		t.Errorf("made again though nothing has changed: %v", err)
	}
	if err := store.SetPaused(t.Context(), true, "octocat", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.read(t.Context(), store); err != nil || l.at != store.Writes() {
		t.Errorf("not made anew after something was committed: %v", err)
	}
	if err := store.Progress(t.Context(), "agent-00000050", state.Progress{Action: "create", Elapsed: 7 * time.Second}, time.Now()); err != nil {
		t.Fatal(err)
	}
	l.made = l.made.Add(-time.Second)
	if after := read(); !strings.Contains(after, `"progress":{"action":"create","elapsed":7}`) {
		t.Error("progress of a second ago is not told")
	}
}

// BenchmarkServers is GET /api/servers of 1,000 servers that are and as many that
// are gone, by many at once, while the progress of servers is recorded 20 times a
// second, and a decision 5 times.
func BenchmarkServers(b *testing.B) {
	store := crowd(b)
	r, _ := pooled()
	r.admins = map[string]string{token: "octocat"}
	handler := New(store, r.world, auditor{r.world}, r.world).Handler()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = store.Progress(context.Background(), "agent-00000050", state.Progress{Action: "create", Elapsed: time.Duration(n) * time.Second}, time.Now())
				if n%4 == 0 {
					_ = store.Commit(context.Background(), state.Changes{At: time.Now(), Decision: &state.Decision{At: time.Now()}})
				}
			}
		}
	}()
	var mu sync.Mutex
	var took []time.Duration
	b.RunParallel(func(pb *testing.PB) {
		var own []time.Duration
		for pb.Next() {
			began := time.Now()
			asked := httptest.NewRequest(http.MethodGet, "/api/servers", nil)
			asked.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, asked)
			if w.Code != http.StatusOK {
				b.Error(w.Code, w.Body)
				return
			}
			own = append(own, time.Since(began))
		}
		mu.Lock()
		took = append(took, own...)
		mu.Unlock()
	})
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(took[(len(took)*99+99)/100-1].Seconds()*1000, "ms-p99")
}
