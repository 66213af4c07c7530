package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

const notifySecret = "whsec_c2VjcmV0LWtleS1vZi10aGlydHktdHdvLWJ5dGVzIQ=="

// listener keeps what is posted to it.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	header http.Header // of the last one
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.bodies, l.header = append(l.bodies, string(body)), r.Header
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) posts() ([]string, http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bodies), l.header
}

// A server's life is told as it is lived, and once, whatever restarts.
func TestServeTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond, BuildTime: 2 * time.Second}, quick)
	hook, slack := newListener(t), newListener(t)
	settings := []string{"DRONE_NOTIFY_WEBHOOK=" + hook.URL + "/credential", "DRONE_NOTIFY_SECRET=" + notifySecret, "DRONE_SLACK_WEBHOOK=" + slack.URL + "/credential", "DRONE_SLACK_DESTROY=false"}
	w.Enqueue(1)
	w.Enqueue(1, state.Stage{Arch: "arm64", OS: "linux"}) // matches no pool
	first := w.serve(t, settings...)
	told := func() map[string][]string { // servers by kind
		by := map[string][]string{}
		bodies, _ := hook.posts()
		for _, body := range bodies {
			var e state.Event
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			by[string(e.Kind)] = append(by[string(e.Kind)], e.Server)
		}
		return by
	}
	until(t, "its creation is told", 90*time.Second, func() bool { return len(told()["server.created"]) == 1 })
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := w.serve(t, settings...)
	until(t, "its end is told", 90*time.Second, func() bool { return len(told()["server.destroyed"]) == 1 })
	server := second.servers()["stopped"]
	for kind, want := range map[string][]string{"server.created": server, "server.destroyed": server, "stages.unmatched": {""}} {
		if got := told()[kind]; !slices.Equal(got, want) {
			t.Errorf("%s of %v, want %v", kind, got, want)
		}
	}
	if posts, _ := slack.posts(); len(posts) != 1 || !strings.Contains(posts[0], "Server "+server[0]+" is running") {
		t.Errorf("Slack was told %v", posts)
	}
	for _, log := range []string{first.log.String(), second.log.String(), second.get("/varz"), second.get("/api/decisions")} {
		if strings.Contains(log, "credential") || strings.Contains(log, strings.TrimPrefix(notifySecret, "whsec_")) {
			t.Error("a secret is shown")
		}
	}
	verifyByHand(t, hook)
}

// verifyByHand checks the last post as the README says.
func verifyByHand(t *testing.T, l *listener) {
	t.Helper()
	need(t, "openssl")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- verify -->\n```sh\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README does not say how to verify")
	}
	bodies, header := l.posts()
	body := bodies[len(bodies)-1]
	for sent, want := range map[string]string{body: "genuine", strings.Replace(body, "server", "sewer", 1): ""} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "body.json"), []byte(sent), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DRONE_NOTIFY_SECRET="+notifySecret, "id="+header.Get("Webhook-Id"),
			"timestamp="+header.Get("Webhook-Timestamp"), "signature="+header.Get("Webhook-Signature"))
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); got != want || want != "" && err != nil {
			t.Errorf("the README's example says %q, %v; want %q", got, err, want)
		}
	}
}

// What is wrong with these settings is told without their values.
func TestNotifyMistakesShowNoSecret(t *testing.T) {
	_, err := parseConfig(guide("DRONE_SLACK_WEBHOOK=credential", "DRONE_NOTIFY_WEBHOOK=ftp://credential", "DRONE_NOTIFY_SECRET=credential"))
	if err == nil || strings.Contains(err.Error(), "credential") || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("err = %v", err)
	}
	c, err := parseConfig(guide("DRONE_SLACK_WEBHOOK=https://hooks.slack.com/services/x", "DRONE_NOTIFY_WEBHOOK=https://example.com/x", "DRONE_NOTIFY_SECRET="+notifySecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{c.SlackWebhook, c.NotifyWebhook, c.NotifySecret} {
		if secret == "" || !slices.Contains(c.secrets(nil, nil), secret) {
			t.Errorf("%q is not among the secrets", secret)
		}
	}
}
