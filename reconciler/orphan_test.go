package reconciler

import (
	"testing"
	"time"

	"hangar/state"
)

// What a lost volume held is taken over by the pools that made it, as far as the
// machines' tags tell, and by the first one otherwise.
func TestAdoptedMachinesBelongToTheirPools(t *testing.T) {
	candidate := func(spec string) []state.Candidate {
		return []state.Candidate{{Name: "ewr1/small", Provider: "packet", Spec: spec, Price: 2}}
	}
	template := func(pool string) state.Stack {
		return state.Stack{Pool: pool, Provider: "packet", Candidate: "ewr1/small"}
	}
	v := view{
		instance: "i-1", began: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), stacks: map[string]state.Stack{},
		pools: []state.Pool{
			{Name: "amd64", Concurrency: 1, NamePrefix: "agent-", Candidates: candidate("a")},
			{Name: "arm64", Concurrency: 8, NamePrefix: "agent-", Candidates: candidate("b")},
			{Name: "arm64-big", Concurrency: 16, NamePrefix: "agent-", Candidates: candidate("c")},
		},
	}
	a := area{template: template("amd64"), others: []state.Stack{template("arm64"), template("arm64-big")}}
	c := &conclusions{looks: map[string]bool{}}
	for _, tags := range [][2]string{{"agent-aaaaaaa1", "arm64-k3v7q2mn"}, {"agent-aaaaaaa2", "arm64-big-k3v7q2mn"}, {"agent-aaaaaaa3", "gone-k3v7q2mn"}} {
		c.held = append(c.held, adoptee{state.Found{ID: "id-" + tags[0], Server: tags[0], Stack: tags[1], Instance: "i-1", State: state.FoundActive}, a})
	}
	v.adopt(c)
	for i, want := range []struct {
		pool, spec string
		capacity   int
	}{{"arm64", "b", 8}, {"arm64-big", "c", 16}, {"amd64", "a", 1}} {
		if s := c.Servers[i]; s.Pool != want.pool || s.Capacity != want.capacity || s.Spec != want.spec || s.Price != 2 || c.Stacks[i].Pool != want.pool {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
}
