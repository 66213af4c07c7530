package sqlite

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"hangar/state"
)

func TestFinish(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	run := applying(t, s, start, "s1")
	a := deviceOf("a")
	f := state.Finish{
		Run: run.ID, Phase: state.RunErrored, At: start.Add(time.Minute), Error: "exit 1", Log: "line\nline",
		Diagnostics: []state.Diagnostic{{Severity: "error", Summary: "no capacity", Detail: "ewr1", Address: "x"}},
		Unclean:     "b is unknown", RetryAt: start.Add(time.Hour),
		Version: &state.StateVersion{Serial: 3, Lineage: "l", Bytes: []byte("a state")},
		Outputs: map[string]state.Device{"a": a},
		Servers: []state.Outcome{
			{Server: "a", Phase: state.Running, Device: &a, Reason: "active"},
			{Server: "b", Phase: state.Failed, Reason: "lost", Error: "no capacity"},
		},
		Backoff: &state.Backoff{Pool: "default", Candidate: "ewr1/c3", Failures: 2, Until: after(time.Hour), Error: "no capacity"},
	}
	must(t, s.Finish(t.Context(), f))

	got, err := s.Run(t.Context(), run.ID)
	must(t, err)
	want := run
	want.Phase, want.Verdict, want.Error, want.Diagnostics = f.Phase, "passed", f.Error, f.Diagnostics
	want.Planned, want.Applying, want.Finished = after(0), after(0), after(time.Minute)
	want.Timings.Apply = 60
	wantEqual(t, "run", got, want)
	log, err := s.RunLog(t.Context(), run.ID)
	must(t, err)
	wantEqual(t, "log", log, f.Log)

	server := serverNow(t, s, "a")
	wantEqual(t, "device", server.Device, a)
	if server.Phase != state.Running || server.Started != after(time.Minute) || server.Updated != after(time.Minute) || server.Reason != "active" {
		t.Errorf("server %+v", server)
	}
	if b := serverNow(t, s, "b"); b.Phase != state.Failed || b.Error != "no capacity" || !b.Started.IsZero() {
		t.Errorf("server %+v", b)
	}
	stack := stackNow(t, s, "s1")
	if stack.Applied != 0 || stack.Unclean != f.Unclean || stack.Failures != 1 || stack.RetryAt != after(time.Hour) || !stack.Emptied.IsZero() {
		t.Errorf("stack %+v", stack)
	}
	outputs, err := s.Outputs(t.Context(), "s1")
	must(t, err)
	wantEqual(t, "outputs", outputs, f.Outputs)
	sum := sha256.Sum256([]byte("a state"))
	version := state.StateVersion{Stack: "s1", Serial: 3, Lineage: "l", SHA256: hex.EncodeToString(sum[:]), Size: 7, Run: run.ID, At: after(time.Minute)}
	versions, err := s.Versions(t.Context(), "s1")
	must(t, err)
	wantEqual(t, "versions", versions, []state.StateVersion{version})
	version.Bytes = []byte("a state")
	full, err := s.Version(t.Context(), "s1", 3)
	must(t, err)
	wantEqual(t, "version", full, version)
	wantEqual(t, "backoffs", get(t, snapshot(s)).Backoffs, []state.Backoff{*f.Backoff})

	wantCode(t, s.Finish(t.Context(), f), state.Conflict, "errored")
	wantCode(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunApplying}), state.Invalid, "applying")
}

func TestFinishIsAllOrNothing(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	run := applying(t, s, start, "s1")
	err := s.Finish(t.Context(), state.Finish{
		Run: run.ID, Phase: state.RunApplied, At: start, Applied: true, Outputs: map[string]state.Device{"a": {}},
		Servers: []state.Outcome{{Server: "a", Phase: state.Running}, {Server: "nobody", Phase: state.Running}},
	})
	wantCode(t, err, state.NotFound, "nobody")
	if got := serverNow(t, s, "a").Phase; got != state.Creating {
		t.Errorf("server is %s", got)
	}
	if got, _ := s.Run(t.Context(), run.ID); got.Phase != state.RunApplying {
		t.Errorf("run is %s", got.Phase)
	}
}

// What the fast loop did while a run was under way stands.
func TestOutcomesAndTheFastLoop(t *testing.T) {
	for _, tt := range []struct {
		name               string
		now, outcome, want state.Phase
	}{
		{"created", state.Creating, state.Running, state.Running},
		{"went wrong", state.Creating, state.Failed, state.Failed},
		{"never begun", state.Creating, state.Pending, state.Pending},
		{"told before", state.Running, state.Running, state.Running},
		{"told before, then went wrong", state.Running, state.Failed, state.Failed},
		{"drains already", state.Shutdown, state.Running, state.Shutdown},
		{"is to go already", state.Stopping, state.Running, state.Stopping},
		{"is to go, went wrong", state.Stopping, state.Failed, state.Stopping},
		{"nothing new of its phase", state.Running, "", state.Running},
		{"destroyed", state.Stopping, state.Stopped, state.Stopped},
		{"gone stays gone", state.Stopped, state.Running, state.Stopped},
		{"gone stays gone, whatever", state.Stopped, state.Failed, state.Stopped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			grow(t, s, start, "s1", "a")
			run := applying(t, s, start, "s1")
			if tt.now != state.Creating {
				moveTo(t, s, start.Add(time.Second), "a", tt.now)
			}
			was, d := serverNow(t, s, "a"), deviceOf("a")
			must(t, s.Finish(t.Context(), state.Finish{
				Run: run.ID, Phase: state.RunErrored, At: start.Add(time.Minute),
				Servers: []state.Outcome{{Server: "a", Phase: tt.outcome, Device: &d, Reason: "of the run", Error: "told"}},
			}))
			want := was
			want.Phase, want.Device, want.Error = tt.want, d, "told"
			if tt.want == tt.outcome || tt.outcome == "" {
				want.Reason = "of the run"
			}
			if tt.want != was.Phase {
				want.Updated = after(time.Minute)
				switch tt.want {
				case state.Running:
					want.Started, want.Active = want.Updated, want.Updated
				case state.Stopped:
					want.Stopped = want.Updated
				}
			}
			wantEqual(t, "server", serverNow(t, s, "a"), want)
		})
	}
}

func TestErrorsAreKept(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	applied(t, s, start, "s1")
	moveTo(t, s, start, "a", state.Stopping)
	run := applying(t, s, start, "s1")
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: start,
		Servers: []state.Outcome{{Server: "a", Phase: state.Stopping, Error: "422"}}}))
	applied(t, s, start, "s1")
	if got := serverNow(t, s, "a"); got.Phase != state.Stopped || got.Error != "422" {
		t.Errorf("server %+v", got)
	}
}

func TestAppliedDuringAChange(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	run := applying(t, s, start, "s1")
	moveTo(t, s, start, "b", state.Stopping)
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunApplied, At: start, Applied: true}))
	if got := stackNow(t, s, "s1"); got.Applied != 1 || got.Generation != 2 {
		t.Errorf("stack %+v", got)
	}
	due, err := s.Due(t.Context(), start)
	must(t, err)
	wantEqual(t, "due", stackNames(due), []string{"s1"})
}

func TestEmptied(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	emptied := func() time.Time { return stackNow(t, s, "s1").Emptied }
	moveTo(t, s, start, "a", state.Stopping)
	applied(t, s, start, "s1")
	if !emptied().IsZero() {
		t.Error("emptied with a server left")
	}
	moveTo(t, s, start, "b", state.Stopping)
	run := applying(t, s, start, "s1")
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: start, // its state could not be read
		Servers: []state.Outcome{{Server: "b", Phase: state.Stopped}}}))
	if !emptied().IsZero() {
		t.Error("emptied while its last known state shows a device")
	}
	for unclean, want := range map[string]time.Time{"": after(time.Hour), "a device may be left": {}} {
		s := newStore(t)
		grow(t, s, start, "s1", "a")
		applied(t, s, start, "s1")
		moveTo(t, s, start, "a", state.Stopping)
		run := applying(t, s, start, "s1")
		must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunApplied, At: start.Add(time.Hour), Unclean: unclean,
			Outputs: map[string]state.Device{}, Servers: []state.Outcome{{Server: "a", Phase: state.Stopped}}}))
		if got := stackNow(t, s, "s1").Emptied; got != want {
			t.Errorf("emptied %v with unclean=%q, want %v", got, unclean, want)
		}
	}
}

func TestBackoffs(t *testing.T) {
	s := newStore(t)
	backoff := state.Backoff{Pool: "default", Candidate: "ewr1/c3", Failures: 1, Until: after(time.Minute), Error: "full"}
	other := state.Backoff{Pool: "default", Candidate: "dc13/c3", Failures: 1, Until: after(time.Minute), Error: "full"}
	fail := func(stack string, b state.Backoff) {
		t.Helper()
		grow(t, s, start, stack, "in-"+stack)
		run := applying(t, s, start, stack)
		must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: start, Backoff: &b}))
	}
	fail("s1", backoff)
	fail("s2", other)
	backoff.Failures, backoff.Until = 2, after(2*time.Minute)
	fail("s3", backoff)
	wantEqual(t, "backoffs", get(t, snapshot(s)).Backoffs, []state.Backoff{other, backoff})

	grow(t, s, start, "s4", "x", "y")
	_, err := s.writer.Exec("UPDATE servers SET phase = 'running' WHERE name IN ('x', 'y')")
	must(t, err)
	moveTo(t, s, start, "x", state.Stopping)
	shown(t, s, "s4", "x", "y")
	applied(t, s, start, "s4")
	wantEqual(t, "after a destruction", get(t, snapshot(s)).Backoffs, []state.Backoff{other, backoff})
	grow(t, s, start, "s5", "z")
	applied(t, s, start, "s5")
	wantEqual(t, "after a creation", get(t, snapshot(s)).Backoffs, []state.Backoff{other})
}

func TestVersions(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	for _, v := range []struct {
		serial int64
		bytes  string
	}{{1, "one"}, {1, "one"}, {2, "two"}, {1, "anew"}, {2, "two"}} {
		run, _ := begin(t, s, start, "s1")
		must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunDiscarded, At: start,
			Version: &state.StateVersion{Serial: v.serial, Bytes: []byte(v.bytes)}}))
	}
	versions, err := s.Versions(t.Context(), "s1")
	must(t, err)
	got := [][2]int64{}
	for _, v := range versions {
		got = append(got, [2]int64{v.Serial, v.Run})
		if v.Bytes != nil {
			t.Errorf("version %d has bytes in a list", v.Serial)
		}
	}
	wantEqual(t, "serials and runs", got, [][2]int64{{2, 5}, {1, 4}, {2, 3}, {1, 1}})
	for i, want := range []string{"two", "anew", "two", "one"} {
		if got, err := s.StateBytes(t.Context(), versions[i]); err != nil || string(got) != want {
			t.Errorf("the bytes of version %d of the list: %q, %v, want %q", i, got, err, want)
		}
	}
	_, err = s.StateBytes(t.Context(), state.StateVersion{Stack: "s1", Serial: 1})
	wantCode(t, err, state.NotFound, "any more")
	if v, err := s.Version(t.Context(), "s1", 1); err != nil || string(v.Bytes) != "anew" {
		t.Errorf("version 1 is %q, %v", v.Bytes, err)
	}
	_, err = s.Version(t.Context(), "s1", 9)
	wantCode(t, err, state.NotFound, "9")
}

func TestProgressAndAdvance(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a", "b")
	d, ctx := deviceOf("a"), t.Context()
	news := state.Outcome{Server: "a", Phase: state.Created, Device: &d, Reason: "exists"}
	must(t, s.Advance(ctx, news, start))
	if got := serverNow(t, s, "a").Phase; got != state.Pending {
		t.Errorf("a pending server advanced to %s", got)
	}
	run := applying(t, s, start, "s1")
	p := state.Progress{Action: "create", Elapsed: 40*time.Second + time.Millisecond}
	must(t, s.Progress(ctx, "a", p, start.Add(time.Second)))
	wantEqual(t, "progress", serverNow(t, s, "a").Progress, p)

	must(t, s.Advance(ctx, news, start.Add(2*time.Second)))
	got := serverNow(t, s, "a")
	wantEqual(t, "device", got.Device, d)
	if got.Phase != state.Created || got.Updated != after(2*time.Second) || got.Progress != (state.Progress{}) || got.Reason != "exists" {
		t.Errorf("server %+v", got)
	}
	must(t, s.Progress(ctx, "a", p, start.Add(time.Second)))
	if got := serverNow(t, s, "a").Progress; got != (state.Progress{}) {
		t.Errorf("old news was taken: %+v", got)
	}
	news.Phase = state.Running
	must(t, s.Advance(ctx, news, start.Add(3*time.Second)))
	if got := serverNow(t, s, "a"); got.Phase != state.Running || got.Started != after(3*time.Second) {
		t.Errorf("server %+v", got)
	}
	news.Phase = state.Created
	must(t, s.Advance(ctx, news, start.Add(4*time.Second)))
	if got := serverNow(t, s, "a"); got.Phase != state.Running || got.Updated != after(3*time.Second) {
		t.Errorf("a running server went back: %+v", got)
	}
	must(t, s.Progress(ctx, "b", p, start.Add(time.Second)))
	must(t, s.Finish(ctx, state.Finish{Run: run.ID, Phase: state.RunErrored, At: start, Servers: []state.Outcome{{Server: "b", Phase: state.Creating}}}))
	if got := serverNow(t, s, "b").Progress; got != (state.Progress{}) {
		t.Errorf("progress after the end: %+v", got)
	}
	must(t, s.Progress(ctx, "nobody", p, start))
}
