package main

import (
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
)

// Drone's webhook makes and removes servers although the queue is read by
// itself once a day; without the right secret, nothing happens.
func TestHookReadsTheQueueAtOnce(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: time.Second}, quick)
	const secret = "the-secret-of-the-hook"
	s := w.serve(t, "DRONE_INTERVAL=24h", "DRONE_POOL_MIN=0", "DRONE_WEBHOOK_SECRET="+secret)
	until(t, "the queue was read once", 30*time.Second, func() bool { return s.get("/api/decisions") != "[]" })
	go w.PostEvents(t.Context(), s.url+"/hook", "another secret")
	w.Enqueue(1)
	until(t, "the refusal is told", 30*time.Second, func() bool { return strings.Contains(s.log.String(), "is DRONE_WEBHOOK_SECRET the same") })
	if n := len(w.requests()); n != 0 {
		t.Fatalf("%d machines were ordered on the word of a stranger", n)
	}
	go w.PostEvents(t.Context(), s.url+"/hook", secret)
	w.Enqueue(1)
	until(t, "both builds have succeeded", 90*time.Second, func() bool { return w.Stats().Succeeded == 2 })
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log shows the secret")
	}
}
