package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEvents(t *testing.T) {
	h := open(t, &world{}, nil)
	if got := h.ask(t, "GET", "/api/events", ""); got.body != "[]" {
		t.Errorf("no events: %+v", got)
	}
	h.happen("a", "b", "a")
	event := func(seq int, server string) string {
		return fmt.Sprintf(`{"seq":%d,"id":"e-%s","event":"server.phase","at":"2026-11-23T15:28:44Z","instance":"","server":"%s"}`, seq, server, server)
	}
	for path, want := range map[string]string{
		"":                            event(1, "a") + "," + event(2, "b") + "," + event(3, "a"),
		"?since=1&limit=1":            event(2, "b"),
		"?since=2":                    event(3, "a"),
		"?since=9":                    "",
		"?server=a&limit=1":           event(1, "a"),
		"?stack=s1":                   "",
		"?kind=run&kind=server.phase": event(1, "a") + "," + event(2, "b") + "," + event(3, "a"),
	} {
		if got := h.ask(t, "GET", "/api/events"+path, ""); got.status != 200 || got.body != "["+want+"]" {
			t.Errorf("%s: got %+v, want %s", path, got, want)
		}
	}
	for path, words := range map[string]string{
		"/api/events?since=x": "since=x", "/api/events?since=-1": "since=-1", "/api/events?limit=501": "limit=501", "/api/events/stream?since=x": "since=x",
	} {
		wantFailure(t, h.ask(t, "GET", path, ""), 400, words)
	}
	wantFailure(t, h.ask(t, "GET", "/api/events/stream", "", "Last-Event-ID", "x"), 400, "since=x")
	wantFailure(t, h.ask(t, "GET", "/api/events/stream", "", "Authorization", ""), 401, "Bearer")
	h.world.err = fmt.Errorf("broken")
	wantFailure(t, h.ask(t, "GET", "/api/events", ""), 500, "its log says what")
	wantFailure(t, h.ask(t, "GET", "/api/events/stream", ""), 500, "its log says what")
}

// follower reads a stream.
type follower struct {
	t      *testing.T
	lines  chan string
	cancel context.CancelFunc
}

func (h *house) follow(t *testing.T, query string, headers ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", h.url+"/api/events/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	f := &follower{t, make(chan string, 10000), cancel}
	go func() {
		defer close(f.lines)
		defer res.Body.Close()
		scan := bufio.NewScanner(res.Body)
		for scan.Buffer(nil, 1<<20); scan.Scan(); {
			f.lines <- scan.Text()
		}
	}()
	t.Cleanup(cancel)
	f.until("retry: 2000") // it has begun
	f.until("id: ")
	return f
}

// until reads lines up to one that begins so, and returns it.
func (f *follower) until(prefix string) string {
	f.t.Helper()
	for {
		select {
		case line, more := <-f.lines:
			if !more {
				f.t.Fatalf("the stream ended before %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-time.After(20 * time.Second):
			f.t.Fatalf("%q did not come", prefix)
		}
	}
}

// ended waits for the end of a stream.
func (f *follower) ended() {
	f.t.Helper()
	for {
		select {
		case _, more := <-f.lines:
			if !more {
				return
			}
		case <-time.After(20 * time.Second):
			f.t.Fatal("the stream did not end")
		}
	}
}

// ids are those of the next events, n of them.
func (f *follower) ids(n int) (ids string) {
	f.t.Helper()
	for range n {
		ids += strings.TrimPrefix(f.until("id: "), "id: ") + " "
		if data := f.until("data: "); !strings.HasPrefix(data, `data: {"seq":`) {
			f.t.Errorf("data %s", data)
		}
	}
	return strings.TrimSpace(ids)
}

// Many clients follow what happens, each from its own place; one that comes back
// goes on where it was, and nothing is left of those that have gone.
func TestStreamOfEvents(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.streams.Beat = 50 * time.Millisecond })
	h.happen("a", "b")
	var all []*follower
	for range 20 {
		all = append(all, h.follow(t, ""))
	}
	whole, some, only := h.follow(t, "?since=0"), h.follow(t, "?since=1"), h.follow(t, "?since=0&server=b")
	h.happen("c")
	h.happen("b")
	for _, f := range all {
		if got := f.ids(2); got != "3 4" {
			t.Errorf("told of %s, want what is new", got)
		}
	}
	for name, got := range map[string]string{"1 2 3 4": whole.ids(4), "2 3 4": some.ids(3), "2 4": only.ids(2)} {
		if got != name {
			t.Errorf("told of %s, want %s", got, name)
		}
	}
	whole.until(": ") // a sign of life
	whole.cancel()
	whole.ended()
	h.happen("d")
	again := h.follow(t, "?since=0", "Last-Event-ID", "4")
	if got := again.ids(1); got != "5" {
		t.Errorf("it goes on with %s", got)
	}
	for _, f := range append(all, some, only, again) {
		f.cancel()
	}
	eventually(t, "no stream is left", func() bool { h.streams.mu.Lock(); defer h.streams.mu.Unlock(); return h.streams.open == 0 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about: " + what)
		}
	}
}

// A history longer than a page is told whole, and in order.
func TestStreamOfALongHistory(t *testing.T) {
	h := open(t, &world{}, nil)
	for i := range 1234 {
		h.happen(fmt.Sprint(i))
	}
	f := h.follow(t, "?since=0")
	for i := range 1234 {
		if got := f.ids(1); got != fmt.Sprint(i+1) {
			t.Fatalf("event %s comes after %d others", got, i)
		}
	}
}

// A stream outlives what the server allows for a request and for an answer, and
// ends after its time.
func TestStreamOutlivesTheServersTimeouts(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.streams.Beat, a.streams.Most = 20*time.Millisecond, 1500*time.Millisecond })
	server := NewServer("", h.Handler())
	server.ReadTimeout, server.WriteTimeout, server.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Close()
	h.url = "http://" + listener.Addr().String()
	f := h.follow(t, "")
	for range 40 { // 800ms
		f.until(": ")
	}
	h.happen("a")
	if got := f.ids(1); got != "1" {
		t.Errorf("told of %s", got)
	}
	f.ended()
}

// So it does over HTTP/2, which counts such times by the stream.
func TestStreamOverHTTP2(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.streams.Beat = 20 * time.Millisecond })
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer("", h.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout, server.EnableHTTP2 = 200*time.Millisecond, 200*time.Millisecond, true
	server.StartTLS()
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/events/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	beats, scan := 0, bufio.NewScanner(res.Body)
	for beats < 40 && scan.Scan() {
		if strings.HasPrefix(scan.Text(), ": ") {
			beats++
		}
	}
	if beats < 40 || res.ProtoMajor != 2 {
		t.Errorf("%s: %d signs of life, %v", res.Proto, beats, scan.Err())
	}
}

// A server that closes ends its streams.
func TestStreamEndsWithItsServer(t *testing.T) {
	h := open(t, &world{}, nil)
	server := NewServer("", h.Handler())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	h.url = "http://" + listener.Addr().String()
	f := h.follow(t, "")
	server.Close()
	f.ended()
	eventually(t, "its place is free", func() bool { h.streams.mu.Lock(); defer h.streams.mu.Unlock(); return h.streams.open == 0 })
}

// A client that hangs is left, holds up no other one, and its place is free.
func TestStreamLeavesAClientThatHangs(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.streams.Write, a.streams.Limit = 200*time.Millisecond, 2 })
	connection, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, "GET /api/events/stream?since=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served", func() bool { h.streams.mu.Lock(); defer h.streams.mu.Unlock(); return h.streams.open == 1 })
	well := h.follow(t, "")
	wantFailure(t, h.ask(t, "GET", "/api/events/stream", ""), 503, "there are 2 streams of events already")
	long := strings.Repeat("x", 100_000)
	for i := range 100 { // more than its connection holds
		h.happen(long)
		if got := well.until("id: "); got != fmt.Sprintf("id: %d", i+1) {
			t.Fatalf("the other is told %s", got)
		}
	}
	eventually(t, "it is left", func() bool { h.streams.mu.Lock(); defer h.streams.mu.Unlock(); return h.streams.open == 1 })
}
