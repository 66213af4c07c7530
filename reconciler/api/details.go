package api

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// life is what the page of a server shows.
type life struct {
	serverRow
	Events []event
	Runs   []runRow
	Logs   bool // its machine can be asked for them
}

// event is something in the life of a server.
type event struct {
	At    time.Time
	What  string
	After time.Duration // the one before
	Mood  string
}

func (a *API) serverPage(c *gin.Context) (view, error) {
	ctx := c.Request.Context()
	s, err := a.store.Server(ctx, c.Param("name"))
	if err != nil {
		return view{}, err
	}
	typical, err := a.Pages.Store.CreateTimes(ctx)
	if err != nil {
		return view{}, err
	}
	l := life{serverRow: newServerRow(s, typical, time.Now()), Events: events(s), Logs: a.Machines != nil && s.Phase != state.Stopped && s.Address != ""}
	runs, err := a.store.Runs(ctx, state.RunFilter{Stack: s.Stack, Limit: maxLimit})
	for _, r := range runs {
		if len(l.Runs) == rows {
			break
		}
		if _, imported := r.Imports[s.Name]; imported || slices.Contains(r.Creates, s.Name) || slices.Contains(r.Deletes, s.Name) {
			l.Runs = append(l.Runs, a.runRow(r))
		}
	}
	return view{Title: s.Name, Here: "servers", Live: true, Body: l}, err
}

// events are what is known of a server's life, in order of time.
func events(s state.Server) (list []event) {
	for _, e := range []event{
		{At: s.Created, What: "decided"},
		{At: s.Began, What: "Terraform began to create it", Mood: "busy"},
		{At: s.Active, What: "its machine is there"},
		{At: s.Reached, What: "its machine answered"},
		{At: s.Started, What: "running: it takes builds", Mood: "good"},
		{At: s.Served, What: "its first build"},
		{At: s.Repaired, What: "its runner was started anew", Mood: "waits"},
		{At: s.Unreachable, What: "its machine has not answered since", Mood: "bad"},
		{At: s.IdleSince, What: "idle since"},
		{At: s.Told, What: "its runner was told to take no more builds", Mood: "waits"},
		{At: s.Drained, What: "its runner has ended"},
		{At: s.Stopped, What: "gone", Mood: "over"},
	} {
		if !e.At.IsZero() {
			list = append(list, e)
		}
	}
	if s.Phase == state.Failed {
		list = append(list, event{At: s.Updated, What: "it went wrong", Mood: "bad"})
	}
	slices.SortStableFunc(list, func(x, y event) int { return x.At.Compare(y.At) })
	for i := range list[:max(0, len(list)-1)] {
		list[i+1].After = list[i+1].At.Sub(list[i].At)
	}
	return list
}

// machineLogs is what the page of a machine's logs shows.
type machineLogs struct {
	Server state.Server
	Text   string
	Cut    bool // the begin of it is not shown
	Error  string
}

// logsTime is how long a page waits for the logs of a machine.
const logsTime = 20 * time.Second

func (a *API) logsPage(c *gin.Context) (view, error) {
	s, err := a.store.Server(c.Request.Context(), c.Param("name"))
	if err != nil {
		return view{}, err
	}
	l := machineLogs{Server: s}
	switch {
	case a.Machines == nil:
		l.Error = "machines are not reached: DRONE_AGENT_SSH=false"
	case s.Phase == state.Stopped || s.Address == "":
		l.Error = "it has no machine that could answer"
	default:
		ctx, cancel := context.WithTimeout(c.Request.Context(), logsTime)
		defer cancel()
		var text bytes.Buffer
		if err := a.Machines.Logs(ctx, s, false, &text); err != nil {
			if state.CodeOf(err) == "" {
				return view{}, err
			}
			l.Error = err.Error()
		}
		l.Text, l.Cut = tail(text.String())
	}
	return view{Title: "Logs of " + s.Name, Here: "servers", Body: l}, nil
}

func (a *API) destroyPage(c *gin.Context) (view, error) {
	s, err := a.store.Server(c.Request.Context(), c.Param("name"))
	return view{Title: "Destroy " + s.Name, Here: "servers", Body: s}, err
}

// runDetails is what the page of a run shows.
type runDetails struct {
	runRow
	Servers []serverRow // that it creates or destroys just now
	Plan    []line
	PlanCut bool
	Log     string
	LogCut  bool
}

func (a *API) runPage(c *gin.Context) (view, error) {
	ctx := c.Request.Context()
	id, err := runID(c)
	if err != nil {
		return view{}, err
	}
	found, err := a.store.Run(ctx, id)
	if err != nil {
		return view{}, err
	}
	d := runDetails{runRow: a.runRow(found)}
	if d.Servers, err = a.underWay(ctx, found); err != nil {
		return view{}, err
	}
	plan, err := a.store.RunPlan(ctx, id)
	if err != nil && state.CodeOf(err) != state.NotFound {
		return view{}, err
	}
	text, cut := clip(strings.TrimLeft(plan.Text, "\n"))
	d.Plan, d.PlanCut = lines(text), cut
	log, err := a.store.RunLog(ctx, id)
	d.Log, d.LogCut = tail(log)
	return view{Title: "Run " + strconv.FormatInt(id, 10), Here: "runs", Live: true, Body: d}, err
}

// underWay returns the servers that an apply creates or destroys just now.
func (a *API) underWay(ctx context.Context, r state.Run) (servers []serverRow, err error) {
	if r.Phase != state.RunApplying {
		return nil, nil
	}
	typical, err := a.Pages.Store.CreateTimes(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(r.Creates, r.Deletes) {
		s, err := a.store.Server(ctx, name)
		if err != nil {
			return nil, err
		}
		servers = append(servers, newServerRow(s, typical, time.Now()))
	}
	return servers, nil
}

// stackDetails is what the page of a stack shows.
type stackDetails struct {
	state.Stack
	Outputs  map[string]state.Device
	Versions []state.StateVersion
	More     int // versions that are not shown
	Runs     []runRow
}

func (a *API) stackPage(c *gin.Context) (view, error) {
	ctx, name := c.Request.Context(), c.Param("name")
	found, err := a.store.Stack(ctx, name)
	if err != nil {
		return view{}, err
	}
	found.Settings = state.WithoutSecrets(found.Settings)
	d := stackDetails{Stack: found}
	if d.Outputs, err = a.store.Outputs(ctx, name); err != nil {
		return view{}, err
	}
	versions, err := a.store.Versions(ctx, name)
	if err != nil {
		return view{}, err
	}
	d.More = max(0, len(versions)-rows)
	d.Versions = versions[:len(versions)-d.More]
	runs, err := a.store.Runs(ctx, state.RunFilter{Stack: name, Limit: rows})
	for _, r := range runs {
		d.Runs = append(d.Runs, a.runRow(r))
	}
	return view{Title: name, Here: "stacks", Live: true, Body: d}, err
}

// versionDetails is what the page of a recorded state shows.
type versionDetails struct {
	state.StateVersion
	Before     *state.StateVersion  // with which it is compared; nil: with nothing, it is the first one
	Others     []state.StateVersion // with which it can be
	Difference []line
	State      string
	Cut        bool
}

func (a *API) versionPage(c *gin.Context) (view, error) {
	ctx, stack := c.Request.Context(), c.Param("name")
	serial, err := strconv.ParseInt(c.Param("serial"), 10, 64)
	if err != nil {
		return view{}, state.Errorf(state.NotFound, "there is no state version %s: they have whole numbers", c.Param("serial"))
	}
	versions, err := a.store.Versions(ctx, stack)
	if err != nil {
		return view{}, err
	}
	i := slices.IndexFunc(versions, func(v state.StateVersion) bool { return v.Serial == serial })
	if i < 0 {
		return view{}, state.Errorf(state.NotFound, "stack %s has no state version %d", stack, serial)
	}
	d := versionDetails{StateVersion: versions[i], Others: slices.Delete(slices.Clone(versions), i, i+1)}
	if i+1 < len(versions) {
		d.Before = &versions[i+1]
	}
	if text := c.Query("from"); text != "" {
		if d.Before, err = versionFrom(versions, text); err != nil {
			return view{}, err
		}
	}
	difference, err := a.Pages.States.Difference(ctx, d.Before, d.StateVersion)
	if err != nil {
		return view{}, err
	}
	difference, cut := clip(difference)
	d.Difference = lines(difference)
	text, err := a.Pages.States.Show(ctx, d.StateVersion)
	d.State, d.Cut = clip(text)
	d.Cut = d.Cut || cut
	return view{Title: stack + ", serial " + strconv.FormatInt(serial, 10), Here: "stacks", Body: d}, err
}

// versionFrom is the newest version of the serial that text tells.
func versionFrom(versions []state.StateVersion, text string) (*state.StateVersion, error) {
	serial, err := strconv.ParseInt(text, 10, 64)
	i := slices.IndexFunc(versions, func(v state.StateVersion) bool { return v.Serial == serial })
	if err != nil || i < 0 {
		return nil, state.Errorf(state.Invalid, "from=%s: wanted is the serial of a recorded state of this stack", text)
	}
	return &versions[i], nil
}
