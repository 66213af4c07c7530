package state

import (
	"strings"
	"testing"
)

func TestCheckHostname(t *testing.T) {
	tests := []struct {
		name string
		host string
		want string // in the error; empty: none
	}{
		{"ours", "agent-a1b2c3d4", ""},
		{"one letter", "a", ""},
		{"63 characters", strings.Repeat("a", 63), ""},
		{"64 characters", strings.Repeat("a", 64), "at most 63"},
		{"empty", "", "empty"},
		{"underscore", "my_agent", `'_'`},
		{"dot", "agent.example", `'.'`},
		{"upper case", "Agent-1", `'A'`},
		{"hyphen first", "-agent", "hyphen"},
		{"hyphen last", "agent-", "hyphen"},
		{"a quote", `a"b`, `'"'`},
		{"an interpolation", "a${b}", `'$'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckHostname(tt.host)
			if tt.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
