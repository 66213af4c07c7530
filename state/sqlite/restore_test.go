package sqlite

import (
	"testing"
	"time"

	"hangar/state"
)

// Records that were put back from a copy begin nothing before they have been held
// against the provider's list, and trust nothing that may have changed since.
func TestRestored(t *testing.T) {
	s := newStore(t)
	_, err := s.Instance(t.Context(), "")
	must(t, err)
	grow(t, s, start, "ran", "runs", "drains")
	b, d := deviceOf("runs"), deviceOf("drains")
	run := applying(t, s, start, "ran")
	must(t, s.Finish(t.Context(), state.Finish{
		Run: run.ID, Phase: state.RunApplied, At: start, Applied: true,
		Outputs: map[string]state.Device{"runs": b, "drains": d}, Version: &state.StateVersion{Serial: 1, Lineage: "l", Bytes: []byte("one")},
		Servers: []state.Outcome{{Server: "runs", Phase: state.Running, Device: &b}, {Server: "drains", Phase: state.Running, Device: &d}},
	}))
	moveTo(t, s, start, "drains", state.Shutdown)
	must(t, s.writeRaw(t, "UPDATE servers SET told = 1, drained = 1, quiet_since = 1 WHERE name = 'drains'"))
	grow(t, s, start, "pending", "p1", "p2") // nothing has begun
	grow(t, s, start, "planning", "q1")
	_, _, err = s.BeginRun(t.Context(), "planning", start)
	must(t, err)
	grow(t, s, start, "applies", "r1")
	applying(t, s, start, "applies")

	now := after(time.Hour)
	must(t, s.Restored(t.Context(), now))
	for _, name := range []string{"p1", "p2", "q1", "r1"} {
		if server := serverNow(t, s, name); server.Phase != state.Creating {
			t.Errorf("server %s is %s: it would be created a second time", name, server.Phase)
		}
	}
	if runs := get(t, s.Unfinished); len(runs) != 3 {
		t.Errorf("%d runs that did not end, want 3: %+v", len(runs), runs)
	} else {
		for _, run := range runs {
			if run.Phase != state.RunApplying || len(run.Creates) == 0 {
				t.Errorf("run of %s: %s, creates %v", run.Stack, run.Phase, run.Creates)
			}
		}
	}
	looks, err := s.Looks(t.Context(), now)
	must(t, err)
	wantEqual(t, "looks", len(looks), 4)
	_, _, err = s.BeginRun(t.Context(), "ran", now)
	wantCode(t, err, state.Conflict, "looked for first", "restored from a backup")
	if agent := serverNow(t, s, "drains").Agent; !agent.Told.IsZero() || !agent.Drained.IsZero() {
		t.Errorf("a drain of before counts: %+v", agent)
	}
	if yes, since, err := s.Takeover(t.Context()); !yes || !since.IsZero() || err != nil {
		t.Errorf("machines that no record knows are not held: %v, %v, %v", yes, since, err)
	}
}

// writeRaw changes records as no method does.
func (s *Store) writeRaw(t *testing.T, statement string) error {
	return s.write(t.Context(), "change records", func(t tx) error { return t.do(statement) })
}
