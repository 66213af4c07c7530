package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// turn is where a paged list goes on; empty: not that way.
type turn struct{ Newer, Older string }

// maxPage is more pages than any list has.
const maxPage = 1_000_000

// pageNumber is which page of a list is asked for, from 1 on.
func pageNumber(c *gin.Context) (int, error) {
	text := c.DefaultQuery("page", "1")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, state.Errorf(state.Invalid, "page=%s: wanted is a whole number from 1 to %d", text, maxPage)
	}
	return n, nil
}

// leaf returns one page of a list, and where it goes on.
func leaf[T any](c *gin.Context, all []T) (shown []T, t turn, err error) {
	n, err := pageNumber(c)
	if err != nil {
		return nil, t, err
	}
	query := c.Request.URL.Query()
	to := func(n int) string {
		query.Set("page", strconv.Itoa(n))
		return "?" + query.Encode()
	}
	from := min(len(all), (n-1)*rows)
	end := min(len(all), from+rows)
	if n > 1 {
		t.Newer = to(n - 1)
	}
	if end < len(all) {
		t.Older = to(n + 1)
	}
	return all[from:end], t, nil
}

// serverList is what the list of servers shows.
type serverList struct {
	Servers []serverRow
	Gone    bool // those that are gone, else those that are there
	All     int
	Turn    turn
	Pools   []string // in which a server can be made
}

func (a *API) serversPage(c *gin.Context) (view, error) {
	ctx, at := c.Request.Context(), time.Now().UTC()
	l := serverList{Gone: c.Query("gone") == "true"}
	var servers []state.Server
	if l.Gone {
		all, err := a.store.Servers(ctx)
		if err != nil {
			return view{}, err
		}
		servers = slices.DeleteFunc(all, func(s state.Server) bool { return s.Phase != state.Stopped })
		slices.SortStableFunc(servers, func(x, y state.Server) int { return y.Stopped.Compare(x.Stopped) })
	} else {
		snap, err := a.Pages.Store.Snapshot(ctx, at)
		if err != nil {
			return view{}, err
		}
		servers = snap.Servers
		slices.Reverse(servers)
	}
	typical, err := a.Pages.Store.CreateTimes(ctx)
	if err != nil {
		return view{}, err
	}
	l.All = len(servers)
	shown, turn, err := leaf(c, servers)
	l.Turn = turn
	for _, s := range shown {
		l.Servers = append(l.Servers, newServerRow(s, typical, at))
	}
	for _, p := range a.Pages.Pools.At(at).Pools {
		l.Pools = append(l.Pools, p.Name)
	}
	return view{Title: "Servers", Here: "servers", Live: true, Body: l}, err
}

// runList is what the list of runs shows.
type runList struct {
	Runs   []runRow
	Phases []state.RunPhase
	Phase  state.RunPhase // only those; empty: all
	Stack  string         // likewise
	Turn   turn
}

func (a *API) runsPage(c *gin.Context) (view, error) {
	before, _, err := page(c)
	if err != nil {
		return view{}, err
	}
	l := runList{Phases: runPhases, Phase: state.RunPhase(c.Query("phase")), Stack: c.Query("stack")}
	if l.Phase != "" && !slices.Contains(runPhases, l.Phase) {
		return view{}, state.Errorf(state.Invalid, "phase=%s: wanted is one of %v", l.Phase, runPhases)
	}
	runs, err := a.store.Runs(c.Request.Context(), state.RunFilter{Stack: l.Stack, Phase: l.Phase, Before: before, Limit: rows + 1})
	for _, r := range runs[:min(len(runs), rows)] {
		l.Runs = append(l.Runs, a.runRow(r))
	}
	if len(runs) > rows {
		l.Turn.Older = older(c, runs[rows-1].ID)
	}
	l.Turn.Newer = newest(c, before)
	return view{Title: "Runs", Here: "runs", Live: true, Body: l}, err
}

// older leads to what is older than an item.
func older(c *gin.Context, before int64) string {
	query := c.Request.URL.Query()
	query.Set("before", strconv.FormatInt(before, 10))
	return "?" + query.Encode()
}

// newest leads back to the newest items, from any others.
func newest(c *gin.Context, before int64) string {
	if before == 0 {
		return ""
	}
	query := c.Request.URL.Query()
	query.Del("before")
	return "?" + query.Encode()
}

// stackList is what the list of stacks shows.
type stackList struct {
	Stacks  []state.Stack
	Emptied bool // those without devices, else the others
	All     int
	Turn    turn
}

func (a *API) stacksPage(c *gin.Context) (view, error) {
	stacks, err := a.store.Stacks(c.Request.Context())
	if err != nil {
		return view{}, err
	}
	l := stackList{Emptied: c.Query("emptied") == "true"}
	stacks = slices.DeleteFunc(stacks, func(s state.Stack) bool { return s.Emptied.IsZero() == l.Emptied })
	slices.Reverse(stacks)
	l.All = len(stacks)
	l.Stacks, l.Turn, err = leaf(c, stacks)
	return view{Title: "Stacks", Here: "stacks", Live: true, Body: l}, err
}

// decisionList is what the list of decisions shows.
type decisionList struct {
	Decisions []state.Decision
	Turn      turn
}

func (a *API) decisionsPage(c *gin.Context) (view, error) {
	before, _, err := page(c)
	if err != nil {
		return view{}, err
	}
	decisions, err := a.store.Decisions(c.Request.Context(), before, rows+1)
	l := decisionList{Decisions: decisions[:min(len(decisions), rows)]}
	if len(decisions) > rows {
		l.Turn.Older = older(c, decisions[rows-1].ID)
	}
	l.Turn.Newer = newest(c, before)
	return view{Title: "Decisions", Here: "decisions", Live: true, Body: l}, err
}

// findingList is what the list of findings shows.
type findingList struct {
	Findings []state.Finding
	At       time.Time // when the sweep began
	Error    string    // why it could not look everywhere
	Turn     turn
}

func (a *API) findingsPage(c *gin.Context) (view, error) {
	audit, err := a.auditor.Last(c.Request.Context())
	if err != nil {
		return view{}, err
	}
	l := findingList{At: audit.At, Error: audit.Error}
	l.Findings, l.Turn, err = leaf(c, audit.Findings)
	return view{Title: "Findings", Here: "now", Live: true, Body: l}, err
}

func (a *API) restPage(*gin.Context) (view, error) {
	return view{Title: "REST", Here: "rest", Body: a.describe().routes.Routes}, nil
}
