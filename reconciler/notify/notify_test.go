package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"hangar/state"
	"hangar/state/sqlite"
)

const secret = "whsec_c2VjcmV0LWtleS1vZi10aGlydHktdHdvLWJ5dGVzIQ=="

// receiver is a target that answers as it is told to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []message
	answer func(w http.ResponseWriter, r *http.Request, n int) // n: messages before this one
}

type message struct {
	header http.Header
	body   []byte
	at     time.Time
}

func (m message) event(t *testing.T) state.Event {
	t.Helper()
	var e state.Event
	if err := json.Unmarshal(m.body, &e); err != nil {
		t.Fatalf("%v: %s", err, m.body)
	}
	return e
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	rec := &receiver{answer: answer}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rec.mu.Lock()
		n := len(rec.got)
		rec.got = append(rec.got, message{r.Header, body, time.Now()})
		rec.mu.Unlock()
		if rec.answer != nil {
			rec.answer(w, r, n)
		}
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// credential is the part of a target's URL that is nobody's business.
const credential = "/services/T000/B000/credential"

func status(codes ...int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, n int) {
		if n < len(codes) {
			w.WriteHeader(codes[n])
		}
	}
}

// world is a store, and a notifier that runs on it until it is stopped.
type world struct {
	t     *testing.T
	store *sqlite.Store
	path  string
	log   *logged
	n     *Notifier
	stop  func()
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "database.sqlite"), log: &logged{}, stop: func() {}}
	w.open()
	t.Cleanup(func() {
		w.stop()
		w.store.Close()
		for _, leak := range []string{"credential", secret, strings.TrimPrefix(secret, "whsec_"), "127.0.0.1"} {
			if strings.Contains(w.log.String(), leak) {
				t.Errorf("the log shows %q", leak)
			}
		}
		if t.Failed() {
			t.Log(w.log)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	store, err := sqlite.Open(w.t.Context(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
}

// start runs a notifier with these targets, quick ones unless change says
// otherwise.
func (w *world) start(change func(*Notifier), targets ...Target) {
	w.t.Helper()
	n := New(w.store, targets...)
	n.Log = slog.New(slog.NewTextHandler(w.log, nil))
	n.Every, n.Retry = 10*time.Millisecond, 10*time.Millisecond
	if change != nil {
		change(n)
	}
	if err := n.Begin(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	w.n = n
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

// restart stops the notifier and opens the store anew, as a new process does.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// happen has a server of this name run, in a stack of its own.
func (w *world) happen(names ...string) {
	w.t.Helper()
	for _, name := range names {
		at := time.Now()
		err := w.store.Commit(w.t.Context(), state.Changes{
			At: at, Stacks: []state.Stack{{Name: "s-" + name, Pool: "default"}},
			Servers: []state.Server{{Name: name, Pool: "default", Stack: "s-" + name, Phase: state.Running, Provider: "packet", Capacity: 2,
				Device: state.Device{ID: "id-" + name, Region: "ewr1", Size: "c3"}, Created: at, Started: at, Reason: "adopted"}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) move(name string, from, to state.Phase) {
	w.t.Helper()
	err := w.store.Commit(w.t.Context(), state.Changes{At: time.Now(), Moves: []state.Move{{Server: name, From: from, To: to, Reason: "<moved> & " + string(to)}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come about", what)
		}
	}
}

// settled waits until a target was told of everything.
func (w *world) settled(target string) {
	w.t.Helper()
	until(w.t, target+" was told of everything", func() bool {
		_, err := w.store.Gather(context.Background(), w.n.Now(), w.n.Watch)
		events, err2 := w.store.News(context.Background(), target, 10)
		return len(events) == 0 && err == nil && err2 == nil
	})
}

func webhook(t *testing.T, url string) Target {
	t.Helper()
	target, err := Webhook(url+credential, secret)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// servers are those of which messages tell, in order.
func servers(t *testing.T, messages []message) []string {
	t.Helper()
	names := []string{}
	for _, m := range messages {
		names = append(names, m.event(t).Server)
	}
	return names
}

func wantServers(t *testing.T, what string, r *receiver, want ...string) {
	t.Helper()
	if got := servers(t, r.messages()); !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestWebhook(t *testing.T) {
	r := newReceiver(t, nil)
	w := newWorld(t)
	w.start(nil, webhook(t, r.URL))
	w.happen("a")
	w.settled("webhook")
	w.move("a", state.Running, state.Failed)
	w.settled("webhook")
	messages := r.messages()
	if len(messages) != 2 {
		t.Fatalf("%d messages, want 2", len(messages))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := verifier.Verify(m.body, m.header); err != nil {
			t.Error(err)
		}
		if err := verifier.Verify(append(m.body, ' '), m.header); err == nil {
			t.Error("a body that was changed is genuine")
		}
		e := m.event(t)
		if m.header.Get("Webhook-Id") != e.ID || e.ID == "" || m.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v of event %s", m.header, e.ID)
		}
	}
	if e := messages[0].event(t); e.Kind != state.ServerCreated || e.Server != "a" || e.Region != "ewr1" || e.Reason != "adopted" || e.Phase != state.Running {
		t.Errorf("event %+v", e)
	}
	if e := messages[1].event(t); e.Kind != state.ServerError || e.Phase != state.Failed {
		t.Errorf("event %+v", e)
	}
}

func TestWebhookWithoutASecret(t *testing.T) {
	target, err := Webhook("http://127.0.0.1:1/", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, header, err := target.Message(state.Event{ID: "x"}, time.Now()); err != nil || header.Get("Webhook-Signature") != "" || header.Get("Webhook-Id") != "x" {
		t.Errorf("%v, %v", header, err)
	}
	for _, bad := range []string{"plain-key-of-thirty-two-bytes-or-so", "whsec_short", "whsec_****", "whsec_c2hvcnQ="} {
		if _, err := Webhook("http://127.0.0.1:1/", bad); err == nil || strings.Contains(err.Error(), strings.TrimPrefix(bad, "whsec_")) {
			t.Errorf("secret %s: %v", bad, err)
		}
	}
}

func TestSlack(t *testing.T) {
	r := newReceiver(t, nil)
	w := newWorld(t)
	w.start(nil, Slack(r.URL+credential, state.ServerDestroyed, state.ServerError))
	w.happen("a", "b")
	w.move("a", state.Running, state.Failed)
	w.move("b", state.Running, state.Stopping)
	w.move("b", state.Stopping, state.Stopped)
	w.settled("slack")
	var texts []string
	for _, m := range r.messages() {
		var post slackPost
		if err := json.Unmarshal(m.body, &post); err != nil || len(post.Attachments) != 1 {
			t.Fatalf("%v: %s", err, m.body)
		}
		text := post.Text
		for _, f := range post.Attachments[0].Fields {
			text += "; " + f.Title + ": " + f.Value
		}
		texts = append(texts, text)
	}
	want := []string{
		"Server a went wrong; Name: a; Pool: default; Error: &lt;moved&gt; &amp; error",
		"Server b was destroyed; Name: b; Pool: default; Size: c3; Region: ewr1; Uptime: 0s",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q,\nwant %q", texts, want)
	}
	body, _, err := slackMessage(state.Event{Kind: state.ServerCreated, Server: "c", Region: "ewr1"}, time.Now())
	if err != nil || !bytes.Contains(body, []byte("Server c is running")) {
		t.Errorf("%s, %v", body, err)
	}
	body, _, err = slackMessage(state.Event{Kind: state.RunWaits, Run: 12, Pool: "default", Stack: "default-a", Reason: "1 to create"}, time.Now())
	if err != nil || !bytes.Contains(body, []byte("Run 12 waits for your approval")) || !bytes.Contains(body, []byte("1 to create")) {
		t.Errorf("%s, %v", body, err)
	}
	if text := slackText(strings.Repeat("ü", 5000)); len([]rune(text)) > 2100 {
		t.Errorf("a text of %d characters is sent", len([]rune(text)))
	}
}

// A target that fails is told again, in order, and each event once it is well.
func TestFailuresAreRetried(t *testing.T) {
	r := newReceiver(t, status(500, 503, 408, 200, 502))
	w := newWorld(t)
	w.start(nil, webhook(t, r.URL))
	w.happen("a", "b")
	w.settled("webhook")
	wantServers(t, "told", r, "a", "a", "a", "a", "b", "b")
	ids := map[string]bool{}
	for _, m := range r.messages() {
		ids[m.header.Get("Webhook-Id")] = true
	}
	if len(ids) != 2 {
		t.Errorf("%d ids, want 2", len(ids))
	}
	log := w.log.String()
	if !strings.Contains(log, "it answered 503 Service Unavailable") || strings.Count(log, "events are told again") != 2 {
		t.Error("the log does not tell of the outage and its end")
	}
}

// Another answer of 4xx, and a redirect, would be the same the next time.
func TestRefusalsAreNotRetried(t *testing.T) {
	elsewhere := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch n {
		case 0:
			w.WriteHeader(http.StatusNotFound)
		case 1:
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}
	})
	w := newWorld(t)
	w.start(nil, webhook(t, r.URL))
	w.happen("a", "b", "c")
	w.settled("webhook")
	wantServers(t, "told", r, "a", "b", "c")
	if n := len(elsewhere.messages()); n != 0 {
		t.Errorf("%d messages went elsewhere", n)
	}
	for _, said := range []string{"it answered 404 Not Found", "it answered 307 Temporary Redirect"} {
		if !strings.Contains(w.log.String(), said) {
			t.Errorf("the log does not tell that %s", said)
		}
	}
}

// A target's wish for a pause is granted, however often the loops poke.
func TestRetryAfter(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	w := newWorld(t)
	w.start(nil, webhook(t, r.URL))
	w.happen("a")
	until(t, "it was asked for a pause", func() bool { return len(r.messages()) == 1 })
	w.happen("b")
	w.n.Poke()
	w.settled("webhook")
	messages := r.messages()
	wantServers(t, "told", r, "a", "a", "b")
	if pause := messages[1].at.Sub(messages[0].at); pause < 900*time.Millisecond {
		t.Errorf("told again after %s, want 1s", pause)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "-5": 0, "soon": 0, "Sun, 01 Mar 2026 12:01:00 GMT": time.Minute, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", value, got, want)
		}
	}
}

// A target that hangs, or is not there, holds up no other one and no stop.
func TestATargetThatHangsHoldsUpNothing(t *testing.T) {
	hang := make(chan struct{})
	hung := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-hang })
	defer close(hang)
	well := newReceiver(t, nil)
	w := newWorld(t)
	slack := Slack(hung.URL+credential, state.ServerCreated)
	w.start(func(n *Notifier) { n.Timeout = 50 * time.Millisecond }, slack, webhook(t, well.URL))
	w.happen("a", "b")
	w.settled("webhook")
	wantServers(t, "told", well, "a", "b")
	until(t, "the one that hangs is tried again", func() bool { return len(hung.messages()) >= 2 })
	if !strings.Contains(w.log.String(), "it did not answer within 50ms") {
		t.Error("the log does not tell that it hangs")
	}
	w.stop()

	gone := newReceiver(t, nil)
	gone.Close()
	w.start(nil, Slack(gone.URL+credential, state.ServerCreated), webhook(t, well.URL))
	until(t, "the log tells that it is not there", func() bool { return strings.Contains(w.log.String(), "connection refused") })

	w.stop()
	w.start(func(n *Notifier) { n.Timeout = time.Hour }, Slack(hung.URL+credential, state.ServerCreated), webhook(t, well.URL))
	tries := len(hung.messages())
	until(t, "it is told once more", func() bool { return len(hung.messages()) > tries })
	w.stop() // within lastWords, not an hour
}

// Nothing is lost and nothing told twice when hangar ends and starts again,
// and an event keeps its id.
func TestRestarts(t *testing.T) {
	r := newReceiver(t, status(200, 500, 500, 500))
	w := newWorld(t)
	slow := func(n *Notifier) { n.Retry, n.RetryAtMost = time.Hour, time.Hour }
	w.start(slow, webhook(t, r.URL))
	w.happen("a")
	w.settled("webhook")
	w.happen("b")
	until(t, "b was tried", func() bool { return len(r.messages()) == 2 })
	w.restart()
	w.happen("c") // while nobody gathers
	w.restart()
	w.start(slow, webhook(t, r.URL))
	until(t, "b was tried again", func() bool { return len(r.messages()) == 3 })
	w.restart()
	w.start(nil, webhook(t, r.URL))
	w.settled("webhook")
	wantServers(t, "told", r, "a", "b", "b", "b", "b", "c")
	messages := r.messages()
	for _, again := range messages[2:5] {
		if !bytes.Equal(again.body, messages[1].body) || again.header.Get("Webhook-Id") != messages[1].header.Get("Webhook-Id") {
			t.Errorf("%s was told as %s", messages[1].body, again.body)
		}
	}
	w.restart()
	w.start(nil, webhook(t, r.URL))
	w.happen("d")
	w.settled("webhook")
	wantServers(t, "told at last", r, "a", "b", "b", "b", "b", "c", "d")
}

// What could not be told for too long is dropped, which is told once.
func TestOldEventsAreDropped(t *testing.T) {
	var mu sync.Mutex
	down, now := true, time.Now()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	w := newWorld(t)
	w.start(func(n *Notifier) {
		n.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	}, webhook(t, r.URL))
	later := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	w.happen("a")
	until(t, "a was tried", func() bool { return len(r.messages()) > 0 })
	left := func(want int) func() bool {
		return func() bool {
			events, err := w.store.News(context.Background(), "webhook", 10)
			return err == nil && len(events) == want
		}
	}
	later(time.Hour)
	w.happen("b")
	until(t, "both wait", left(2))
	later(23*time.Hour + time.Minute)
	until(t, "a is dropped", left(1))
	later(time.Hour)
	until(t, "b is dropped", left(0))
	mu.Lock()
	down = false
	mu.Unlock()
	tries := len(r.messages())
	w.happen("c")
	w.settled("webhook")
	wantServers(t, "told", &receiver{got: r.messages()[tries:]}, "c")
	log := w.log.String()
	if strings.Count(log, "are dropped") != 1 || !strings.Contains(log, "dropped=2") {
		t.Error("the log does not tell once that two were dropped")
	}
}

// The pauses between tries grow, and end growing.
func TestBackoff(t *testing.T) {
	w := newWorld(t)
	n := New(w.store)
	n.Log = slog.New(slog.NewTextHandler(w.log, nil))
	tl := &teller{Notifier: n}
	var got []string
	for range 11 {
		got = append(got, tl.failed(t.Context(), fmt.Errorf("it answered 500")).String())
	}
	want := "1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 5m0s 5m0s"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
	tl.failures = 1000
	if wait := tl.failed(t.Context(), &later{"it answered 429", 48 * time.Hour}); wait != n.Keep {
		t.Errorf("a pause of %s, want %s at most", wait, n.Keep)
	}
	tl.succeeded()
	if wait := tl.failed(t.Context(), fmt.Errorf("it answered 500")); wait != n.Retry {
		t.Errorf("after a success %s, want %s", wait, n.Retry)
	}
	if n := strings.Count(w.log.String(), "it answered 500"); n != 2 {
		t.Errorf("an outage was logged %d times, want twice", n)
	}
}

// No error of net/http shows where the target is.
func TestErrorsHideTheURL(t *testing.T) {
	for _, url := range []string{
		"http://127.0.0.1:1" + credential,
		"http://user:credential@127.0.0.1:1/",
		"http://credential.invalid/",
		"https://" + strings.TrimPrefix(newReceiver(t, nil).URL, "http://") + credential,
		"http://[::1" + credential,
	} {
		n := New(nil)
		tl := &teller{Notifier: n, Target: Target{Name: "webhook", URL: url, Message: plain}}
		err := tl.post(t.Context(), state.Event{})
		if err == nil || strings.Contains(err.Error(), "credential") || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
