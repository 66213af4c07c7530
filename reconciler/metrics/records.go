package metrics

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"hangar/reconciler/scale"
	"hangar/state"
)

// family is all series of one name.
type family = dto.MetricFamily

// records tells what the records know: one snapshot and two short queries.
type records struct{ *Metrics }

// readTime bounds the reading of the records for one scrape; Prometheus' own
// patience is 10 s.
const readTime = 8 * time.Second

// phases of servers that are there, in the order of their lives.
var phases = []state.Phase{state.Pending, state.Creating, state.Created, state.Staging, state.Running, state.Shutdown, state.Stopping, state.Failed}

// findingKinds are all that a sweep or a look can find.
var findingKinds = []state.FindingKind{state.Orphan, state.Duplicate, state.Gone, state.Drifted, state.Unreadable, state.Implausible}

// holders are what can keep a pool from what it wants.
var holders = []string{scale.HeldPaused, scale.HeldMaximum, scale.HeldBudget, scale.HeldCost, scale.HeldBackoff, scale.HeldDiscarded}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	serverCount    = desc("drone_server_count", "Servers that take builds.")
	serverCapacity = desc("drone_server_capacity", "Builds that the servers which take builds can run at once.")

	queueStages = desc("hangar_queue_stages", "Stages of the queue that a pool may run: waiting for a machine, held_back by their own limits, or assigned to a machine.", "pool", "state")
	unmatched   = desc("hangar_queue_unmatched_stages", "Waiting stages that no pool may run.")

	servers         = desc("hangar_servers", "Servers, by where they are in their lives.", "pool", "state")
	serversBilled   = desc("hangar_servers_billed", "Servers that count against their pool's maximum: their machine exists, may exist, or is about to.", "pool", "state")
	serversUsable   = desc("hangar_servers_usable", "Servers that are, or are about to become, capacity for builds.", "pool", "state")
	serversIdle     = desc("hangar_servers_idle", "Servers that take builds and have none.", "pool")
	poolMinimum     = desc("hangar_pool_minimum_servers", "Servers that a pool always has.", "pool")
	poolMaximum     = desc("hangar_pool_maximum_servers", "Servers that a pool may have.", "pool")
	poolHeld        = desc("hangar_pool_held", "1: this keeps the pool from what it wants.", "pool", "by")
	createBudget    = desc("hangar_pool_create_budget", "Creates within an hour that may serve no build; 0: no bound.", "pool")
	createsSpent    = desc("hangar_pool_creates_spent", "Creates of the last hour that have served no build so far.", "pool")
	serversOutdated = desc("hangar_servers_outdated", "Servers that their pool would make otherwise now: they are replaced when they are idle.", "pool")
	dayBudget       = desc("hangar_pool_day_budget", "What a pool's servers may cost in a day (UTC), in the currency of their prices; 0: no bound.", "pool")
	dayCost         = desc("hangar_pool_day_cost", "What a pool's servers have cost since the day (UTC) began; 0 where no price is told.", "pool")
	uncleanStacks   = desc("hangar_stacks_unclean", "Stacks that are not run again before a look has told what became of their machines.", "pool")
	runsWaiting     = desc("hangar_runs_waiting", "Plans that wait for the approval of an admin.", "pool")
	findings        = desc("hangar_findings", "Differences between the records, the Terraform states and the provider's list, as they are now.", "kind")
	findingsHeld    = desc("hangar_findings_held", "Machines that are held for a person's decision: hangar audit.")
	pausedByPerson  = desc("hangar_paused", "1: a person has paused the making and removing of servers.")
)

// Describe lists what Collect tells.
func (r records) Describe(told chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		serverCount, serverCapacity, queueStages, unmatched, servers, serversBilled, serversUsable, serversIdle, poolMinimum, poolMaximum,
		poolHeld, createBudget, createsSpent, serversOutdated, dayBudget, dayCost, uncleanStacks, runsWaiting, findings, findingsHeld, pausedByPerson,
	} {
		told <- d
	}
}

// Collect reads the records.
func (r records) Collect(told chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	snap, err := r.store.Snapshot(ctx, r.Now())
	var found []state.Finding
	if err == nil {
		found, err = r.store.Findings(ctx)
	}
	var unclean map[string]int
	if err == nil {
		unclean, err = r.store.UncleanStacks(ctx)
	}
	var awaiting []state.Run
	if err == nil {
		awaiting, err = r.store.Awaiting(ctx)
	}
	if err != nil {
		told <- prometheus.NewInvalidMetric(serverCount, err)
		return
	}
	tell := teller(told)
	counts := countServers(snap.Servers)
	tell.drone(snap.Servers)
	tell.demand(snap.Last, r.poolNames())
	tell.servers(counts, r.poolNames())
	for _, p := range r.pools.At(r.Now()).Pools {
		tell.gauge(poolMinimum, p.Min, p.Name)
		tell.gauge(poolMaximum, p.Max, p.Name)
		tell.gauge(createBudget, p.CreateBudget, p.Name)
		tell.gauge(createsSpent, snap.Spent[p.Name].Creates, p.Name)
		tell.gauge(serversOutdated, outdated(p, snap.Servers), p.Name)
		told <- prometheus.MustNewConstMetric(dayBudget, prometheus.GaugeValue, p.Budget, p.Name)
		told <- prometheus.MustNewConstMetric(dayCost, prometheus.GaugeValue, snap.Spent[p.Name].Cost, p.Name)
	}
	for _, pool := range union(r.poolNames(), unclean) {
		tell.gauge(uncleanStacks, unclean[pool], pool)
	}
	waiting := waitingRuns(awaiting)
	for _, pool := range union(r.poolNames(), waiting) {
		tell.gauge(runsWaiting, waiting[pool], pool)
	}
	tell.findings(found)
	tell.gauge(pausedByPerson, one(snap.Paused))
}

func outdated(p state.Pool, servers []state.Server) (n int) {
	for _, s := range servers {
		if s.Pool == p.Name && p.Outdated(s) {
			n++
		}
	}
	return n
}

// waitingRuns counts the runs about which nobody has decided yet, by pool.
func waitingRuns(runs []state.Run) map[string]int {
	byPool := make(map[string]int)
	for _, run := range runs {
		byPool[run.Pool] += one(run.Undecided())
	}
	return byPool
}

// teller tells values as they are now.
type teller chan<- prometheus.Metric

func (t teller) gauge(d *prometheus.Desc, value int, labels ...string) {
	t <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

// drone tells what drone/autoscaler does of servers.
func (t teller) drone(all []state.Server) {
	running, capacity := 0, 0
	for _, s := range all {
		if s.Phase == state.Running {
			running++
			capacity += s.Capacity
		}
	}
	// Its name is refused for a gauge by Prometheus' linter: see tally.
	t <- prometheus.MustNewConstMetric(serverCount, prometheus.UntypedValue, float64(running))
	t.gauge(serverCapacity, capacity)
}

// demand tells the figures of the newest decision.
func (t teller) demand(d state.Decision, pools []string) {
	byPool := make(map[string]state.PoolDecision, len(d.Pools))
	for _, p := range d.Pools {
		byPool[p.Pool] = p
	}
	for _, pool := range pools {
		p := byPool[pool]
		t.gauge(queueStages, p.Waiting, pool, "waiting")
		t.gauge(queueStages, p.HeldBack, pool, "held_back")
		t.gauge(queueStages, p.Assigned, pool, "assigned")
		for _, by := range holders {
			t.gauge(poolHeld, one(p.Held == by), pool, by)
		}
	}
	stages := 0
	for _, u := range d.Unmatched {
		stages += len(u.Stages)
	}
	t.gauge(unmatched, stages)
}

// counted is how many servers of a pool there are.
type counted struct {
	all, billed, usable map[state.Phase]int
	idle                int
}

func countServers(all []state.Server) map[string]counted {
	byPool := make(map[string]counted)
	for _, s := range all {
		c, ok := byPool[s.Pool]
		if !ok {
			c = counted{map[state.Phase]int{}, map[state.Phase]int{}, map[state.Phase]int{}, 0}
		}
		c.all[s.Phase]++
		if s.Billed() {
			c.billed[s.Phase]++
		}
		if s.Phase.Usable() && !s.Condemned && !s.Forced {
			c.usable[s.Phase]++
		}
		if s.Phase == state.Running && !s.IdleSince.IsZero() {
			c.idle++
		}
		byPool[s.Pool] = c
	}
	return byPool
}

func (t teller) servers(byPool map[string]counted, pools []string) {
	for _, pool := range union(pools, byPool) {
		c := byPool[pool]
		for _, phase := range phases {
			t.gauge(servers, c.all[phase], pool, string(phase))
			t.gauge(serversBilled, c.billed[phase], pool, string(phase))
			if phase.Usable() {
				t.gauge(serversUsable, c.usable[phase], pool, string(phase))
			}
		}
		t.gauge(serversIdle, c.idle, pool)
	}
}

func (t teller) findings(found []state.Finding) {
	byKind := make(map[state.FindingKind]int)
	held := 0
	for _, f := range found {
		byKind[f.Kind]++
		held += one(f.Held)
	}
	for _, kind := range findingKinds {
		t.gauge(findings, byKind[kind], string(kind))
	}
	t.gauge(findingsHeld, held)
}

// union is the pools that are configured, and those of old records.
func union[T any](pools []string, recorded map[string]T) []string {
	all := slices.Sorted(maps.Keys(recorded))
	return append(slices.DeleteFunc(all, func(p string) bool { return slices.Contains(pools, p) }), pools...)
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
