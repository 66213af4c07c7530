package sqlite

import (
	"testing"
	"time"

	"hangar/state"
)

func TestPrune(t *testing.T) {
	s := newStore(t)
	day := func(n int) time.Time { return start.Add(time.Duration(n) * 24 * time.Hour) }
	lived := func(stack string, from, to int, servers ...string) {
		t.Helper()
		grow(t, s, day(from), stack, servers...)
		applied(t, s, day(from), stack)
		if to > 0 {
			moveTo(t, s, day(to), servers[0], state.Stopping)
			applied(t, s, day(to), stack)
		}
		must(t, s.Commit(t.Context(), state.Changes{At: day(from), Decision: &state.Decision{}}))
	}
	lived("old", 0, 1, "old-1")
	lived("half", 0, 1, "half-1", "half-2")
	lived("young", 0, 20, "young-1")
	lived("living", 0, 0, "living-1")
	lived("unseen", 0, 1, "unseen-1") // its state still shows a device
	_, err := s.writer.Exec(`UPDATE stacks SET outputs = '{"unseen-1":{}}', emptied = 0 WHERE name = 'unseen'`)
	must(t, err)

	gone, err := s.Prune(t.Context(), day(10))
	must(t, err)
	wantEqual(t, "stacks that went", gone, []string{"old"})
	wantEqual(t, "servers", names(get(t, s.Servers)), []string{"half-2", "living-1", "young-1"})
	wantEqual(t, "stacks", stackNames(get(t, s.Stacks)), []string{"half", "living", "unseen", "young"})
	runs, err := s.Runs(t.Context(), state.RunFilter{})
	must(t, err)
	left := map[string]int{}
	for _, run := range runs {
		left[run.Stack]++
	}
	// The run that destroyed half-1 is gone, the one that also made half-2 is not.
	wantEqual(t, "runs by stack", left, map[string]int{"half": 1, "young": 2, "living": 1})
	for table, want := range map[string]int64{"plans": 4, "versions": 7, "decisions": 1} {
		must(t, s.read(t.Context(), "", func(tx tx) error {
			if n, err := tx.count("SELECT count(*) FROM " + table); err != nil || n != want {
				t.Errorf("%d rows in %s, %v; want %d", n, table, err, want)
			}
			return nil
		}))
	}
	if last := get(t, snapshot(s)).Last; last.ID != 5 {
		t.Errorf("the newest decision is %d, want 5", last.ID)
	}

	for _, c := range []state.Changes{
		{At: day(30), Stacks: []state.Stack{stackOf("old")}},
		{At: day(30), Stacks: []state.Stack{stackOf("fresh")}, Servers: []state.Server{serverOf("old-1", "fresh")}},
		{At: day(30), Servers: []state.Server{serverOf("x", "half")}}, // still closed without its runs
	} {
		wantCode(t, s.Commit(t.Context(), c), state.Conflict)
	}
	gone, err = s.Prune(t.Context(), day(10))
	must(t, err)
	wantEqual(t, "a second time", gone, []string{})
}

func TestPruneLeavesWhatIsUnderWay(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	run := applying(t, s, start, "s1")
	gone, err := s.Prune(t.Context(), start.Add(1000*time.Hour))
	must(t, err)
	wantEqual(t, "stacks that went", gone, []string{})
	if got, err := s.Run(t.Context(), run.ID); err != nil || got.Phase != state.RunApplying {
		t.Errorf("run %+v, %v", got, err)
	}
}
