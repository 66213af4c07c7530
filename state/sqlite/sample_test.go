package sqlite

import (
	"testing"
	"time"

	"hangar/state"
)

func TestSamples(t *testing.T) {
	s := newStore(t)
	c := state.Changes{At: start, Stacks: []state.Stack{stackOf("s1")}, Servers: []state.Server{serverOf("a", "s1")}}
	c.Servers[0].Price = 60
	must(t, s.Commit(t.Context(), c))
	applied(t, s, start, "s1") // from now on it costs 1 a minute
	at := func(m int) time.Time { return after(time.Duration(m) * time.Minute) }
	for _, samples := range [][]state.Sample{
		{{At: at(-30), Pool: "default", Demand: 1}},
		{{At: at(1), Pool: "arm", Demand: 5}, {At: at(1), Pool: "default", Demand: 2, Capacity: 4, Machines: 2, Wait: 3 * time.Second}},
		{{At: at(2), Pool: "default", Demand: 9, Capacity: 2, Machines: 1, Wait: 90 * time.Second}},
		{{At: at(11), Pool: "default", Demand: 1, Capacity: 2, Machines: 1}},
	} {
		must(t, s.AddSamples(t.Context(), samples))
	}
	got, err := s.Samples(t.Context(), at(0), 10*time.Minute)
	must(t, err)
	for i := range got {
		got[i].Cost = float64(int(got[i].Cost + 0.5))
	}
	wantEqual(t, "the most of each ten minutes", got, []state.Sample{
		{At: at(0), Pool: "arm", Demand: 5},
		{At: at(0), Pool: "default", Demand: 9, Capacity: 4, Machines: 2, Wait: 90 * time.Second, Cost: 2},
		{At: at(10), Pool: "default", Demand: 1, Capacity: 2, Machines: 1, Cost: 11},
	})

	// After eight days they are gone.
	must(t, s.AddSamples(t.Context(), []state.Sample{{At: at(5).Add(keepSamples), Pool: "default"}}))
	got, err = s.Samples(t.Context(), at(-60), time.Minute)
	must(t, err)
	if len(got) != 2 || !got[0].At.Equal(at(11)) {
		t.Errorf("left are %+v", got)
	}
}

func TestCreateTimes(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b", "c", "d")
	for name, seconds := range map[string]int{"a": 10, "b": 30, "c": 20} {
		_, err := s.writer.Exec("UPDATE servers SET began = ?, active = ? WHERE name = ?", micros(start), micros(after(time.Duration(seconds)*time.Second)), name)
		must(t, err)
	}
	wantEqual(t, "medians", get(t, s.CreateTimes), map[string]time.Duration{"default": 20 * time.Second})
}
