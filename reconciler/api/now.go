package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// now is what the first page shows.
type now struct {
	Paused    bool
	Unread    time.Duration // 0: the queue is read
	Pools     []poolRow
	Waiting   int // stages, likewise the next
	OnServers int
	HeldBack  int
	Capacity  int
	Free      int
	Phases    phaseCount
	Servers   []serverRow
	More      int // servers that are not shown
	Runs      []runRow
	Unmatched []state.Unmatched
	Audit     state.Audit
	Findings  []state.Finding // the first of them
	Priced    bool
	Cost      float64 // of today
	Rate      float64 // an hour, now
	Budget    float64 // of a day; 0: not every pool has one
	Timeline  timeline
}

// phaseCount counts servers by what the page tells of them.
type phaseCount struct{ Running, Coming, Leaving, Failed int }

// All counts them all.
func (p phaseCount) All() int { return p.Running + p.Coming + p.Leaving + p.Failed }

// poolRow is a pool with its figures, as the newest decision has them.
type poolRow struct {
	state.Pool
	state.PoolDecision
	Price float64 // of its servers, an hour
	Spent float64 // since the day began
	Gone  bool    // it is in the settings no more
	Bar   bar
}

// bar is a pool's queue against its capacity, in percent of the longer one.
type bar struct{ Running, Waiting, Capacity float64 }

func (p poolRow) bar() bar {
	whole := float64(max(p.Usable, p.Assigned+p.Waiting, 1)) / 100
	return bar{float64(p.Assigned) / whole, float64(p.Waiting) / whole, float64(p.Usable) / whole}
}

// Spare is the capacity that nothing runs on.
func (p poolRow) Spare() int { return max(0, p.Usable-p.Assigned) }

// serverRow is a server with how far its creation is.
type serverRow struct {
	state.Server
	Elapsed time.Duration // since terraform began; 0: it does nothing
	Typical time.Duration // what earlier creates took; 0: not known
}

// Percent is how far a creation is, by what earlier ones took. It is not
// complete before terraform says so.
func (s serverRow) Percent() int {
	if s.Typical == 0 {
		return 0
	}
	return min(97, int(100*s.Elapsed/s.Typical))
}

// Late says whether a creation takes much longer than earlier ones.
func (s serverRow) Late() bool { return s.Typical > 0 && s.Elapsed > 2*s.Typical }

func newServerRow(s state.Server, typical map[string]time.Duration, at time.Time) serverRow {
	row := serverRow{Server: s, Elapsed: s.Progress.Elapsed}
	if s.Progress.Action == "create" {
		row.Typical = typical[s.Pool]
		if !s.Began.IsZero() { // terraform tells of it every ten seconds only
			row.Elapsed = max(row.Elapsed, at.Sub(s.Began))
		}
	}
	return row
}

// runRow is a run with what may be done with it.
type runRow struct {
	state.Run
	Waits bool // for a person, who has not decided yet
}

// Ended says whether the run is over.
func (r runRow) Ended() bool { return !r.Finished.IsZero() }

// Since is when it began to wait for a person; zero: it did not.
func (r runRow) Since() time.Time { return r.Run.Waits }

func (a *API) runRow(r state.Run) runRow {
	return runRow{r, r.Undecided()}
}

// firstFindings is how many findings the first page shows.
const firstFindings = 20

// MoreFindings says whether there are more than the first page shows.
func (n now) MoreFindings() bool { return len(n.Findings) < len(n.Audit.Findings) }

// recentRuns is how many runs that have ended the first page shows.
const recentRuns = 5

func (a *API) nowPage(c *gin.Context) (view, error) {
	ctx, at := c.Request.Context(), time.Now().UTC()
	snap, err := a.Pages.Store.Snapshot(ctx, at)
	if err != nil {
		return view{}, err
	}
	typical, err := a.Pages.Store.CreateTimes(ctx)
	if err != nil {
		return view{}, err
	}
	n := now{Paused: snap.Paused, Unmatched: snap.Last.Unmatched}
	n.addPools(a.Pages.Pools.At(at), snap)
	n.addServers(snap.Servers, typical, at)
	if n.Runs, err = a.newestRuns(ctx); err != nil {
		return view{}, err
	}
	if n.Audit, err = a.auditor.Last(ctx); err != nil {
		return view{}, err
	}
	n.Findings = n.Audit.Findings[:min(len(n.Audit.Findings), firstFindings)]
	if n.Timeline, err = a.timeline(ctx, c.Query("range"), c.Query("pool"), n, at); err != nil {
		return view{}, err
	}
	if age := a.Pages.Unread(); age > unreadTime {
		n.Unread = age
	}
	return view{Title: "Now", Here: "now", Live: true, Body: n}, nil
}

// unreadTime is for how long the queue may go unread before the page says so.
const unreadTime = 2 * time.Minute

func (n *now) addPools(roster state.Roster, snap state.Snapshot) {
	rates := make(map[string]float64)
	for _, s := range snap.Servers {
		if s.Billed() && s.Phase != state.Pending {
			rates[s.Pool] += s.Price
		}
	}
	decided := make(map[string]state.PoolDecision)
	for _, d := range snap.Last.Pools {
		decided[d.Pool] = d
	}
	bounded := true
	for _, p := range roster.Pools {
		row := poolRow{Pool: p, PoolDecision: decided[p.Name]}
		bounded = bounded && p.Budget > 0
		n.Budget += p.Budget
		n.Priced = n.Priced || p.Budget > 0 || slices.ContainsFunc(p.Candidates, func(k state.Candidate) bool { return k.Price > 0 })
		n.Pools = append(n.Pools, row)
		delete(decided, p.Name)
	}
	for _, d := range snap.Last.Pools { // their servers drain
		if _, left := decided[d.Pool]; left && d.Billed > 0 {
			n.Pools = append(n.Pools, poolRow{Pool: state.Pool{Name: d.Pool}, PoolDecision: d, Gone: true})
		}
	}
	if !bounded {
		n.Budget = 0
	}
	for i := range n.Pools {
		p := &n.Pools[i]
		p.Price, p.Spent, p.Bar = rates[p.Pool.Name], snap.Spent[p.Pool.Name].Cost, p.bar()
		n.Waiting, n.OnServers, n.HeldBack = n.Waiting+p.Waiting, n.OnServers+p.Assigned, n.HeldBack+p.HeldBack
		n.Capacity, n.Free = n.Capacity+p.Usable, n.Free+p.Spare()
		n.Cost, n.Rate = n.Cost+p.Spent, n.Rate+p.Price
	}
}

// urgency orders servers on the first page: what is wrong, then what changes.
var urgency = map[state.Phase]int{
	state.Failed: 0, state.Creating: 1, state.Pending: 2, state.Created: 3, state.Staging: 3, state.Stopping: 4, state.Shutdown: 5, state.Running: 6,
}

func (n *now) addServers(servers []state.Server, typical map[string]time.Duration, at time.Time) {
	for _, s := range servers {
		switch s.Phase {
		case state.Running:
			n.Phases.Running++
		case state.Shutdown, state.Stopping:
			n.Phases.Leaving++
		case state.Failed:
			n.Phases.Failed++
		default:
			n.Phases.Coming++
		}
	}
	servers = slices.Clone(servers)
	slices.SortStableFunc(servers, func(x, y state.Server) int { return cmp.Compare(urgency[x.Phase], urgency[y.Phase]) })
	n.More = max(0, len(servers)-rows)
	for _, s := range servers[:len(servers)-n.More] {
		n.Servers = append(n.Servers, newServerRow(s, typical, at))
	}
}

// newestRuns returns the runs that have not ended, and the newest of those that
// have.
func (a *API) newestRuns(ctx context.Context) (list []runRow, err error) {
	running, err := a.Pages.Store.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range running[:min(len(running), rows)] {
		list = append(list, a.runRow(r))
	}
	recent, err := a.store.Runs(ctx, state.RunFilter{Limit: recentRuns + len(running)})
	for _, r := range recent {
		if !r.Finished.IsZero() && len(list) < len(running)+recentRuns {
			list = append(list, a.runRow(r))
		}
	}
	return list, err
}

// Summary tells a screen reader, and the title, what the page is about.
func (n now) Summary() string {
	return fmt.Sprintf("%s waiting, %d on servers, room for %d; %s", count(n.Waiting, "build"), n.OnServers, n.Capacity, count(n.Phases.All(), "server"))
}
