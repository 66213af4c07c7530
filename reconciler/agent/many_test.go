package agent

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// fleet is many machines, and a client that may have few connections at once.
func fleet(t testing.TB, count, limit int) (*Client, *dialer, []*server) {
	t.Helper()
	keys := newKeys(t)
	servers := make([]*server, count)
	for i := range servers {
		servers[i] = newServer(t, keys, fmt.Sprintf("agent-%04d", i), readyMachine)
	}
	d := newDialer(servers...)
	c := New(keys)
	c.Limit, c.Dial = limit, d.dial
	t.Cleanup(c.Close)
	return c, d, servers
}

// lookAtAll looks at every machine, all at once.
func lookAtAll(t testing.TB, c *Client, servers []*server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if look, err := c.Look(t.Context(), s.host); err != nil || !look.Ready() {
				t.Errorf("%s: %+v, %v", s.host.Server, look, err)
			}
		})
	}
	wg.Wait()
}

func TestLimit(t *testing.T) {
	c, d, servers := fleet(t, 40, 4)
	for range 2 {
		lookAtAll(t, c, servers)
	}
	if _, most, _ := d.counts(); most > c.Limit {
		t.Errorf("%d connections at once, limit %d", most, c.Limit)
	}
}

// Few machines keep their connections.
func TestKept(t *testing.T) {
	c, d, servers := fleet(t, 4, 8)
	for range 3 {
		lookAtAll(t, c, servers)
	}
	if _, _, dialed := d.counts(); dialed != len(servers) {
		t.Errorf("%d connections were made for %d machines", dialed, len(servers))
	}
}

// A machine that hangs holds up nobody but those who look at it.
func TestHangingMachine(t *testing.T) {
	keys := newKeys(t)
	free := make(chan struct{})
	hanging := newServer(t, keys, "agent-hangs", func(string, ssh.Channel) uint32 { <-free; return 0 })
	ready := newServer(t, keys, "agent-ready", readyMachine)
	c := New(keys)
	c.Limit, c.Dial = 2, newDialer(hanging, ready).dial
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Look(t.Context(), hanging.host)
	}()
	if look, err := c.Look(t.Context(), ready.host); err != nil || !look.Ready() {
		t.Errorf("%+v, %v", look, err)
	}
	close(free)
	<-ended
	c.Close()
}

// BenchmarkLook looks at 500 machines in parallel, which are in this process:
// half of the processor time is theirs.
func BenchmarkLook(b *testing.B) {
	c, d, servers := fleet(b, 500, 64)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for range b.N {
		lookAtAll(b, c, servers)
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	_, most, _ := d.counts()
	b.ReportMetric(float64(most), "connections")
	b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/(1<<20), "MiB-kept")
	b.ReportMetric(float64(after.Sys)/(1<<20), "MiB-process")
}
