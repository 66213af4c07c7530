package scale

import (
	"time"

	"hangar/state"
)

// now is when every observation of these tests was made: not on a whole minute,
// so that roundings show.
var now = time.Date(2026, 3, 4, 10, 20, 30, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// pool is a pool of up to 4 linux/amd64 servers of 2 stages each, which may
// leave when they are idle for 10 minutes and an hour old.
func pool(changes ...func(*state.Pool)) state.Pool {
	p := state.Pool{
		Name: "default", Max: 4, Concurrency: 2,
		Platform:   state.Platform{OS: "linux", Arch: "amd64"},
		MinAge:     time.Hour,
		Idle:       10 * time.Minute,
		Candidates: []state.Candidate{{Name: "ewr1"}, {Name: "sjc1"}},
	}
	for _, change := range changes {
		change(&p)
	}
	return p
}

// stage is a waiting linux/amd64 stage of a repository of its own.
func stage(id int64, changes ...func(*state.Stage)) state.Stage {
	s := state.Stage{ID: id, RepoID: 1000 + id, Name: "default", OS: "linux", Arch: "amd64"}
	for _, change := range changes {
		change(&s)
	}
	return s
}

// on makes a stage run on a machine.
func on(machine string) func(*state.Stage) {
	return func(s *state.Stage) { s.Running, s.Machine = true, machine }
}

// server is a server of the pool called default, 10 hours old. A running one
// has been idle for 5 hours.
func server(name string, phase state.Phase, changes ...func(*state.Server)) state.Server {
	s := state.Server{Name: name, Pool: "default", Phase: phase, Capacity: 2, Created: ago(10 * time.Hour)}
	if phase == state.Running {
		s.Started, s.IdleSince, s.Served = ago(9*time.Hour), ago(5*time.Hour), ago(8*time.Hour)
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}
