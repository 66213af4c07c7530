package sqlite

import (
	"fmt"
	"testing"
	"time"

	"hangar/state"
)

// The median is of the last twenty servers of each pool that were made and ran.
func TestLeads(t *testing.T) {
	s := newStore(t)
	if got := get(t, s.Leads); len(got) != 0 {
		t.Errorf("of no servers: %v", got)
	}
	insert := func(n int, pool string, began bool, took time.Duration) {
		created := after(time.Duration(n) * time.Hour)
		server := state.Server{Name: fmt.Sprintf("agent-%d", n), Pool: pool, Stack: "s-" + pool, Phase: state.Running, Created: created, Updated: created}
		if took > 0 {
			server.Started = created.Add(took)
		}
		must(t, s.Commit(t.Context(), state.Changes{At: created, Servers: []state.Server{server}}))
		if began {
			_, err := s.writer.Exec("UPDATE servers SET began = created WHERE name = ?", server.Name)
			must(t, err)
		}
	}
	for _, pool := range []string{"a", "b"} {
		must(t, s.Commit(t.Context(), state.Changes{At: after(0), Stacks: []state.Stack{{Name: "s-" + pool, Pool: pool, Generation: 1, Created: after(0)}}}))
	}
	insert(1, "a", true, 100*time.Hour) // longer ago than the last twenty
	for n := 2; n <= 21; n++ {
		insert(100+n, "a", true, time.Duration(n)*time.Minute)
	}
	insert(200, "b", true, 90*time.Second)
	insert(201, "b", false, time.Hour) // found
	insert(202, "b", true, 0)          // does not run yet
	got := get(t, s.Leads)
	if len(got) != 2 || got["a"] != (state.Lead{Median: state.Seconds(11 * time.Minute), Of: 20}) || got["b"] != (state.Lead{Median: state.Seconds(90 * time.Second), Of: 1}) {
		t.Errorf("%v", got)
	}
}
