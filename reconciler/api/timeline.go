package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hangar/reconciler/chart"
	"hangar/state"
)

// timeline is what the pools were like over a range of time, drawn.
type timeline struct {
	Ranges []timeRange
	Range  timeRange
	Pools  []string // of which one can be looked at alone; none: there is but one
	Pool   string   // that is; empty: all of them together
	Ticks  []string // times below the drawings, from left to right
	Empty  bool
	Charts []drawing
}

// timeRange is one of the ranges that can be looked at.
type timeRange struct {
	Name  string
	Long  time.Duration
	Step  time.Duration
	Shown bool
	tick  string // layout of the times
}

var timeRanges = []timeRange{
	{Name: "hour", Long: time.Hour, Step: time.Minute, tick: "15:04"},
	{Name: "day", Long: 24 * time.Hour, Step: 15 * time.Minute, tick: "15:04"},
	{Name: "week", Long: 7 * 24 * time.Hour, Step: 2 * time.Hour, tick: "Mon 2 Jan"},
}

// drawing is one chart.
type drawing struct {
	Title   string
	Summary string // in words, for who does not see it
	Top     string // the value at its upper edge
	Lines   []drawn
	Limited bool
	Limit   float64 // where the limit lies, from the top
	Spots   []spot
	Width   int
	Height  int
}

// drawn is one line of a chart.
type drawn struct{ Name, Class, Line, Area, Now string }

// spot is where a chart tells its values.
type spot struct {
	X, Width float64
	Text     string
}

// series is what is drawn as one line.
type series struct {
	name, class string
	area        bool
	value       func(state.Sample) float64
}

// timeline draws the range of that name, the first one without it, of one pool
// or, without its name, of all. What is now is its end.
func (a *API) timeline(ctx context.Context, name, pool string, n now, at time.Time) (timeline, error) {
	t := timeline{Pool: pool}
	if len(n.Pools) > 1 {
		for _, p := range n.Pools {
			t.Pools = append(t.Pools, p.Pool.Name)
		}
	}
	for i, r := range timeRanges {
		r.Shown = r.Name == name || name == "" && i == 0
		if r.Shown {
			t.Range = r
		}
		t.Ranges = append(t.Ranges, r)
	}
	if t.Range.Name == "" {
		return t, state.Errorf(state.Invalid, "range=%s: wanted is hour, day or week", name)
	}
	if pool != "" && !slices.Contains(t.Pools, pool) {
		return t, state.Errorf(state.Invalid, "pool=%s: wanted is one of %v", pool, t.Pools)
	}
	to := at.Truncate(t.Range.Step).Add(t.Range.Step)
	from := to.Add(-t.Range.Long)
	samples, err := a.Pages.Store.Samples(ctx, from, t.Range.Step)
	if err != nil {
		return t, err
	}
	if pool != "" {
		samples = slices.DeleteFunc(samples, func(s state.Sample) bool { return s.Pool != pool })
	}
	t.Empty = len(samples) == 0
	f := chart.Frame{From: from, To: to, Step: t.Range.Step}
	sums := together(samples)
	current, budget := n.sample(pool)
	current.At, current.Wait = to.Add(-t.Range.Step), a.Pages.Wait()
	if last := len(sums) - 1; last < 0 || sums[last].At.Before(current.At) {
		sums = append(sums, current) // nothing was sampled in this span yet
	}
	waited := "Longest wait in the queue"
	if pool != "" {
		waited += ", for any pool" // which pool it will be is not known before
	}
	whole := func(x float64) string { return fmt.Sprintf("%.0f", x) }
	t.Charts = append(t.Charts,
		draw(f, sums, current, "Demand, capacity and machines", 4, 0, whole, t.Range.tick,
			series{"builds wanted", "demand", true, func(s state.Sample) float64 { return float64(s.Demand) }},
			series{"builds there is room for", "capacity", false, func(s state.Sample) float64 { return float64(s.Capacity) }},
			series{"servers", "machines", false, func(s state.Sample) float64 { return float64(s.Machines) }}),
		draw(f, sums, current, waited, 60, 0, func(x float64) string { return exact(time.Duration(x) * time.Second) }, t.Range.tick,
			series{"longest wait", "wait", true, func(s state.Sample) float64 { return s.Wait.Seconds() }}))
	if n.Priced {
		t.Charts = append(t.Charts, draw(f, sums, current, "Cost of the day", 1, budget, func(x float64) string { return fmt.Sprintf("%.2f", x) }, t.Range.tick,
			series{"cost since midnight, UTC", "cost", true, func(s state.Sample) float64 { return s.Cost }}))
	}
	for i := range 5 {
		t.Ticks = append(t.Ticks, from.Add(t.Range.Long*time.Duration(i)/4).Format(t.Range.tick))
	}
	return t, nil
}

// sample is what is now, of one pool or of all, and what a day of it may cost.
func (n now) sample(pool string) (s state.Sample, budget float64) {
	for _, p := range n.Pools {
		if pool == "" || p.Pool.Name == pool {
			s.Demand, s.Capacity, s.Machines, s.Cost = s.Demand+p.Waiting+p.Assigned, s.Capacity+p.Usable, s.Machines+p.Billed, s.Cost+p.Spent
			budget = p.Budget
		}
	}
	if pool == "" {
		budget = n.Budget
	}
	return s, budget
}

// together adds up the pools in each span.
func together(samples []state.Sample) (sums []state.Sample) {
	for _, s := range samples {
		if last := len(sums) - 1; last >= 0 && sums[last].At.Equal(s.At) {
			sum := &sums[last]
			sum.Demand, sum.Capacity, sum.Machines = sum.Demand+s.Demand, sum.Capacity+s.Capacity, sum.Machines+s.Machines
			sum.Wait, sum.Cost = max(sum.Wait, s.Wait), sum.Cost+s.Cost
			continue
		}
		sums = append(sums, s)
	}
	return sums
}

// draw draws series, with a limit unless it is 0; words tells a value.
func draw(f chart.Frame, samples []state.Sample, current state.Sample, title string, least, limit float64, words func(float64) string, tick string, all ...series) drawing {
	greatest := limit
	for _, s := range all {
		for _, sample := range samples {
			greatest = max(greatest, s.value(sample))
		}
	}
	f.Top = chart.Top(greatest, least)
	d := drawing{Title: title, Top: words(f.Top), Width: chart.Width, Height: chart.Height}
	if limit > 0 {
		d.Limited, d.Limit = true, f.Y(limit)
		d.Summary = "The budget is " + words(limit) + ". "
	}
	spots := make([]string, len(samples))
	for i, s := range all {
		points, most := make([]chart.Point, len(samples)), 0.0
		for j, sample := range samples {
			points[j] = chart.Point{At: sample.At, Value: s.value(sample)}
			most = max(most, points[j].Value)
			if i > 0 {
				spots[j] += ", "
			}
			spots[j] += s.name + " " + words(points[j].Value)
		}
		last := words(s.value(current))
		line := drawn{Name: s.name, Class: s.class, Line: f.Line(points), Now: last}
		if s.area {
			line.Area = f.Area(points)
		}
		d.Lines = append(d.Lines, line)
		d.Summary += fmt.Sprintf("%s: now %s, at most %s. ", s.name, last, words(most))
	}
	for j, sample := range samples {
		x, width := f.Span(chart.Point{At: sample.At})
		d.Spots = append(d.Spots, spot{x, width, sample.At.Format(tick) + ": " + spots[j]})
	}
	return d
}
