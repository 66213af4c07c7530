package api

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"hangar/state"
)

// pageFunctions are what the pages' templates may call.
func (a *API) pageFunctions() template.FuncMap {
	return template.FuncMap{
		"at":      a.linked,
		"ago":     func(t time.Time) string { return ago(time.Since(t)) },
		"span":    span,
		"exact":   exact,
		"between": func(from, to time.Time) string { return span(to.Sub(from)) },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":   clock,
		"count":   count,
		"money":   func(x float64) string { return fmt.Sprintf("%.2f", x) },
		"mood":    mood,
		"short":   func(s string) string { return s[:min(12, len(s))] },
		"setting": setting,
		"after":   func(id int64) int64 { return id + 1 },
	}
}

// linked is the path of a page as browsers see it, with names in it. Names may
// come from the provider's tags, which are anybody's who may write there.
func (a *API) linked(format string, args ...any) string {
	for i, arg := range args {
		if name, ok := arg.(string); ok {
			args[i] = url.PathEscape(name)
		}
	}
	return a.at(fmt.Sprintf(format, args...))
}

// setting is the value of a stack's setting: text as it is, the rest as JSON.
func setting(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// span is a length of time in words that change no oftener than they need to.
func span(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour && d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// exact is a length of time that is looked at while it grows, to the second.
func exact(d time.Duration) string {
	if d < time.Minute || d >= time.Hour {
		return span(d)
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// clock is a time for people, in UTC: without the day when that is today.
func clock(t time.Time) string {
	t = t.UTC()
	if t.Truncate(24 * time.Hour).Equal(time.Now().UTC().Truncate(24 * time.Hour)) {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04:05")
}

// count is a number of things, in words.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// mood is how the state of a server or a run is to be looked at: good, busy,
// waits, bad or over.
func mood(phase any) string {
	switch phase {
	case state.Running, state.RunApplied:
		return "good"
	case state.Pending, state.Creating, state.Created, state.Staging, state.RunPlanning, state.RunApplying:
		return "busy"
	case state.Shutdown, state.Stopping, state.RunPlanned:
		return "waits"
	case state.Failed, state.RunErrored, state.RunRefused, state.RunInterrupted:
		return "bad"
	}
	return "over"
}

// line is a line of a plan or a difference, with how it is coloured: as
// terraform does it.
type line struct {
	Text string
	Kind string // add, remove, change, replace, note; empty: plain
}

// maxText is how much of a plan or a log a page shows, in bytes.
const maxText = 200 << 10

// lines are the lines of a plan or a difference.
func lines(text string) (list []line) {
	for text := range strings.Lines(text) {
		text = strings.TrimSuffix(text, "\n")
		list = append(list, line{text, kindOf(strings.TrimLeft(text, " "))})
	}
	return list
}

func kindOf(text string) string {
	for _, sign := range []struct{ is, kind string }{
		{"-/+ ", "replace"}, {"+/- ", "replace"}, {"+ ", "add"}, {"- ", "remove"}, {"~ ", "change"}, {"<= ", "change"}, {"# ", "note"}, {"Plan: ", "note"},
	} {
		if strings.HasPrefix(text, sign.is) {
			return sign.kind
		}
	}
	return ""
}

// clip cuts a text that is too long for a page at the end of a line.
func clip(text string) (shown string, cut bool) {
	if len(text) <= maxText {
		return text, false
	}
	return text[:strings.LastIndexByte(text[:maxText], '\n')+1], true
}

// tail is the end of a text, from the begin of a line.
func tail(text string) (shown string, cut bool) {
	if len(text) <= maxText {
		return text, false
	}
	text = text[len(text)-maxText:]
	return text[strings.IndexByte(text, '\n')+1:], true
}
