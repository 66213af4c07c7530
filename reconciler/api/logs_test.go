package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"hangar/state"
)

// machine writes its log, then fails as told.
type machine struct {
	says string
	err  error
	last string // what was asked for
}

func (m *machine) Logs(_ context.Context, s state.Server, follow bool, w io.Writer) error {
	m.last = s.Name
	if follow {
		m.last += " on and on"
	}
	if _, err := io.WriteString(w, m.says); err != nil {
		return err
	}
	return m.err
}

func TestMachineLogs(t *testing.T) {
	dead := state.Errorf(state.Unavailable, "it does not answer")
	for _, tt := range []struct {
		name, path string
		machine    *machine
		status     int
		body, last string
	}{
		{"logs", "/api/servers/agent-aaaaaaaa/logs", &machine{says: "booted\n"}, 200, "booted\n", "agent-aaaaaaaa"},
		{"followed", "/api/servers/agent-aaaaaaaa/logs?follow=true", &machine{says: "booted\n"}, 200, "booted\n", "agent-aaaaaaaa on and on"},
		{"dead", "/api/servers/agent-aaaaaaaa/logs", &machine{err: dead}, 503, "it does not answer", "agent-aaaaaaaa"},
		{"dies meanwhile", "/api/servers/agent-aaaaaaaa/logs", &machine{says: "booted\n", err: dead}, 200, "booted\n\nit does not answer\n", "agent-aaaaaaaa"},
		{"no machine yet", "/api/servers/agent-bbbbbbbb/logs", &machine{}, 409, "has no machine", ""},
		{"gone", "/api/servers/agent-cccccccc/logs", &machine{}, 409, "has no machine", ""},
		{"no such server", "/api/servers/nobody/logs", &machine{}, 404, "", ""},
		{"a bad question", "/api/servers/agent-aaaaaaaa/logs?follow=maybe", &machine{}, 400, "neither true nor false", ""},
		{"not reached", "/api/servers/agent-aaaaaaaa/logs", nil, 409, "DRONE_AGENT_SSH=false", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, populated(), func(a *API) {
				if tt.machine != nil {
					a.Machines = tt.machine
				}
			})
			got := h.ask(t, http.MethodGet, tt.path, "")
			if got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if tt.machine != nil && tt.machine.last != tt.last {
				t.Errorf("asked for %q, want %q", tt.machine.last, tt.last)
			}
			if got := h.ask(t, http.MethodGet, tt.path, "", "Authorization", ""); got.status != 401 {
				t.Errorf("without a token: %d", got.status)
			}
		})
	}
}
