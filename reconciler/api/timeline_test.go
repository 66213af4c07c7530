package api

import (
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// The timeline is of all pools together or of one, and says which; a choice
// keeps the other one.
func TestTimelineTellsOfItsPool(t *testing.T) {
	r, pools := pooled()
	pools.Pools = append(pools.Pools, state.Pool{Name: "arm 64", Max: 2, Budget: 30})
	last := &r.decisions[len(r.decisions)-1]
	last.Pools = append(last.Pools, state.PoolDecision{Pool: "arm 64", Waiting: 5, Assigned: 2, Usable: 8, Billed: 4})
	at := time.Now().UTC().Truncate(time.Minute)
	for i := range 10 {
		moment := at.Add(-time.Duration(i) * time.Minute)
		r.samples = append(r.samples, state.Sample{At: moment, Pool: "arm 64", Demand: 30}, state.Sample{At: moment, Pool: "default", Demand: 11})
	}
	b := visit(t, r, pools, func(a *API) { a.Pages.Wait = func() time.Duration { return 75 * time.Second } }).in()
	for _, tt := range []struct {
		path        string
		want, wrong []string
	}{
		{"/ui", []string{"builds wanted: now 11, at most 41.", "servers: now 6,", "The budget is 50.00.", "longest wait: now 1 min 15 s,", "Longest wait in the queue. ", `?range=day#h-timeline"`, `?range=hour&amp;pool=arm%2064#h-timeline"`}, nil},
		{"/ui?pool=arm+64&range=day", []string{"builds wanted: now 7, at most 30.", "servers: now 4,", "The budget is 30.00.", "Longest wait in the queue, for any pool", `?range=week&amp;pool=arm%2064#h-timeline"`, `?range=day#h-timeline"`},
			[]string{"at most 41.", "Nothing was sampled"}},
		{"/ui?pool=default", []string{"builds wanted: now 4, at most 11.", "servers: now 2,", "The budget is 20.00."}, nil},
	} {
		body := b.get(tt.path).body
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", tt.path, want)
			}
		}
		for _, wrong := range tt.wrong {
			if strings.Contains(body, wrong) {
				t.Errorf("%s has %s", tt.path, wrong)
			}
		}
		if strings.Count(body, `aria-current="true"`) != 2 {
			t.Errorf("%s does not show what is chosen", tt.path)
		}
	}
	// Where there is one pool, there is no choice.
	if r, pools := pooled(); strings.Contains(visit(t, r, pools, nil).in().get("/ui").body, "all pools") {
		t.Error("one pool is a choice")
	}
}
