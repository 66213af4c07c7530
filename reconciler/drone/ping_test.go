package drone

import (
	"net/http"
	"testing"

	"hangar/state"
)

// Ping is what a starting runner does, and tells what a wrong secret means.
func TestPing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secret string
		answer http.HandlerFunc
		code   state.Code
		words  string
	}{
		{name: "accepted", secret: "rpc", answer: func(http.ResponseWriter, *http.Request) {}},
		{name: "another secret", secret: "other", answer: answers(401, "text/plain", ""), code: state.Unauthorized, words: "DRONE_AGENT_TOKEN"},
		{name: "no secret there", secret: "rpc", answer: answers(403, "text/plain", ""), code: state.Forbidden, words: "it has no secret"},
		{name: "a page", secret: "rpc", answer: answers(200, "text/html", "<html>"), code: state.Unavailable, words: "web page"},
		{name: "no header value", secret: "a b", code: state.Unauthorized, words: "DRONE_AGENT_TOKEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/rpc/v2/ping" || r.Header.Get("X-Drone-Token") != tt.secret || r.Header.Get("Authorization") != "" {
					t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
				}
				tt.answer(w, r)
			})
			err := client.Ping(t.Context(), tt.secret)
			if tt.code == "" && err != nil {
				t.Error(err)
			}
			if tt.code != "" {
				wantError(t, err, tt.code, tt.words)
			}
		})
	}
}
