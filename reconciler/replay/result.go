package replay

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"time"

	"hangar/reconciler/chart"
	"hangar/state"
)

// Result is what a setup makes of a trace.
type Result struct {
	Name      string    `json:"name"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Stages    int       `json:"stages"`
	Unmatched int       `json:"unmatched"` // that no pool may run
	Stuck     int       `json:"stuck"`     // that would wait for ever
	Decisions int       `json:"decisions"`

	// For how long stages waited, in seconds.
	Mean float64 `json:"wait_mean"`
	P50  float64 `json:"wait_p50"`
	P95  float64 `json:"wait_p95"`
	P99  float64 `json:"wait_p99"`

	Machines int     `json:"machines"` // that were made
	Failed   int     `json:"failed"`   // of them, that never ran
	Most     int     `json:"most"`     // at once
	Hours    float64 `json:"hours"`    // for which machines were there, all together
	Billed   float64 `json:"billed"`   // hours that are paid
	Busy     float64 `json:"busy"`     // share of their room in which builds ran
	Cost     float64 `json:"cost"`     // of the billed hours, in the currency of the pools' prices

	waits  []time.Duration
	busy   float64 // seconds in which a stage ran
	room   float64 // seconds in which one could have run
	idle   int     // decisions in a row after which nothing had changed
	counts []count
}

// count is how many machines there were from an instant on, and stages waiting.
type count struct {
	at                time.Time
	machines, pending int
}

func (r *Result) waited(d time.Duration) { r.waits = append(r.waits, d) }

func (r *Result) alive(at time.Time, machines, pending int) {
	r.Most = max(r.Most, machines)
	r.counts = append(r.counts, count{at, machines, pending})
}

// paid adds what a machine has cost. It was there from its order to its end; what
// is paid for is counted, as by package scale, from when it began to run.
func (r *Result) paid(s state.Server, end time.Time, unit time.Duration) {
	was := max(0, end.Sub(s.Began))
	r.Hours += was.Hours()
	r.room += was.Seconds() * float64(s.Capacity)
	if !s.Started.IsZero() {
		was = max(0, end.Sub(s.Started))
	}
	if unit > 0 {
		was = max(1, (was+unit-1)/unit) * unit
	}
	r.Billed += was.Hours()
	r.Cost += was.Hours() * s.Price
}

func (r *Result) conclude() {
	slices.Sort(r.waits)
	var sum time.Duration
	for _, w := range r.waits {
		sum += w
	}
	if n := len(r.waits); n > 0 {
		r.Mean = sum.Seconds() / float64(n)
	}
	r.P50, r.P95, r.P99 = r.Wait(0.5).Seconds(), r.Wait(0.95).Seconds(), r.Wait(0.99).Seconds()
	if r.room > 0 {
		r.Busy = r.busy / r.room
	}
}

// Wait is for how long the share q of all stages waited at most: the nearest rank.
func (r *Result) Wait(q float64) time.Duration {
	if len(r.waits) == 0 {
		return 0
	}
	return r.waits[min(len(r.waits)-1, max(0, int(math.Ceil(q*float64(len(r.waits))))-1))]
}

// colours of the lines, which can be told apart on white also by people who do not
// see all colours (Okabe and Ito, https://jfly.uni-koeln.de/color/).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// SVG draws the machines over time of several results of one trace.
func SVG(w io.Writer, results []*Result) error {
	from, to, most := results[0].From, results[0].To, 1
	for _, r := range results {
		most = max(most, r.Most)
		if r.To.After(to) {
			to = r.To
		}
	}
	step := max(time.Minute, to.Sub(from)/500)
	frame := chart.Frame{From: from, To: to, Step: step, Top: chart.Top(float64(most), 1)}
	if _, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-50 -20 %d %d" font-family="sans-serif" font-size="12"><rect x="-50" y="-20" width="100%%" height="100%%" fill="#fff"/>`+"\n",
		chart.Width+70, chart.Height+60+18*len(results)); err != nil {
		return err
	}
	for _, part := range []float64{0, 0.5, 1} {
		y := chart.Height * (1 - part)
		fmt.Fprintf(w, `<path d="M0 %g H%d" stroke="#ccc"/><text x="-6" y="%g" text-anchor="end">%g</text>`+"\n", y, chart.Width, y+4, frame.Top*part)
	}
	fmt.Fprintf(w, `<text x="0" y="%d">%s</text><text x="%d" y="%d" text-anchor="end">%s</text><text x="%d" y="%d" text-anchor="middle">machines</text>`+"\n",
		chart.Height+18, from.Format("2006-01-02 15:04"), chart.Width, chart.Height+18, to.Format("2006-01-02 15:04 MST"), chart.Width/2, chart.Height+18)
	for i, r := range results {
		colour := colours[i%len(colours)]
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", frame.Line(r.points(step)), colour)
		fmt.Fprintf(w, `<path d="M0 %d h20" stroke="%s" stroke-width="3"/><text x="28" y="%d">%s</text>`+"\n", chart.Height+38+18*i, colour, chart.Height+42+18*i, html.EscapeString(r.Name))
	}
	_, err := io.WriteString(w, "</svg>\n")
	return err
}

// points are the most machines of each step.
func (r *Result) points(step time.Duration) []chart.Point {
	var points []chart.Point
	i, now := 0, 0
	for at := r.From; at.Before(r.To); at = at.Add(step) {
		most := now
		for ; i < len(r.counts) && r.counts[i].at.Before(at.Add(step)); i++ {
			now = r.counts[i].machines
			most = max(most, now)
		}
		points = append(points, chart.Point{At: at, Value: float64(most)})
	}
	return points
}
