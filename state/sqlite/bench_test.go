package sqlite

import (
	"fmt"
	"testing"
	"time"

	"hangar/state"
)

// thousand makes a store of 1,000 servers in 40 stacks, and as many stopped.
func thousand(b *testing.B) *Store {
	s := newStore(b)
	for n := range 80 {
		stack := fmt.Sprintf("default-%08d", n)
		members := []string{}
		for m := range 25 {
			members = append(members, fmt.Sprintf("agent-%04d%04d", n, m))
		}
		grow(b, s, start, stack, members...)
		applied(b, s, start, stack)
	}
	_, err := s.writer.Exec("UPDATE servers SET phase = 'stopped', stopped = 1 WHERE stack >= 'default-00000040'")
	must(b, err)
	return s
}

func BenchmarkSnapshot(b *testing.B) {
	s := thousand(b)
	for b.Loop() {
		if snap := get(b, snapshot(s)); len(snap.Servers) != 1000 {
			b.Fatal(len(snap.Servers))
		}
	}
}

func BenchmarkDue(b *testing.B) {
	s := thousand(b)
	for b.Loop() {
		_, err := s.Due(b.Context(), start)
		must(b, err)
	}
}

// BenchmarkCommit is a burst: four stacks of 25 servers and 100 marks.
func BenchmarkCommit(b *testing.B) {
	s := thousand(b)
	servers := get(b, snapshot(s)).Servers[:100]
	n := 0
	for b.Loop() {
		c := state.Changes{At: start.Add(time.Duration(n) * time.Second), Decision: &state.Decision{}}
		for range 4 {
			n++
			stack := fmt.Sprintf("burst-%08d", n)
			c.Stacks = append(c.Stacks, stackOf(stack))
			for m := range 25 {
				c.Servers = append(c.Servers, serverOf(fmt.Sprintf("burst-%04d%04d", n, m), stack))
			}
		}
		for _, server := range servers {
			c.Marks = append(c.Marks, state.Mark{Server: server.Name, Phase: server.Phase, IdleSince: c.At})
		}
		must(b, s.Commit(b.Context(), c))
	}
}

// BenchmarkMark is the smallest commit there is: what a safe write costs.
func BenchmarkMark(b *testing.B) {
	s := thousand(b)
	server := get(b, snapshot(s)).Servers[0]
	at := start
	for b.Loop() { // another time each: what is there already is not written
		at = at.Add(time.Second)
		must(b, s.Commit(b.Context(), state.Changes{At: at, Marks: []state.Mark{{Server: server.Name, Phase: server.Phase, IdleSince: at}}}))
	}
}
