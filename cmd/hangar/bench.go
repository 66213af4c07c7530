package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

type benchCommand struct {
	Parts    []string      `arg:"" optional:"" enum:"hook,burst,idle,census" help:"hook, burst, idle, census; all of them unless some are named."`
	Hooks    int           `default:"20" help:"hook: builds, one after the other."`
	Bursts   []int         `default:"10,100,500" help:"burst: servers that are wanted at once, in turn."`
	Idle     time.Duration `default:"1m" help:"idle: for how long is looked."`
	Devices  int           `default:"5000" help:"census: machines at the provider."`
	BootTime time.Duration `default:"2s" help:"How long a machine boots."`
	Mirror   string        `placeholder:"DIR" help:"Filesystem mirror that holds the real provider, which is then used instead of the simulated one."`

	printing
}

// Help tells what is measured.
func (benchCommand) Help() string {
	return "Measures hangar serve, a process of its own, against the simulated Drone and API, with real terraform; the provider waits as the real one does.\n\n" +
		"hook: from a build that arrives, told by Drone's webhook, to the create request at the API, and where the time goes.\n" +
		"burst: servers that are wanted at once, until builds run on all of them, beside the same by plain terraform with one root module and -parallelism as large as the burst; with the memory that all processes take.\n" +
		"idle: processor, memory, disk writes and terraform processes of a hangar that has nothing to do.\n" +
		"census: a look at the provider's list of machines, most of them somebody else's.\n\n" +
		"Decisions, records, REST and pages have benchmarks of their own: go test -bench . ./..."
}

// figure is one thing that was measured.
type figure struct {
	Part  string  `json:"part"`
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// bench is a benchmark under way.
type bench struct {
	benchCommand
	*program
	dir     string // for its files
	figures []figure
}

func (c benchCommand) Run(p *program) (err error) {
	var wrong ConfigError
	for _, n := range c.Bursts {
		if n < 1 || n > 10_000 {
			wrong = append(wrong, fmt.Sprintf("--bursts=%d: want 1 to 10000 servers", n))
		}
	}
	for name, n := range map[string]int{"--hooks": c.Hooks, "--devices": c.Devices} {
		if n < 1 {
			wrong = append(wrong, fmt.Sprintf("%s=%d: want 1 or more", name, n))
		}
	}
	if c.Idle < time.Second {
		wrong = append(wrong, fmt.Sprintf("--idle=%s: want 1s or more", c.Idle))
	}
	if wrong != nil {
		return wrong
	}
	dir, err := os.MkdirTemp("", "hangar-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{benchCommand: c, program: p, dir: dir}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"hook", b.hook}, {"burst", b.bursts}, {"idle", b.idle}, {"census", b.census}} {
		if len(c.Parts) > 0 && !slices.Contains(c.Parts, part.name) {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return c.print(p.stdout, b.figures, func(w io.Writer) {
		fmt.Fprintf(w, "%d processors, %s, hangar %s\n", runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, Version)
		for _, f := range b.figures {
			fmt.Fprintf(w, "%s\t%s\t%s %s\n", f.Part, f.What, rounded(f.Value), f.Unit)
		}
	})
}

// measured notes a figure.
func (b *bench) measured(part, what string, value float64, unit string) {
	b.figures = append(b.figures, figure{part, what, value, unit})
	fmt.Fprintf(b.stderr, "%s: %s: %s %s\n", part, what, rounded(value), unit)
}

// rounded tells a number with three digits that count.
func rounded(v float64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), v)
}

// eventually waits for what a world or hangar brings about.
func eventually(ctx context.Context, what string, within time.Duration, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("%s: that did not come about within %s", what, within))
	defer cancel()
	for {
		if done, err := is(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// share is the value that a share of the sorted values do not exceed.
func share(sorted []float64, of float64) float64 {
	return sorted[max(0, int(math.Ceil(of*float64(len(sorted))))-1)]
}
