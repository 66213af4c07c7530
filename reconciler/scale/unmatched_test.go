package scale

import (
	"fmt"
	"testing"

	"hangar/state"
)

// Past the first hundred, things that no pool may run are told together, and
// no stage is left out.
func TestManyUnmatchedAsksAreToldTogether(t *testing.T) {
	var stages []state.Stage
	for i := range 250 {
		stages = append(stages, stage(int64(i+1), func(s *state.Stage) { s.Labels = map[string]string{"number": fmt.Sprint(i / 2)} }))
	}
	got := Decide(Observation{At: now, Stages: stages}, []state.Pool{pool()}).Unmatched
	if len(got) != 101 || got[100].Asks != "25 other things" || len(got[100].Stages) != 50 {
		t.Fatalf("%d entries, the last %+v", len(got), got[len(got)-1])
	}
	n := 0
	for _, u := range got {
		n += len(u.Stages)
	}
	if n != 250 {
		t.Errorf("%d of 250 stages are told", n)
	}
}
