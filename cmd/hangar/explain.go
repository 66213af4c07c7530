package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hangar/state"
)

type explainCommand struct {
	What string `arg:"" optional:"" name:"server|stage" help:"Name of a server, or number of a stage as Drone's queue has it; everything, unless set."`
	printing
}

// Help teaches by examples.
func (explainCommand) Help() string {
	return `Asks the running hangar serve what it would decide now, and why: for each pool the figures and the rule that decides; for each server why it stays or leaves, and when it may leave at the earliest; for each waiting stage which pool takes it, what is on its way for it and when it is expected, or why nothing is. Nothing is changed. Needs only DRONE_DATA and DRONE_SERVER_TOKEN.

    hangar explain                      # everything
    hangar explain agent-k3v7q2mn       # why is this machine still there?
    hangar explain 4711                 # why does this stage wait? (hangar explain lists the numbers)
    hangar explain --json | jq '.stages[] | select(.place == "unmatched")'

Places of stages: ready (a runner has room), coming (a server is on its way), held (the pool may not have more), limited (by Drone itself), unmatched (no pool may run it), runs.

When a server is expected is an estimate: the median of how long the last ones of its pool took from decision to running.`
}

func (c explainCommand) Run(p *program) error {
	a, err := newAsker(p)
	if err != nil {
		return err
	}
	path := "/api/explain"
	if c.What != "" {
		path += "/" + url.PathEscape(c.What)
	}
	var e state.Explanation
	if err := a.get(p.ctx, path, &e); err != nil {
		return err
	}
	return c.print(p.stdout, e, func(w io.Writer) {
		if e.Paused {
			fmt.Fprint(w, "Paused: nothing is created or removed until POST /api/resume\n\n")
		}
		for _, pool := range e.Pools {
			explainPool(w, pool)
		}
		if c.What == "" {
			explainAll(w, e)
			return
		}
		for _, s := range e.Servers {
			explainServer(w, s)
		}
		for _, s := range e.Stages {
			explainStage(w, s)
		}
	})
}

func explainPool(w io.Writer, p state.ExplainedPool) {
	fmt.Fprintf(w, "Pool %s, %d to %d servers\n", p.Pool, p.Min, p.Max)
	fmt.Fprintf(w, "  now\t%s\n  rule\t%s\n", p.Reason, p.Rule)
	if p.Lead.Of > 0 {
		fmt.Fprintf(w, "  a server takes\t%s from decision to running (median of the last %d)\n", time.Duration(p.Lead.Median).Round(time.Second), p.Lead.Of)
	}
	fmt.Fprintln(w)
}

func explainServer(w io.Writer, s state.ExplainedServer) {
	fmt.Fprintf(w, "Server %s is %s\n  %s\t%s\n", s.Server, s.Phase, s.Action, s.Reason)
	fmt.Fprintf(w, "  leaves\t%s\n", s.Leave)
	if len(s.Stages) > 0 {
		fmt.Fprintf(w, "  stages on it\t%s\n", numbers(s.Stages))
	}
	fmt.Fprintln(w)
}

func explainStage(w io.Writer, s state.ExplainedStage) {
	fmt.Fprintf(w, "Stage %d (%s, build %d) asks for %s\n  %s\t%s\n", s.Stage, s.Name, s.Build, s.Asks, s.Place, s.Reason)
	if s.Estimate != "" {
		fmt.Fprintf(w, "  when\t%s\n", s.Estimate)
	}
	fmt.Fprintln(w)
}

// shownStages is how many waiting stages are shown line by line.
const shownStages = 50

// explainAll shows all servers, and the waiting stages, a line each.
func explainAll(w io.Writer, e state.Explanation) {
	if len(e.Servers) > 0 {
		fmt.Fprintln(w, "SERVER\tPHASE\tSTAGES\tACTION\tWHY\tLEAVES")
	}
	for _, s := range e.Servers {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", s.Server, s.Phase, len(s.Stages), s.Action, s.Reason, s.Leave)
	}
	waiting, run := 0, 0
	for _, s := range e.Stages {
		if s.Place == state.StageRuns {
			run++
			continue
		}
		if waiting++; waiting > shownStages {
			continue
		}
		if waiting == 1 {
			fmt.Fprintln(w, "\nSTAGE\tNAME\tPOOL\tPLACE\tEXPECTED\tWHY")
		}
		expected := "-"
		if !s.Expected.IsZero() {
			expected = "about " + s.Expected.Local().Format(time.TimeOnly)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", s.Stage, s.Name, cmp.Or(s.Pool, "-"), s.Place, expected, s.Reason)
	}
	if waiting > shownStages {
		fmt.Fprintf(w, "and %d more; --json shows all\n", waiting-shownStages)
	}
	fmt.Fprintf(w, "\n%s waiting, %d on a machine\n", plural(waiting, "stage"), run)
}

// numbers is ids in words.
func numbers(ids []int64) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(words, ", ")
}
