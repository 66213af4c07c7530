package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"hangar/state"
)

type statusCommand struct {
	Watch bool `short:"w" help:"Draw it again every 2 seconds, on a terminal, until Ctrl-C."`
	printing
}

// Help teaches what is to be seen.
func (statusCommand) Help() string {
	return `Asks the running hangar serve for what there is, on one screen: the queue by pool against the room there is, and what holds a pool; servers by state, with what terraform does to them; runs in flight; what the last sweep found. Needs only DRONE_DATA and DRONE_SERVER_TOKEN.

    hangar status --watch
    hangar status --json | jq '.pools[] | {pool, waiting, free, held}'

hangar explain tells why it is so.`
}

// watchEvery is how often a watched status is drawn.
const watchEvery = 2 * time.Second

func (c statusCommand) Run(p *program) error {
	a, err := newAsker(p)
	if err != nil {
		return err
	}
	if c.Watch {
		return c.watch(p, a)
	}
	s, err := a.status(p.ctx)
	if err != nil {
		return err
	}
	return c.print(p.stdout, s, s.draw)
}

// watch draws the status over and over in the same place. A server that does
// not answer is told of, and asked again.
func (c statusCommand) watch(p *program, a asker) error {
	f, ok := p.stdout.(*os.File)
	if c.JSON || !ok || !term.IsTerminal(int(f.Fd())) {
		return errors.New("--watch draws on a terminal, for people: leave it out here")
	}
	picture := &display{out: f, width: func() int { w, _, _ := term.GetSize(int(f.Fd())); return w }}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s, err := a.status(p.ctx)
		if p.ctx.Err() != nil {
			return nil
		}
		lines := s.lines()
		if err != nil {
			lines = []string{err.Error()}
		}
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && height > 0 && len(lines) >= height {
			lines = lines[:max(0, height-1)]
		}
		picture.draw(lines)
		select {
		case <-p.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// status is what there is.
type status struct {
	At        time.Time             `json:"at"`
	Paused    bool                  `json:"paused"`
	Queue     string                `json:"queue"` // why the queue cannot be read now; empty: it can. Else pools and unmatched are those of the last decision
	Pools     []state.ExplainedPool `json:"pools"`
	Unmatched []state.Unmatched     `json:"unmatched"`
	Servers   []statusServer        `json:"servers"`
	Runs      []state.Run           `json:"runs"` // in flight
	Audit     state.Audit           `json:"audit"`
}

// statusServer is what a status tells of a server that is not gone.
type statusServer struct {
	Name     string      `json:"name"`
	Pool     string      `json:"pool"`
	State    state.Phase `json:"state"`
	Updated  int64       `json:"updated"` // unix seconds
	Progress *struct {
		Action  string `json:"action"`
		Elapsed int64  `json:"elapsed"` // seconds
	} `json:"progress"`
	Setup  string `json:"setup"`
	Reason string `json:"reason"`
	Error  string `json:"error"`
}

// inFlight are the phases of runs that have not ended.
var inFlight = []state.RunPhase{state.RunPlanning, state.RunPlanned, state.RunApplying}

// status asks for all of it.
func (a asker) status(ctx context.Context) (s status, err error) {
	s = status{At: time.Now().UTC(), Unmatched: []state.Unmatched{}, Servers: []statusServer{}, Runs: []state.Run{}}
	if err := a.queue(ctx, &s); err != nil {
		return s, err
	}
	var servers []statusServer
	if err := a.get(ctx, "/api/servers", &servers); err != nil {
		return s, err
	}
	for _, server := range servers {
		if server.State != state.Stopped {
			s.Servers = append(s.Servers, server)
		}
	}
	for _, phase := range inFlight {
		var runs []state.Run
		if err := a.get(ctx, "/api/runs?phase="+string(phase), &runs); err != nil {
			return s, err
		}
		s.Runs = append(s.Runs, runs...)
	}
	return s, a.get(ctx, "/api/audit", &s.Audit)
}

// queue asks for the pools: as they are now or, while Drone does not answer, as
// they were at the last decision.
func (a asker) queue(ctx context.Context, s *status) error {
	var e state.Explanation
	failed := a.get(ctx, "/api/explain", &e)
	if failed == nil {
		s.Paused, s.Pools, s.Unmatched = e.Paused, e.Pools, unmatched(e.Stages)
		return nil
	}
	var last []state.Decision
	if err := a.get(ctx, "/api/decisions?limit=1", &last); err != nil {
		return err
	}
	s.Queue, s.Pools = failed.Error(), []state.ExplainedPool{}
	for _, d := range last {
		s.Paused, s.Unmatched = d.Paused, d.Unmatched
		for _, p := range d.Pools {
			s.Pools = append(s.Pools, state.ExplainedPool{PoolDecision: p})
		}
	}
	return nil
}

// unmatched gathers the stages that no pool may run by what they ask for.
func unmatched(stages []state.ExplainedStage) []state.Unmatched {
	list, at := []state.Unmatched{}, map[string]int{}
	for _, s := range stages {
		if s.Place != state.StageUnmatched {
			continue
		}
		i, known := at[s.Asks]
		if !known {
			i = len(list)
			at[s.Asks], list = i, append(list, state.Unmatched{Asks: s.Asks, Reason: s.Reason})
		}
		list[i].Stages = append(list[i].Stages, s.Stage)
	}
	return list
}

// lines is the status as people read it, line by line.
func (s status) lines() []string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	s.draw(w)
	w.Flush()
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

func (s status) draw(w io.Writer) {
	if s.Paused {
		fmt.Fprint(w, "Paused: nothing is created or removed until POST /api/resume\n\n")
	}
	if s.Queue != "" {
		fmt.Fprintf(w, "The queue cannot be read, and these are the figures of the last decision: %s\n\n", s.Queue)
	}
	fmt.Fprintln(w, "POOL\tWAITING\tHELD BACK\tASSIGNED\tROOM\tFREE\tSERVERS\tHELD")
	for _, p := range s.Pools {
		servers := fmt.Sprint(p.Billed)
		if p.Max > 0 {
			servers = fmt.Sprintf("%d of %d to %d", p.Billed, p.Min, p.Max)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", p.Pool, p.Waiting, p.HeldBack, p.Assigned, p.Usable, p.Free, servers, cmp.Or(p.Held, "-"))
	}
	for _, u := range s.Unmatched {
		fmt.Fprintf(w, "\n%s no pool may run: %s: %s\n", plural(len(u.Stages), "stage"), u.Asks, u.Reason)
	}
	s.drawServers(w)
	if len(s.Runs) > 0 {
		fmt.Fprintln(w, "\nRUN\tSTACK\tPHASE\tCREATES\tDESTROYS\tFOR")
	}
	for _, r := range s.Runs {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\t%s\n", r.ID, r.Stack, r.Phase, len(r.Creates), len(r.Deletes), s.At.Sub(r.Started).Round(time.Second))
	}
	for _, r := range s.Runs {
		if r.Undecided() {
			fmt.Fprintf(w, "\nRun %d waits for approval since %s: hangar runs %d shows its plan; hangar approve %d, or hangar discard %d\n", r.ID, r.Waits.Local().Format(time.DateTime), r.ID, r.ID, r.ID)
		}
	}
	if s.Audit.Error != "" {
		fmt.Fprintf(w, "\nThe provider could not be looked at: %s\n", s.Audit.Error)
	}
	if len(s.Audit.Findings) > 0 {
		fmt.Fprintln(w, "\nFINDING\tDEVICE\tSERVER\tDETAIL\tACTION")
	}
	for _, f := range s.Audit.Findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Kind, cmp.Or(f.Device, "-"), cmp.Or(f.Server, "-"), f.Detail, f.Action)
	}
}

// oneScreen is how many servers are shown line by line; with more, the running
// ones are only counted.
const oneScreen = 25

func (s status) drawServers(w io.Writer) {
	count := map[state.Phase]int{}
	for _, server := range s.Servers {
		count[server.State]++
	}
	var words []string
	for _, phase := range []state.Phase{state.Pending, state.Creating, state.Created, state.Staging, state.Running, state.Shutdown, state.Stopping, state.Failed} {
		if count[phase] > 0 {
			words = append(words, fmt.Sprintf("%d %s", count[phase], phase))
		}
	}
	fmt.Fprintf(w, "\n%s%s\n", plural(len(s.Servers), "server"), strings.Join(append([]string{""}, words...), ", "))
	shown := 0
	for _, server := range s.Servers {
		if len(s.Servers) > oneScreen && server.State == state.Running {
			continue
		}
		if shown++; shown > oneScreen {
			fmt.Fprintln(w, "...")
			return
		}
		if shown == 1 {
			fmt.Fprintln(w, "\nSERVER\tPOOL\tSTATE\tFOR\tPROGRESS\tWHY")
		}
		progress := cmp.Or(server.Setup, "-")
		if p := server.Progress; p != nil {
			progress = fmt.Sprintf("%s, %s", p.Action, time.Duration(p.Elapsed)*time.Second)
		}
		since := s.At.Sub(time.Unix(server.Updated, 0)).Round(time.Second)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", server.Name, server.Pool, server.State, since, progress, cmp.Or(server.Error, server.Reason))
	}
}
