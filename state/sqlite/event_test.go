package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

var watch = state.Watch{Overdue: time.Hour, Calm: time.Minute}

// told is a store whose events a target called hook is told.
func told(t *testing.T) *Store {
	t.Helper()
	s := newStore(t)
	must(t, s.SetTargets(t.Context(), []string{"hook"}, start, watch))
	return s
}

// news gathers, and returns and takes off what a target is to be told.
func news(t *testing.T, s *Store, at time.Time, target string) []state.Event {
	t.Helper()
	gathered(t, s, at)
	events, err := s.News(t.Context(), target, 100)
	must(t, err)
	if len(events) > 0 {
		must(t, s.Told(t.Context(), target, events[len(events)-1].Seq))
	}
	return events
}

func gathered(t *testing.T, s *Store, at time.Time) int {
	t.Helper()
	n, err := s.Gather(t.Context(), at, watch)
	must(t, err)
	return n
}

// kinds are the kinds of events, with what each is about.
func kinds(events []state.Event) []string {
	list := []string{}
	for _, e := range events {
		about := e.Server
		switch {
		case e.Held != "":
			about = e.Pool + " " + e.Held
		case e.Asks != "":
			about = e.Asks
		case e.Run != 0:
			about = e.Stack
		}
		list = append(list, string(e.Kind)+" "+about)
	}
	return list
}

func rows(t *testing.T, s *Store, table string) (n int64) {
	t.Helper()
	must(t, s.writer.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func TestEventsOfServers(t *testing.T) {
	s := told(t)
	_, err := s.Instance(t.Context(), "here")
	must(t, err)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start.Add(time.Minute), "s1")
	events := news(t, s, start.Add(2*time.Minute), "hook")
	wantEqual(t, "events", kinds(events), []string{"server.created a", "server.created b"})
	a := events[0]
	want := state.Event{
		ID: a.ID, Seq: a.Seq, Kind: state.ServerCreated, At: after(time.Minute), Instance: "here", Pool: "default", Server: "a", Stack: "s1",
		Phase: state.Running, Reason: "runs", Provider: "packet", Region: "ewr1", Size: "c3", Device: "id-a", Address: "192.0.2.1",
		Created: after(0), Started: after(time.Minute),
	}
	wantEqual(t, "event", a, want)
	if len(a.ID) < 20 || a.ID == events[1].ID {
		t.Errorf("ids %q and %q", a.ID, events[1].ID)
	}

	// Put back to work it is no new server, and out of its stack not yet gone.
	moveTo(t, s, start, "a", state.Shutdown)
	moveTo(t, s, start, "a", state.Running)
	moveTo(t, s, start, "a", state.Stopping)
	wantEqual(t, "events on its way", kinds(news(t, s, start, "hook")), []string{})
	applied(t, s, start.Add(time.Hour), "s1")
	events = news(t, s, start.Add(2*time.Hour), "hook")
	wantEqual(t, "events at its end", kinds(events), []string{"server.destroyed a"})
	if e := events[0]; e.Phase != state.Stopped || e.Reason != "destroyed" || !e.At.Equal(after(time.Hour)) || e.Device != "id-a" {
		t.Errorf("event %+v", e)
	}

	grow(t, s, start, "s2", "c")
	moveTo(t, s, start, "c", state.Stopped) // never had a device
	wantEqual(t, "events of one that never was", kinds(news(t, s, start, "hook")), []string{})
	if n := rows(t, s, "occurrences"); n != 0 {
		t.Errorf("%d occurrences are left", n)
	}
}

// An adopted machine runs from the beginning of its record.
func TestEventOfAnAdoptedServer(t *testing.T) {
	s := told(t)
	found := serverOf("a", "s1")
	found.Phase, found.Device, found.Started = state.Running, deviceOf("a"), start
	must(t, s.Commit(t.Context(), state.Changes{At: start, Stacks: []state.Stack{stackOf("s1")}, Servers: []state.Server{found}}))
	moveTo(t, s, start, "a", state.Shutdown) // before anybody looks
	events := news(t, s, start, "hook")
	wantEqual(t, "events", kinds(events), []string{"server.created a"})
	if e := events[0]; e.Device != "id-a" || e.Phase != state.Running || e.Reason != "wanted" {
		t.Errorf("event %+v", e)
	}
}

// An error is told when terraform has said why, and in order with what follows.
func TestEventOfAnError(t *testing.T) {
	s := told(t)
	grow(t, s, start, "s1", "a", "b")
	run := applying(t, s, start, "s1")
	d := deviceOf("b")
	failed := deviceOf("a")
	must(t, s.Advance(t.Context(), state.Outcome{Server: "a", Phase: state.Failed, Device: &failed, Error: "terraform says why later"}, start))
	must(t, s.Advance(t.Context(), state.Outcome{Server: "b", Phase: state.Running, Device: &d}, start))
	moveTo(t, s, start, "a", state.Stopping)
	moveTo(t, s, start, "a", state.Stopped)
	wantEqual(t, "events while the run goes on", kinds(news(t, s, start, "hook")), []string{"server.created b"})

	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: start.Add(time.Minute),
		Servers: []state.Outcome{{Server: "a", Phase: state.Failed, Absent: state.Refused, Error: "422 no capacity"}}}))
	events := news(t, s, start, "hook")
	wantEqual(t, "events when it has ended", kinds(events), []string{"server.error a", "server.destroyed a"})
	if e := events[0]; e.Error != "422 no capacity" || e.Phase != state.Failed || !e.At.Equal(after(0)) {
		t.Errorf("event %+v", e)
	}
	_, err := s.writer.Exec("UPDATE servers SET phase = phase, started = started; UPDATE runs SET phase = phase")
	must(t, err)
	wantEqual(t, "events when the same is written again", kinds(news(t, s, start, "hook")), []string{})
}

func TestNewsOfRefusedPlans(t *testing.T) {
	s := told(t)
	grow(t, s, start, "s1", "a")
	refuse := func(verdict string) []string {
		t.Helper()
		run, _ := begin(t, s, start, "s1")
		must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunRefused, At: start, Verdict: verdict}))
		events := news(t, s, start, "hook")
		for _, e := range events {
			if e.Reason != verdict || e.Run != run.ID || e.Pool != "default" {
				t.Errorf("event %+v", e)
			}
		}
		return kinds(events)
	}
	wantEqual(t, "a refusal", refuse("it replaces a"), []string{"plan.refused s1"})
	wantEqual(t, "the same again", refuse("it replaces a"), []string{})
	wantEqual(t, "for another reason", refuse("it changes b"), []string{"plan.refused s1"})
	must(t, s.Commit(t.Context(), state.Changes{At: start, Moves: []state.Move{{Server: "a", From: state.Pending, To: state.Stopped}}}))
	wantEqual(t, "no more events", kinds(news(t, s, start, "hook")), []string{})
	if _, _, err := s.BeginRun(t.Context(), "s1", start); err != nil { // nothing to do: converged
		t.Fatal(err)
	}
	news(t, s, start, "hook")
	if n := rows(t, s, "conditions"); n != 0 {
		t.Errorf("%d conditions are left", n)
	}
}

func TestEventsOfFindings(t *testing.T) {
	s := told(t)
	sweep := func(at time.Duration, found ...state.Finding) []state.Event {
		t.Helper()
		must(t, s.Commit(t.Context(), state.Changes{At: start.Add(at), Swept: true, Findings: found}))
		return news(t, s, start.Add(at), "hook")
	}
	orphan := state.Finding{Kind: state.Orphan, Device: "d1", Server: "x", Detail: "in no record", Action: "destroyed when confirmed"}
	events := sweep(0, orphan)
	wantEqual(t, "a new one", kinds(events), []string{"finding x"})
	if e := events[0]; e.Finding != state.Orphan || e.Device != "d1" || e.Reason != "in no record" || e.Action != "destroyed when confirmed" {
		t.Errorf("event %+v", e)
	}
	wantEqual(t, "the same again", kinds(sweep(time.Minute, orphan)), []string{})
	wantEqual(t, "its end", kinds(sweep(2*time.Minute)), []string{"finding.ended x"})
	wantEqual(t, "nothing", kinds(sweep(3*time.Minute)), []string{})
	wantEqual(t, "once more", kinds(sweep(4*time.Minute, orphan)), []string{"finding x"})
}

func decide(t *testing.T, s *Store, at time.Duration, d state.Decision) {
	t.Helper()
	d.At = start.Add(at)
	must(t, s.Commit(t.Context(), state.Changes{At: d.At, Decision: &d}))
}

func held(by string) state.Decision {
	return state.Decision{Pools: []state.PoolDecision{{Pool: "default", Held: by, Reason: "because of " + by}}}
}

func TestEventsOfConditions(t *testing.T) {
	s := told(t)
	at := func(d time.Duration) []string { t.Helper(); return kinds(news(t, s, start.Add(d), "hook")) }

	decide(t, s, 0, held(scale.HeldMaximum))
	wantEqual(t, "the maximum is no event", at(0), []string{})
	decide(t, s, time.Second, held(scale.HeldBackoff))
	wantEqual(t, "a backoff", at(time.Second), []string{"pool.held default backoff"})
	wantEqual(t, "the same record again", at(2*time.Second), []string{})

	// The backoff passes, a create is tried, and fails: it has not ended.
	decide(t, s, 10*time.Second, held(""))
	grow(t, s, start, "s1", "a")
	wantEqual(t, "one is tried", at(10*time.Second), []string{})
	wantEqual(t, "it takes long", at(10*time.Minute), []string{})
	moveTo(t, s, start, "a", state.Failed)
	wantEqual(t, "it failed", at(10*time.Minute+time.Second), []string{"server.error a"})
	decide(t, s, 10*time.Minute+2*time.Second, held(scale.HeldBackoff))
	wantEqual(t, "held back again", at(12*time.Minute), []string{})

	// While hangar is paused nothing is tried.
	paused := held(scale.HeldPaused)
	paused.Paused = true
	decide(t, s, 13*time.Minute, paused)
	at(13 * time.Minute)
	wantEqual(t, "paused", at(20*time.Minute), []string{})

	decide(t, s, 21*time.Minute, held(""))
	wantEqual(t, "not held back for a moment", at(21*time.Minute), []string{})
	wantEqual(t, "nor for a little longer", at(22*time.Minute-time.Second), []string{})
	wantEqual(t, "nor for a while", at(22*time.Minute), []string{"pool.held.ended default backoff"})
	wantEqual(t, "which is told once", at(30*time.Minute), []string{})
	decide(t, s, 31*time.Minute, held(scale.HeldBudget))
	wantEqual(t, "a budget", at(31*time.Minute), []string{"pool.held default budget"})

	d := held(scale.HeldBudget)
	d.Unmatched = []state.Unmatched{{Stages: []int64{7, 8}, Asks: "linux/arm64", Reason: "the pool default is linux/amd64"}}
	decide(t, s, 32*time.Minute, d)
	wantEqual(t, "stages match no pool", at(32*time.Minute), []string{"stages.unmatched linux/arm64"})
	d.Unmatched[0].Stages = []int64{8, 9}
	decide(t, s, 33*time.Minute, d)
	wantEqual(t, "more of them", at(33*time.Minute), []string{})
	decide(t, s, 34*time.Minute, held(scale.HeldBudget))
	at(34 * time.Minute)
	wantEqual(t, "none of them", at(35*time.Minute), []string{"stages.unmatched.ended linux/arm64"})
}

func TestEventsOfOverdueDrains(t *testing.T) {
	s := told(t)
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	news(t, s, start, "hook")
	moveTo(t, s, start, "a", state.Shutdown)
	moveTo(t, s, start.Add(59*time.Minute), "b", state.Shutdown)
	wantEqual(t, "before its time", kinds(news(t, s, start.Add(59*time.Minute), "hook")), []string{})
	events := news(t, s, start.Add(61*time.Minute), "hook")
	wantEqual(t, "at its time", kinds(events), []string{"drain.overdue a"})
	if e := events[0]; !e.At.Equal(after(time.Hour)) || e.Phase != state.Shutdown || e.Reason != "moved to shutdown" {
		t.Errorf("event %+v", e)
	}
	wantEqual(t, "once", kinds(news(t, s, start.Add(62*time.Minute), "hook")), []string{})
	moveTo(t, s, start.Add(63*time.Minute), "a", state.Running)
	moveTo(t, s, start.Add(64*time.Minute), "a", state.Shutdown)
	news(t, s, start.Add(65*time.Minute), "hook")
	wantEqual(t, "another drain", kinds(news(t, s, start.Add(125*time.Minute), "hook")), []string{"drain.overdue b", "drain.overdue a"})
}

// What was before anybody was told is told to nobody, also what was only noted
// then, or was not known in full.
func TestOldHistoryIsNotTold(t *testing.T) {
	s := newStore(t)
	must(t, s.SetTargets(t.Context(), nil, start, watch))
	grow(t, s, start, "s1", "a", "b", "c")
	applied(t, s, start, "s1")
	moveTo(t, s, start, "a", state.Failed)
	moveTo(t, s, start, "b", state.Shutdown)
	orphan := state.Finding{Kind: state.Orphan, Device: "d1"}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Swept: true, Findings: []state.Finding{orphan}}))
	d := held(scale.HeldBudget)
	d.Unmatched = []state.Unmatched{{Stages: []int64{7}, Asks: "linux/arm64"}}
	decide(t, s, 0, d)
	gathered(t, s, start.Add(2*time.Hour))
	grow(t, s, start, "s2", "d")
	run := applying(t, s, start, "s2")
	must(t, s.Advance(t.Context(), state.Outcome{Server: "d", Phase: state.Failed, Error: "terraform says why later"}, start))
	orphan.Device = "d2"
	must(t, s.Commit(t.Context(), state.Changes{At: start, Findings: []state.Finding{orphan}}))

	late := start.Add(3 * time.Hour)
	must(t, s.SetTargets(t.Context(), []string{"hook"}, late, watch))
	wantEqual(t, "events of old", kinds(news(t, s, late, "hook")), []string{})
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunErrored, At: late}))
	wantEqual(t, "an error of old", kinds(news(t, s, late, "hook")), []string{})
	moveTo(t, s, late, "c", state.Failed)
	wantEqual(t, "events of now", kinds(news(t, s, late, "hook")), []string{"server.error c"})

	// A second target begins where it is added, the first goes on.
	moveTo(t, s, late, "c", state.Stopping)
	moveTo(t, s, late, "c", state.Stopped)
	gathered(t, s, late)
	must(t, s.SetTargets(t.Context(), []string{"hook", "slack"}, late, watch))
	wantEqual(t, "events for the second", kinds(news(t, s, late, "slack")), []string{})
	wantEqual(t, "events for the first", kinds(news(t, s, late, "hook")), []string{"server.destroyed c"})

	// One that comes back is told nothing of what was without it.
	must(t, s.SetTargets(t.Context(), nil, late, watch))
	moveTo(t, s, late, "b", state.Failed)
	must(t, s.SetTargets(t.Context(), []string{"hook"}, late, watch))
	wantEqual(t, "events for one that came back", kinds(news(t, s, late, "hook")), []string{})
}

// A restart at any point changes neither the events nor who was told of them,
// and what was not committed did not happen.
func TestEventsOutliveARestart(t *testing.T) {
	s := told(t)
	again := func() {
		t.Helper()
		must(t, s.Close())
		s = openAt(t, s.path)
		must(t, s.SetTargets(t.Context(), []string{"hook"}, start, watch))
	}
	grow(t, s, start, "s1", "a", "b")
	applied(t, s, start, "s1")
	decide(t, s, 0, held(scale.HeldBudget))
	wantCode(t, s.Commit(t.Context(), state.Changes{At: start, Moves: []state.Move{
		{Server: "a", From: state.Running, To: state.Failed}, {Server: "b", From: state.Pending, To: state.Failed},
	}}), state.Conflict)
	again()
	gathered(t, s, start)
	first, err := s.News(t.Context(), "hook", 100)
	must(t, err)
	wantEqual(t, "events", kinds(first), []string{"server.created a", "server.created b", "pool.held default budget"})
	again()
	gathered(t, s, start)
	second, err := s.News(t.Context(), "hook", 100)
	must(t, err)
	wantEqual(t, "events after a restart", second, first)
	must(t, s.Told(t.Context(), "hook", first[0].Seq))
	again()
	third, err := s.News(t.Context(), "hook", 100)
	must(t, err)
	wantEqual(t, "events after one was told", third, first[1:])
}

func TestOverage(t *testing.T) {
	s := told(t)
	must(t, s.SetTargets(t.Context(), []string{"hook", "slack"}, start, watch))
	for i, name := range []string{"a", "b", "c"} {
		at := start.Add(time.Duration(i) * time.Hour)
		grow(t, s, at, "s-"+name, name)
		applied(t, s, at, "s-"+name)
		gathered(t, s, at)
	}
	n, last, err := s.Overage(t.Context(), "hook", start.Add(90*time.Minute))
	must(t, err)
	if n != 2 {
		t.Fatalf("%d are old, want 2", n)
	}
	must(t, s.Told(t.Context(), "hook", last))
	wantEqual(t, "what is left", kinds(news(t, s, start, "hook")), []string{"server.created c"})
	if n, _, err := s.Overage(t.Context(), "hook", start.Add(90*time.Minute)); err != nil || n != 0 {
		t.Errorf("%d are old, %v", n, err)
	}
	all := news(t, s, start, "slack")
	wantEqual(t, "what the other is told", kinds(all), []string{"server.created a", "server.created b", "server.created c"})
	if !slices.IsSortedFunc(all, func(a, b state.Event) int { return int(a.Seq - b.Seq) }) {
		t.Errorf("order %v", all)
	}
}

// line is what an event of the log says, in short.
func line(e state.Event) string {
	text := string(e.Kind)
	for _, part := range []string{e.Server, string(e.Phase), e.By} {
		if part != "" {
			text += " " + part
		}
	}
	if e.Run > 0 {
		text += fmt.Sprintf(" run %d", e.Run)
	}
	return text
}

func logged(t *testing.T, s *Store, f state.EventFilter) (lines []string, read int64) {
	t.Helper()
	events, read, err := s.Events(t.Context(), f)
	must(t, err)
	lines = []string{}
	for _, e := range events {
		lines = append(lines, line(e))
	}
	return lines, read
}

// The log tells everything that happens, in order, each thing once: phases, runs,
// decisions, findings, pauses and orders, with who gave them.
func TestLogOfEvents(t *testing.T) {
	s := newStore(t) // with nobody to be told
	d := state.Decision{At: start, Pools: []state.PoolDecision{{Pool: "default", Create: 2}}}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Decision: &d, Stacks: []state.Stack{stackOf("s1")},
		Servers: []state.Server{serverOf("a", "s1"), serverOf("b", "s1")}}))
	decide(t, s, 0, held(scale.HeldMaximum)) // changes nothing
	applied(t, s, start.Add(time.Minute), "s1")
	at := start.Add(2 * time.Minute)
	must(t, s.Commit(t.Context(), state.Changes{At: at, Moves: []state.Move{{Server: "a", From: state.Running, To: state.Stopping, Reason: "asked for"}},
		Order: &state.Order{Kind: state.OrderedDestroy, Server: "a", By: "octocat", Reason: "asked for"}}))
	must(t, s.SetPaused(t.Context(), true, "hubot", at))
	must(t, s.SetPaused(t.Context(), true, "octocat", at)) // it is paused
	must(t, s.SetPaused(t.Context(), false, "octocat", at))
	run, _ := begin(t, s, at, "s1")
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunRefused, At: at, Verdict: "it replaces b"}))
	run, _ = begin(t, s, at, "s1")
	must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunRefused, At: at, Verdict: "it replaces b"})) // no news, but logged
	moveTo(t, s, at, "b", state.Failed)
	if n := gathered(t, s, at); n != 21 {
		t.Errorf("%d events were recorded", n)
	}
	want := []string{
		"decision", "server.phase a pending", "server.phase b pending",
		"run.begun run 1", "run.planned run 1",
		"server.phase a creating", "server.phase b creating", "run.applying run 1",
		"run.applied run 1", "server.created a running", "server.created b running",
		"order.destroy a stopping octocat", "server.phase a stopping",
		"pause hubot", "pause.ended octocat",
		"run.begun run 2", "plan.refused run 2", "run.begun run 3", "plan.refused run 3",
		"server.phase b error", "server.error b error",
	}
	lines, read := logged(t, s, state.EventFilter{})
	wantEqual(t, "the log", lines, want)
	if gathered(t, s, at.Add(time.Minute)); read != int64(len(want)) {
		t.Errorf("read up to %d", read)
	}
	events, _, err := s.Events(t.Context(), state.EventFilter{Limit: 4})
	must(t, err)
	if e := events[0]; e.Decision != 1 || e.Reason != "create 2 in default" || !e.At.Equal(after(0)) {
		t.Errorf("decision %+v", e)
	}
	if e := events[3]; e.Decision != 1 || e.Stack != "s1" || e.Pool != "default" || e.Reason != "2 to create, 0 to destroy, 0 to adopt" {
		t.Errorf("run %+v", e)
	}

	for _, tt := range []struct {
		name string
		f    state.EventFilter
		want []string
		read int64
	}{
		{"a page", state.EventFilter{After: 3, Limit: 2}, want[3:5], 5},
		{"the last page", state.EventFilter{After: 19, Limit: 100}, want[19:], 21},
		{"beyond the end", state.EventFilter{After: 99}, []string{}, 21},
		{"a server", state.EventFilter{Server: "b", After: 3}, []string{want[6], want[10], want[19], want[20]}, 21},
		{"a kind", state.EventFilter{Kinds: []state.EventKind{"server.error"}}, []string{want[20]}, 21},
		{"kinds of a family", state.EventFilter{Kinds: []state.EventKind{"pause", "decision"}}, []string{want[0], want[13], want[14]}, 21},
		{"a stack's runs", state.EventFilter{Stack: "s1", Kinds: []state.EventKind{"run"}, Limit: 2}, want[3:5], 5},
		{"another stack", state.EventFilter{Stack: "s2"}, []string{}, 21},
		{"half a kind", state.EventFilter{Kinds: []state.EventKind{"serv"}}, []string{}, 21},
	} {
		lines, read := logged(t, s, tt.f)
		wantEqual(t, tt.name, lines, tt.want)
		if read != tt.read {
			t.Errorf("%s: read up to %d, want %d", tt.name, read, tt.read)
		}
	}
	if _, err := s.writer.Exec("UPDATE events SET body = '{}'"); err == nil {
		t.Error("an event can be changed")
	}
}

// Old events go, and their places are not given again.
func TestPruneEvents(t *testing.T) {
	s := newStore(t)
	for i := range 3 {
		at := start.Add(time.Duration(i) * time.Hour)
		must(t, s.SetPaused(t.Context(), i%2 == 0, "octocat", at))
		gathered(t, s, at)
	}
	must(t, s.PruneEvents(t.Context(), start.Add(time.Hour)))
	lines, _ := logged(t, s, state.EventFilter{})
	wantEqual(t, "what is left", lines, []string{"pause.ended octocat", "pause octocat"})
	must(t, s.PruneEvents(t.Context(), start.Add(time.Hour*10)))
	must(t, s.PruneEvents(t.Context(), start.Add(time.Hour*10)))
	lines, read := logged(t, s, state.EventFilter{})
	if len(lines) != 0 || read != 3 {
		t.Errorf("%v is left, read up to %d", lines, read)
	}
	must(t, s.SetPaused(t.Context(), false, "octocat", start))
	gathered(t, s, start)
	if _, read := logged(t, s, state.EventFilter{}); read != 4 {
		t.Errorf("the next event is at %d", read)
	}
}

// A state tells which decision made it, also when the run that did is gone; what
// a person ordered no decision made.
func TestDecisionsOfVersions(t *testing.T) {
	s := newStore(t)
	version := func(bytes string) *state.StateVersion { return &state.StateVersion{Serial: 1, Bytes: []byte(bytes)} }
	end := func(bytes string) {
		t.Helper()
		run := applying(t, s, start, "s1")
		must(t, s.Finish(t.Context(), state.Finish{Run: run.ID, Phase: state.RunApplied, At: start, Applied: true, Version: version(bytes),
			Outputs: map[string]state.Device{"a": deviceOf("a"), "b": deviceOf("b"), "c": deviceOf("c")}}))
	}
	decide(t, s, 0, held(""))
	d := state.Decision{At: start, Pools: []state.PoolDecision{{Pool: "default", Create: 2}}}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Decision: &d, Stacks: []state.Stack{stackOf("s1")},
		Servers: []state.Server{serverOf("a", "s1"), serverOf("b", "s1"), serverOf("c", "s1")}}))
	end("one")
	d = state.Decision{At: start, Servers: []state.ServerDecision{{Server: "a", Action: state.Stop}}}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Decision: &d, Moves: []state.Move{{Server: "a", From: state.Creating, To: state.Stopping}}}))
	end("two")
	moveTo(t, s, start, "b", state.Stopping)
	end("three")
	decisions := func() (ids []int64) {
		t.Helper()
		versions, err := s.Versions(t.Context(), "s1")
		must(t, err)
		for _, v := range versions {
			ids = append(ids, v.Decision)
		}
		return ids
	}
	wantEqual(t, "decisions", decisions(), []int64{0, 3, 2})
	runs, err := s.Runs(t.Context(), state.RunFilter{})
	must(t, err)
	if runs[2].Decision != 2 || runs[1].Decision != 3 || runs[0].Decision != 0 {
		t.Errorf("runs %+v", runs)
	}
	_, err = s.writer.Exec("DELETE FROM runs")
	must(t, err)
	wantEqual(t, "decisions without runs", decisions(), []int64{0, 3, 2})
}
