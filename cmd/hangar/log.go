package main

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// levelTrace is below debug: each question that is put to Drone.
const levelTrace = slog.LevelDebug - 4

// newLog logs as the settings say: a line of JSON per entry, its levels spelled
// as drone/autoscaler spells them, or text for people.
func newLog(w io.Writer, cfg Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	switch {
	case cfg.LogsTrace:
		o.Level = levelTrace
	case cfg.LogsDebug:
		o.Level = slog.LevelDebug
	}
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
			return slog.String(a.Key, levelName(level, cfg.LogsPretty))
		}
		if a.Value.Kind() == slog.KindDuration { // in JSON it would be nanoseconds
			return slog.String(a.Key, a.Value.Duration().String())
		}
		return a
	}
	if cfg.LogsPretty {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func levelName(level slog.Level, pretty bool) string {
	name := level.String()
	if level == levelTrace {
		name = "TRACE"
	}
	if pretty {
		return name
	}
	if level == slog.LevelWarn {
		name = "WARNING"
	}
	return strings.ToLower(name)
}

// traced logs requests at trace level, without headers and queries: tokens are
// there.
type traced struct {
	next http.RoundTripper
	log  *slog.Logger
}

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := t.next.RoundTrip(r)
	told := []any{"method", r.Method, "path", r.URL.Path, "duration", time.Since(began)}
	if err != nil {
		told = append(told, "error", err)
	} else {
		told = append(told, "status", answer.StatusCode)
	}
	t.log.Log(r.Context(), levelTrace, "Drone asked", told...)
	return answer, err
}
