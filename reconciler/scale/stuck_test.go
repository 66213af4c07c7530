package scale

import (
	"strings"
	"testing"

	"hangar/state"
)

// A server whose stack is not planned again cannot be destroyed. It stays, or
// goes back, to work instead of being billed for nothing, and says why.
func TestServersOfAStuckStack(t *testing.T) {
	in := func(s *state.Server) { s.Stack = "s1" }
	condemned := func(s *state.Server) { s.Condemned = true }
	forced := func(s *state.Server) { s.Forced = true }
	for _, tt := range []struct {
		name   string
		server state.Server
		want   state.Action
	}{
		{"idle", server("a", state.Running, in), state.Keep},
		{"draining", server("a", state.Shutdown, in, func(s *state.Server) { s.QuietSince = ago(1e9) }), state.Revive},
		{"condemned and drained", server("a", state.Shutdown, in, condemned, func(s *state.Server) { s.QuietSince = ago(1e9) }), state.Keep},
		{"forced", server("a", state.Running, in, forced), state.Keep},
		{"to be destroyed", server("a", state.Stopping, in), state.Keep},
		{"in error", server("a", state.Failed, in), state.Keep},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Observation{At: now, Servers: []state.Server{tt.server}, Unclean: map[string]string{"s1": "run 7 did not finish"}}
			got := Decide(o, []state.Pool{pool()}).Servers[0]
			if got.Action != tt.want {
				t.Errorf("%s: %s, want %s", got.Action, got.Reason, tt.want)
			}
			if tt.name != "forced" && !strings.Contains(got.Reason, "stack s1 is not planned again, because run 7 did not finish") {
				t.Errorf("the reason does not say why: %s", got.Reason)
			}
		})
	}
}
