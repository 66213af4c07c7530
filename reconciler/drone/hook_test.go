package drone

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/httpsignatures-go"
)

// event is a request as Drone 2.25 sends it (plugin/webhook/webhook.go there).
func event(t *testing.T, secret, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "/hook", strings.NewReader(body))
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("X-Drone-Event", "build")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Digest", "SHA-256="+base64.StdEncoding.EncodeToString(sum[:]))
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if secret != "" {
		if err := httpsignatures.NewSigner(httpsignatures.AlgorithmHmacSha256, "date", "digest").SignRequest("hmac-key", secret, r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestHook(t *testing.T) {
	const build = `{"event":"build","action":"created","repo":{"id":1},"build":{"id":7,"status":"pending"},"system":{"host":"drone.example.com"}}`
	tests := []struct {
		name, secret, body string
		status, calls      int
	}{
		{"build", "the-secret", build, 204, 1},
		{"build updated", "the-secret", strings.Replace(build, "created", "updated", 1), 204, 1},
		{"user", "the-secret", `{"event":"user","action":"created"}`, 204, 0},
		{"other secret", "another", build, 400, 0},
		{"no signature", "", build, 400, 0},
		{"no JSON", "the-secret", "<html>", 400, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			got := httptest.NewRecorder()
			Hook("the-secret", func() { calls++ }, slog.New(slog.DiscardHandler)).ServeHTTP(got, event(t, tt.secret, tt.body))
			if got.Code != tt.status || calls != tt.calls {
				t.Errorf("got %d %q and %d calls; want %d and %d", got.Code, got.Body, calls, tt.status, tt.calls)
			}
			if strings.Contains(got.Body.String(), "the-secret") {
				t.Errorf("the answer holds the secret: %q", got.Body)
			}
		})
	}
}

// Drone never looks at the answer: whoever set two different secrets reads it
// in the log, once and not for every event.
func TestHookTellsOfRefusals(t *testing.T) {
	var log bytes.Buffer
	h := Hook("the-secret", func() {}, slog.New(slog.NewTextHandler(&log, nil)))
	for _, secret := range []string{"another", "another", "the-secret", "another"} {
		h.ServeHTTP(httptest.NewRecorder(), event(t, secret, `{"event":"build"}`))
	}
	if n := strings.Count(log.String(), "DRONE_WEBHOOK_SECRET"); n != 2 || strings.Contains(log.String(), "the-secret") {
		t.Errorf("told %d times, want 2:\n%s", n, log.String())
	}
}
