// Package replay drives the decisions of package scale by a trace of builds, in
// simulated time, and measures what they would have made of it: how long builds
// wait, and what the machines cost.
package replay

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hangar/state"
)

// Stage is one stage of a trace: when it came, for how long it runs, and what it
// asks of a runner.
type Stage struct {
	At      time.Time // of its arrival in the queue
	Runs    time.Duration
	OS      string // empty: linux
	Arch    string // empty: amd64
	Variant string
	Kernel  string
	Kind    string
	Type    string
	Labels  map[string]string
	RepoID  int64
	Name    string
	Limit   int // as Drone's concurrency limit; 0: none
}

// line is a stage as a line of a trace.
type line struct {
	At       time.Time         `json:"at"`
	Duration any               `json:"duration"` // seconds, or as in "4m30s"
	OS       string            `json:"os,omitempty"`
	Arch     string            `json:"arch,omitempty"`
	Variant  string            `json:"variant,omitempty"`
	Kernel   string            `json:"kernel,omitempty"`
	Kind     string            `json:"kind,omitempty"`
	Type     string            `json:"type,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Repo     int64             `json:"repo,omitempty"`
	Name     string            `json:"name,omitempty"`
	Limit    int               `json:"limit,omitempty"`
}

// Read reads a trace of JSON lines, in any order; it is returned in the order of
// arrival. An error names the line.
func Read(r io.Reader) ([]Stage, error) {
	var trace []Stage
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		s, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		trace = append(trace, s)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(trace, func(a, b Stage) int { return a.At.Compare(b.At) })
	return trace, nil
}

func parse(text string) (Stage, error) {
	var l line
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Stage{}, fmt.Errorf(`%w; want {"at": "2026-01-05T08:00:00Z", "duration": 240, "os": "linux", "arch": "amd64", "labels": {}}`, err)
	}
	s := Stage{
		At: l.At.UTC(), OS: cmp.Or(l.OS, "linux"), Arch: cmp.Or(l.Arch, "amd64"), Variant: l.Variant, Kernel: l.Kernel,
		Kind: l.Kind, Type: l.Type, Labels: l.Labels, RepoID: l.Repo, Name: l.Name, Limit: l.Limit,
	}
	switch d := l.Duration.(type) {
	case float64:
		s.Runs = time.Duration(d * float64(time.Second))
	case string:
		var err error
		if s.Runs, err = time.ParseDuration(d); err != nil {
			return Stage{}, fmt.Errorf("duration: %w", err)
		}
	}
	switch {
	case l.At.IsZero():
		return Stage{}, fmt.Errorf(`at: when did it arrive? as in "2026-01-05T08:00:00Z"`)
	case s.Runs <= 0:
		return Stage{}, fmt.Errorf(`duration: for how long did it run? seconds, or as in "4m30s"`)
	}
	return s, nil
}

// Write writes a trace as Read reads it.
func Write(w io.Writer, trace []Stage) error {
	e := json.NewEncoder(w)
	for _, s := range trace {
		l := line{
			At: s.At, Duration: s.Runs.Seconds(), OS: s.OS, Arch: s.Arch, Variant: s.Variant, Kernel: s.Kernel,
			Kind: s.Kind, Type: s.Type, Labels: s.Labels, Repo: s.RepoID, Name: s.Name, Limit: s.Limit,
		}
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// stage is the entry of Drone's queue.
func (s Stage) stage(id int64) state.Stage {
	return state.Stage{
		ID: id, BuildID: id, RepoID: s.RepoID, Name: s.Name, Kind: s.Kind, Type: s.Type, OS: s.OS, Arch: s.Arch, Variant: s.Variant, Kernel: s.Kernel,
		Labels: s.Labels, Limit: s.Limit, Created: s.At,
	}
}

// Shapes are the kinds of traces that Make makes.
var Shapes = []string{"steady", "daily", "bursts"}

// Make makes up a trace of so many builds a day, from Monday, 5 January 2026, on:
// steady all day and night; daily, on working days between 8 and 18 o'clock for the
// most part; or bursts, a quarter of them in groups of 20 to 60 at once. A build
// runs for 4 minutes in the median, a tenth of them for more than 12.
func Make(shape string, days, perDay int, seed uint64) []Stage {
	r := rand.New(rand.NewPCG(seed, 0))
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var trace []Stage
	add := func(at time.Time) {
		runs := time.Duration(4 * 60 * math.Exp(0.85*r.NormFloat64()) * float64(time.Second)).Round(time.Second)
		trace = append(trace, Stage{At: at.Truncate(time.Second), Runs: min(max(runs, 10*time.Second), 2*time.Hour), OS: "linux", Arch: "amd64"})
	}
	for day := range days {
		midnight := start.AddDate(0, 0, day)
		working := day%7 < 5
		for n := 0; n < perDay; n++ {
			at := midnight.Add(time.Duration(r.Float64() * float64(24*time.Hour)))
			switch {
			case shape == "daily" && r.Float64() < 0.9: // in the day's work, most around its middle
				if !working {
					continue
				}
				at = midnight.Add(8*time.Hour + time.Duration((r.Float64()+r.Float64())/2*float64(10*time.Hour)))
			case shape == "bursts" && r.Float64() < 0.01:
				for range 20 + r.IntN(41) {
					add(at.Add(time.Duration(r.Float64() * float64(30*time.Second))))
					n++
				}
			}
			add(at)
		}
	}
	slices.SortStableFunc(trace, func(a, b Stage) int { return a.At.Compare(b.At) })
	return trace
}
