package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The format is that of drone/autoscaler: JSON with its names of levels, or
// text.
func TestLogFormat(t *testing.T) {
	for _, tt := range []struct {
		set  []string
		want []string // levels that are logged
	}{
		{nil, []string{"info", "warning", "error"}},
		{[]string{"DRONE_LOGS_DEBUG=true"}, []string{"debug", "info", "warning", "error"}},
		{[]string{"DRONE_LOGS_TRACE=true"}, []string{"trace", "debug", "info", "warning", "error"}},
		{[]string{"DRONE_LOGS_PRETTY=true"}, []string{"INFO", "WARN", "ERROR"}},
		{[]string{"DRONE_LOGS_PRETTY=true", "DRONE_LOGS_TRACE=true"}, []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR"}},
	} {
		c, err := parseConfig(guide(tt.set...))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		log := newLog(&out, c)
		log.Log(t.Context(), levelTrace, "said", "level", "of water")
		log.Debug("said")
		log.Info("said", "error", errors.New("broken"), "again_in", 5*time.Second)
		log.Warn("said")
		log.Error("said")
		var got []string
		for line := range strings.Lines(out.String()) {
			if c.LogsPretty {
				_, rest, _ := strings.Cut(line, " level=")
				level, _, _ := strings.Cut(rest, " ")
				got = append(got, level)
				continue
			}
			var entry struct {
				Level, Msg, Time, Error string
				Again                   string `json:"again_in"`
			}
			line = strings.Replace(line, `,"level":"of water"`, "", 1)
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg != "said" || entry.Time == "" {
				t.Errorf("%v: %v in %s", tt.set, err, line)
			}
			if entry.Level == "info" && (entry.Error != "broken" || entry.Again != "5s") {
				t.Errorf("%v: no error, or no duration, in %s", tt.set, line)
			}
			got = append(got, entry.Level)
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%v: %v, want %v", tt.set, got, tt.want)
		}
	}
}

// A trace tells each question and its answer, and no token.
func TestTrace(t *testing.T) {
	drone := httptest.NewServer(http.NotFoundHandler())
	var out bytes.Buffer
	client := http.Client{Transport: traced{http.DefaultTransport, newLog(&out, Config{LogsTrace: true, LogsPretty: true})}}
	ask := func() {
		r, err := http.NewRequest(http.MethodGet, drone.URL+"/api/queue?access_token=hush", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer hush")
		if answer, err := client.Do(r); err == nil {
			answer.Body.Close()
		}
	}
	ask()
	drone.Close()
	ask()
	for _, want := range []string{`level=TRACE msg="Drone asked" method=GET path=/api/queue duration=`, " status=404\n", `error="dial tcp`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Errorf("a token is logged:\n%s", &out)
	}
}
