package api

import (
	"io"
	"net/http"
	"testing"

	"hangar/state"
)

// The metrics want a token of their own, or where none is set an admin's.
func TestMetricsToken(t *testing.T) {
	const own = "t0k3n-of-prometheus"
	tests := []struct {
		name   string
		set    string
		header string
		doubt  error
		want   int
	}{
		{"own token", own, "Bearer " + own, nil, 200},
		{"own token while Drone is down", own, "bearer " + own, state.Errorf(state.Unavailable, "down"), 200},
		{"none shown", own, "", nil, 401},
		{"the admin's instead", own, "Bearer " + token, nil, 401},
		{"the beginning of it", own, "Bearer " + own[:5], nil, 401},
		{"without a scheme", own, own, nil, 401},
		{"not set, the admin's", "", "Bearer " + token, nil, 200},
		{"not set, none shown", "", "", nil, 401},
		{"not set, an empty one", "", "Bearer ", nil, 401},
		{"not set, a bad one", "", "Bearer nonsense", nil, 401},
		{"not set, not an admin", "", "Bearer " + token, state.Errorf(state.Forbidden, "not an admin"), 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, populated(), func(a *API) {
				a.Root, a.MetricsToken = "/hangar", tt.set
				a.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hangar_paused 0\n") })
			})
			h.world.doubt = tt.doubt
			got := h.ask(t, "GET", "/hangar/metrics", "", "Authorization", tt.header)
			if got.status != tt.want || (got.body == "hangar_paused 0\n") != (tt.want == 200) {
				t.Errorf("got %d %s, want %d", got.status, got.body, tt.want)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (tt.want == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
		})
	}
	if got := open(t, populated(), nil).ask(t, "GET", "/metrics", ""); got.status != 404 {
		t.Errorf("without metrics: %d", got.status)
	}
}
