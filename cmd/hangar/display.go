package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// records is what the display reads.
type records interface {
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Runs(ctx context.Context, f state.RunFilter) ([]state.Run, error)
}

// display draws a simulation on a terminal, over and over in the same place.
type display struct {
	out   io.Writer
	width func() int
	lines int // of the last picture
}

// run draws until ctx ends, and once more then.
func (d *display) run(ctx context.Context, world simulation, store records, began time.Time) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := context.WithoutCancel(ctx)
	for done := false; ; {
		snap, err := store.Snapshot(last, time.Now())
		runs, err2 := store.Runs(last, state.RunFilter{Limit: 6})
		if err == nil && err2 == nil {
			d.draw(picture(world.Stats(), snap, runs, time.Since(began)))
		}
		if done {
			return
		}
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
	}
}

// draw replaces the last picture by the lines. Lines are cut to the terminal's
// width, because a wrapped one would count twice.
func (d *display) draw(lines []string) {
	var b strings.Builder
	if d.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", d.lines)
	}
	width := d.width()
	for _, line := range lines {
		if runes := []rune(line); width > 0 && len(runes) > width {
			line = string(runes[:width-1]) + "…"
		}
		b.WriteString("\r\x1b[K" + line + "\n")
	}
	b.WriteString("\x1b[J")
	d.lines = len(lines)
	io.WriteString(d.out, b.String())
}

// picture is what is to be seen of a simulation, line by line.
func picture(s simulator.Stats, snap state.Snapshot, runs []state.Run, age time.Duration) []string {
	lines := []string{
		"",
		fmt.Sprintf("%-8s %s", "time", age.Round(time.Second)),
		fmt.Sprintf("%-8s %d waiting, %d running, %d succeeded, %d failed", "builds", s.Waiting, s.Running, s.Succeeded, s.Failed),
		fmt.Sprintf("%-8s %d alive, %d created, %d destroyed", "devices", s.Alive, s.Created, s.Destroyed),
		"",
		fmt.Sprintf("%-16s %-9s %-22s %s", "SERVER", "PHASE", "TERRAFORM", "WHY"),
	}
	for _, server := range snap.Servers {
		doing := ""
		if server.Progress.Action != "" {
			doing = fmt.Sprintf("%s, %s", server.Progress.Action, server.Progress.Elapsed.Round(time.Second))
		}
		lines = append(lines, fmt.Sprintf("%-16s %-9s %-22s %s", server.Name, server.Phase, doing, server.Reason))
	}
	lines = append(lines, "", fmt.Sprintf("%-5s %-18s %-11s %-8s %-8s %s", "RUN", "STACK", "PHASE", "CREATE", "DESTROY", "GUARD"))
	for _, r := range runs {
		lines = append(lines, fmt.Sprintf("%-5d %-18s %-11s %-8d %-8d %s", r.ID, r.Stack, r.Phase, len(r.Creates), len(r.Deletes), r.Verdict))
	}
	return append(lines, "", "Ctrl-C ends it.")
}
