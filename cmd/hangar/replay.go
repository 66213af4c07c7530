package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"hangar/reconciler/drone"
	"hangar/reconciler/replay"
	"hangar/reconciler/scale"
	"hangar/state"
)

type replayCommand struct {
	Trace     string        `arg:"" optional:"" help:"File with a trace, a line of JSON a stage; -: standard input. Or one that is made up: steady, daily or bursts."`
	FromDrone bool          `help:"Replay what the Drone server of DRONE_SERVER_HOST ran in the last --days."`
	Days      int           `default:"28" help:"Days of a trace that is made up, or read from Drone."`
	PerDay    int           `default:"1000" help:"Builds a day of a trace that is made up."`
	Save      string        `placeholder:"FILE" help:"Write the trace to a file, and replay it."`
	Set       []string      `sep:"none" placeholder:"SETTINGS" help:"Compare with other settings: max=8 or max=8,idle=5m or arm64.max=8 (of one pool). May be given several times, each one a comparison."`
	Boot      string        `default:"5m,6m,7m" help:"How long machines take from the order until they run builds: each draws one of these."`
	Fail      float64       `default:"0" help:"Share of machines that fail to boot."`
	Billed    time.Duration `default:"1h" help:"What machines are billed in; 0s: by the second."`
	Price     float64       `default:"0" help:"What a machine costs an hour, where the pools do not say."`
	Goal      time.Duration `placeholder:"D" help:"Recommend a minimum, maximum and buffer with which 95% of all builds wait for no longer than this, at the least machine hours."`
	SVG       string        `name:"svg" placeholder:"FILE" help:"Draw the machines over time."`
	Seed      uint64        `default:"1" help:"Of what is drawn: the same seed gives the same result."`
	printing
}

// Help teaches what a trace is.
func (replayCommand) Help() string {
	return `Drives the decisions that hangar serve would make, with the settings and the pools file of the environment, by a trace of builds in simulated time, and tells how long builds wait and what the machines cost; beside it drone/autoscaler's rule with the same settings, and any others that you want compared. Nothing is asked of Drone (but for --from-drone) or of a provider, and no secret is needed.

A trace has a line for each stage: when it came, and for how long it ran (seconds, or as in "4m30s"); what it asks of a runner, where that is not linux/amd64:

    {"at": "2026-01-05T08:00:00Z", "duration": 240}
    {"at": "2026-01-05T08:00:10Z", "duration": "1h10m", "os": "linux", "arch": "arm64", "labels": {"size": "large"}}

More fields are variant, kernel, kind, type, and repo, name and limit, by which Drone limits concurrency.

    hangar replay daily
    hangar replay --from-drone --days 90 --save trace.jsonl --goal 2m
    hangar replay trace.jsonl --set max=8 --set max=8,idle=5m,buffer=2 --svg machines.svg

What can be set: min, max, buffer, concurrency, idle, min_age, billing and create_budget, as in a pools file, and interval (DRONE_INTERVAL). Waits are from the arrival of a stage until it runs. Hours are those from the order of a machine to its end; what is billed counts from when it runs.`
}

func (c replayCommand) Run(p *program) error {
	run, err := c.prepare(p)
	if err != nil {
		return err
	}
	trace, err := c.trace(p)
	if err != nil {
		return err
	}
	answer := replayed{Results: []*replay.Result{}}
	for _, setup := range run {
		r, err := replay.Run(p.ctx, trace, setup)
		if err != nil {
			return err
		}
		answer.Results = append(answer.Results, r)
	}
	if c.Goal > 0 {
		if answer.Advice, err = replay.Recommend(p.ctx, trace, run[0], c.Goal); err != nil {
			return err
		}
	}
	if c.SVG != "" {
		var picture bytes.Buffer
		if err := replay.SVG(&picture, answer.Results); err != nil {
			return err
		}
		if err := os.WriteFile(c.SVG, picture.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return c.print(p.stdout, answer, func(w io.Writer) { answer.text(w, c.Goal) })
}

// prepare makes the setups: that of the environment, those of --set, and
// drone/autoscaler's.
func (c replayCommand) prepare(p *program) ([]replay.Setup, error) {
	machines := replay.Machines{Fail: c.Fail, Billed: c.Billed, Seed: c.Seed}
	for _, text := range strings.Split(c.Boot, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil || d < 0 {
			return nil, fmt.Errorf("--boot=%s: want durations such as 5m,6m30s", c.Boot)
		}
		machines.Boot = append(machines.Boot, d)
	}
	switch {
	case c.Fail < 0 || c.Fail >= 1:
		return nil, fmt.Errorf("--fail=%g: want a share from 0 up to, not including, 1", c.Fail)
	case c.Days < 1 || c.PerDay < 1:
		return nil, errors.New("--days and --per-day: want 1 or more")
	case c.Billed < 0 || c.Goal < 0 || c.Price < 0:
		return nil, errors.New("--billed, --goal and --price: want 0 or more")
	}
	environ := maps.Clone(p.environ)
	for name, value := range map[string]string{ // nobody is asked
		"DRONE_SERVER_HOST": "drone.example.com", "DRONE_SERVER_TOKEN": "none", "DRONE_AGENT_TOKEN": "none",
		"DRONE_PACKET_APIKEY": "none", "DRONE_PACKET_PROJECT_ID": "none",
	} {
		if environ[name] == "" {
			environ[name] = value
		}
	}
	cfg, err := parseConfig(environ)
	if err != nil {
		return nil, err
	}
	agents, err := cfg.agents()
	if err != nil {
		return nil, err
	}
	source, err := cfg.pools(environ, agents, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	base := replay.Setup{Name: "as set", Policy: scale.Decide, Pools: replay.Changed{Pools: source, Change: priced(c.Price)}, Scheduled: cfg.PoolsFile != "", Interval: cfg.Interval, Machines: machines}
	setups := []replay.Setup{base}
	for _, text := range c.Set {
		s, err := changed(base, text)
		if err != nil {
			return nil, fmt.Errorf("--set %s: %w", text, err)
		}
		setups = append(setups, s)
	}
	theirs := base
	theirs.Pools = replay.Changed{Pools: base.Pools, Change: func(p *state.Pool) { p.LearnBuffer = false }} // it does not learn
	theirs.Name, theirs.Policy, theirs.Interval, theirs.Always = "drone/autoscaler", replay.Autoscaler, replay.AutoscalerInterval, true
	return append(setups, theirs), nil
}

// trace reads the trace, or makes it up.
func (c replayCommand) trace(p *program) (trace []replay.Stage, err error) {
	switch {
	case c.FromDrone && c.Trace != "":
		return nil, errors.New("--from-drone and a trace: want one of them")
	case c.FromDrone:
		trace, err = c.history(p)
	case c.Trace == "":
		return nil, errors.New("name a file with a trace, or steady, daily or bursts for one that is made up; or --from-drone (see hangar replay --help)")
	case slices.Contains(replay.Shapes, c.Trace):
		trace = replay.Make(c.Trace, c.Days, c.PerDay, c.Seed)
	case c.Trace == "-":
		trace, err = replay.Read(os.Stdin)
	default:
		var file *os.File
		if file, err = os.Open(c.Trace); err != nil {
			return nil, err
		}
		defer file.Close()
		trace, err = replay.Read(file)
		if err != nil {
			err = fmt.Errorf("%s: %w", c.Trace, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(trace) == 0 {
		return nil, errors.New("the trace is empty: there is nothing to replay")
	}
	if c.Save != "" {
		err = writeWhole(c.Save, func(w io.Writer) error { return replay.Write(w, trace) })
	}
	return trace, err
}

// history reads what Drone ran.
func (c replayCommand) history(p *program) ([]replay.Stage, error) {
	cfg, err := parseSettings(p.environ, func(name string) bool {
		return name == "DRONE_SERVER_PROTO" || name == "DRONE_SERVER_HOST" || name == "DRONE_SERVER_TOKEN"
	})
	if err != nil {
		return nil, err
	}
	client := drone.New(cfg.ServerURL(), cfg.ServerToken)
	stages, err := client.History(p.ctx, time.Now().AddDate(0, 0, -c.Days), func(repo string, stages int) {
		fmt.Fprintf(p.stderr, "read %s: %s so far\n", repo, plural(stages, "stage"))
	})
	if err != nil {
		return nil, err
	}
	var trace []replay.Stage
	for _, s := range stages {
		trace = append(trace, replay.Stage{
			At: s.Created, Runs: s.Ran, OS: s.OS, Arch: s.Arch, Variant: s.Variant, Kernel: s.Kernel, Kind: s.Kind, Type: s.Type,
			Labels: s.Labels, RepoID: s.RepoID, Name: s.Name, Limit: s.Limit,
		})
	}
	return trace, nil
}

// replayed is what a replay answers.
type replayed struct {
	Results []*replay.Result `json:"results"`
	Advice  *replay.Advice   `json:"advice,omitempty"`
}

func (a replayed) text(out io.Writer, goal time.Duration) {
	first := a.Results[0]
	fmt.Fprintf(out, "%s from %s to %s\n\n", plural(first.Stages, "stage"), first.From.Format(time.DateTime), first.To.Format(time.DateTime+" MST"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twait: mean\tp50\tp95\tp99\tmachines\tat once\thours\tbilled\tbusy\tcost\t")
	for _, r := range a.Results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%.0f\t%.0f\t%.0f%%\t%.2f\t\n", r.Name, seconds(r.Mean), seconds(r.P50), seconds(r.P95), seconds(r.P99),
			r.Machines, r.Most, r.Hours, r.Billed, 100*r.Busy, r.Cost)
	}
	w.Flush()
	for _, r := range a.Results {
		if r.Unmatched > 0 && r == first {
			fmt.Fprintf(out, "\nLeft out, since no pool may run what they ask for: %s\n", plural(r.Unmatched, "stage"))
		}
		if r.Stuck > 0 {
			fmt.Fprintf(out, "\nWith %s, for ever: %s\n", r.Name, plural(r.Stuck, "stage"))
		}
	}
	if advice := a.Advice; advice != nil && advice.Result == nil {
		fmt.Fprintf(out, "\nFor 95%% to wait no longer than %s nothing was found\n", goal)
	} else if advice != nil {
		fmt.Fprintf(out, "\nFor 95%% to wait no longer than %s: pool %s with a minimum of %d, a maximum of %d and a buffer of %d\n(p95 %s, mean %s; %.0f hours billed)\n",
			goal, advice.Pool, advice.Min, advice.Max, advice.Buffer, seconds(advice.Result.P95), seconds(advice.Result.Mean), advice.Result.Billed)
	}
}

// seconds is a wait for people.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
