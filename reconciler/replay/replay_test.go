package replay

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// start is when the made-up traces begin.
var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// pool is the default pool of packet, billed by the hour.
func pool(change func(*state.Pool)) state.Roster {
	p := state.Pool{
		Name: "default", Min: 2, Max: 20, Concurrency: 2, Platform: state.Platform{OS: "linux", Arch: "amd64"}, CreateBudget: 60, MaxUnavailable: 1,
		MinAge: 55 * time.Minute, BillingPeriod: time.Hour, Candidates: []state.Candidate{{Name: "ewr1/c3", Price: 0.5}},
	}
	if change != nil {
		change(&p)
	}
	return state.Roster{Pools: []state.Pool{p}}
}

func setup(r state.Roster) Setup {
	return Setup{
		Name: "as set", Policy: scale.Decide, Pools: r, Interval: 10 * time.Second,
		Machines: Machines{Boot: []time.Duration{5 * time.Minute, 6 * time.Minute, 7 * time.Minute}, Billed: time.Hour, Seed: 1},
	}
}

func theirs(r state.Roster) Setup {
	s := setup(r)
	s.Name, s.Policy, s.Interval, s.Always = "drone/autoscaler", Autoscaler, AutoscalerInterval, true
	return s
}

func replayed(t testing.TB, trace []Stage, s Setup) *Result {
	t.Helper()
	r, err := Run(t.Context(), trace, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func build(at, runs time.Duration) Stage {
	return Stage{At: start.Add(at), Runs: runs, OS: "linux", Arch: "amd64"}
}

// A buffer that is learned keeps builds from waiting as one that fits the day
// does, and costs less at night.
func TestLearnedBuffer(t *testing.T) {
	trace := Make("daily", 14, 1000, 1)
	with := func(change func(*state.Pool)) *Result {
		return replayed(t, trace, setup(pool(func(p *state.Pool) { p.Min = 0; change(p) })))
	}
	none := with(func(*state.Pool) {})
	learned := with(func(p *state.Pool) { p.LearnBuffer = true })
	fixed := with(func(p *state.Pool) { p.Buffer = 8 })
	t.Logf("mean wait and billed hours: without %.1f s, %.0f h; learned %.1f s, %.0f h; 8 builds %.1f s, %.0f h",
		none.Mean, none.Billed, learned.Mean, learned.Billed, fixed.Mean, fixed.Billed)
	if learned.Mean > none.Mean/4 {
		t.Errorf("builds wait %.1f s with what is learned, %.1f s without", learned.Mean, none.Mean)
	}
	if learned.Billed > 0.85*fixed.Billed {
		t.Errorf("%.0f h with what is learned, %.0f h with a fixed buffer of 8", learned.Billed, fixed.Billed)
	}
}

// A replay that can be followed by hand: one machine at most, one build at a time,
// and a machine that boots for 5 minutes.
func TestByHand(t *testing.T) {
	s := setup(pool(func(p *state.Pool) { p.Min, p.Max, p.Concurrency = 0, 1, 1 }))
	s.Machines.Boot = []time.Duration{5 * time.Minute}
	r := replayed(t, []Stage{
		build(0, 10*time.Minute),             // waits for the order and the boot: 5m2s
		build(time.Minute, 10*time.Minute),   // and for the first one: 14m2s
		build(50*time.Minute, 2*time.Minute), // the machine is there still: its hour is paid
		build(3*time.Hour, time.Minute),      // a machine anew: 5m2s
	}, s)
	want := (302. + 842 + 0 + 302) / 4
	if math.Abs(r.Mean-want) > 1e-9 || r.P50 != 302 || r.P95 != 842 || r.P99 != 842 {
		t.Errorf("waits: mean %v, p50 %v, p95 %v, p99 %v; want %v, 302, 842, 842", r.Mean, r.P50, r.P95, r.P99, want)
	}
	if r.Machines != 2 || r.Most != 1 || r.Billed != 2 || r.Cost != 1 || r.Stages != 4 || r.Stuck != 0 {
		t.Errorf("%+v", r)
	}
	// The first leaves in the closing minutes of its hour, the second ends with its build.
	first := 5*time.Minute + 55*time.Minute + 30*time.Second
	second := 5*time.Minute + time.Minute
	if got := time.Duration(r.Hours * float64(time.Hour)); got < first+second-time.Minute || got > first+second+time.Minute {
		t.Errorf("machines were there for %s, want about %s", got, first+second)
	}
}

// What is made of traces with the settings that hangar has unless they are set,
// and by drone/autoscaler's rule with the same ones: builds wait less, on average,
// and no more hours are billed.
func TestDefaultsBeatTheAutoscaler(t *testing.T) {
	for _, shape := range Shapes {
		trace := Make(shape, 28, 1000, 1)
		ours, other := replayed(t, trace, setup(pool(nil))), replayed(t, trace, theirs(pool(nil)))
		t.Logf("%s: mean wait %.1f s against %.1f s, billed %.0f h against %.0f h", shape, ours.Mean, other.Mean, ours.Billed, other.Billed)
		if ours.Mean >= other.Mean || ours.Billed > other.Billed {
			t.Errorf("%s: mean wait %.1f s against %.1f s, billed %.0f h against %.0f h", shape, ours.Mean, other.Mean, ours.Billed, other.Billed)
		}
	}
}

// No stage is lost, bounds hold, and the same seed gives the same result.
func TestProperties(t *testing.T) {
	for seed := range uint64(6) {
		trace := Make(Shapes[seed%3], 3, 400, seed)
		for i := range trace {
			if i%7 == 0 {
				trace[i].Arch = "arm64" // no pool runs it
			}
			if i%5 == 0 {
				trace[i].RepoID, trace[i].Name, trace[i].Limit = 1, "deploy", 1
			}
		}
		s := setup(pool(func(p *state.Pool) { p.Max, p.Buffer = 6, int(seed%2) }))
		s.Machines.Fail, s.Machines.Seed = 0.1, seed
		r := replayed(t, trace, s)
		if r.Stages != len(trace) || len(r.waits)+r.Unmatched+r.Stuck != r.Stages || r.Stuck != 0 || r.Unmatched != (len(trace)+6)/7 {
			t.Errorf("seed %d: %d stages, %d of them ran, %d unmatched, %d stuck", seed, r.Stages, len(r.waits), r.Unmatched, r.Stuck)
		}
		if r.Most > 6 || r.Busy > 1 || r.Failed == 0 || r.P50 > r.P95 || r.P95 > r.P99 {
			t.Errorf("seed %d: %+v", seed, r)
		}
		a, _ := json.Marshal(r)
		b, _ := json.Marshal(replayed(t, trace, s))
		if !bytes.Equal(a, b) {
			t.Errorf("seed %d: once %s, once %s", seed, a, b)
		}
	}
}

// Reads of the queue that are left out because nothing can have changed change
// nothing.
func TestReadsThatAreLeftOut(t *testing.T) {
	trace := Make("bursts", 2, 300, 3)
	for _, buffer := range []int{0, 3} {
		s := setup(pool(func(p *state.Pool) { p.Buffer = buffer }))
		few := replayed(t, trace, s)
		s.Always = true
		all := replayed(t, trace, s)
		if few.Decisions*4 > all.Decisions {
			t.Errorf("%d decisions, of %d", few.Decisions, all.Decisions)
		}
		few.Decisions, few.counts, all.Decisions, all.counts = 0, nil, 0, nil
		if a, b := fmt.Sprintf("%+v", few), fmt.Sprintf("%+v", all); a != b {
			t.Errorf("buffer %d: some reads %.300s\nall reads %.300s", buffer, a, b)
		}
	}
}

func TestReadAndWrite(t *testing.T) {
	trace := Make("daily", 2, 50, 1)
	trace[3].Labels, trace[3].Arch, trace[3].Limit, trace[3].RepoID = map[string]string{"size": "large"}, "arm64", 2, 7
	var text bytes.Buffer
	if err := Write(&text, trace); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&text)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(trace) {
		t.Errorf("%v: %v", err, got)
	}
	got, err = Read(strings.NewReader("\n" + `{"at": "2026-01-05T10:00:00+02:00", "duration": "4m30s"}` + "\n" + `{"at": "2026-01-05T07:00:00Z", "duration": 1.5}`))
	if err != nil || len(got) != 2 || got[0].Runs != 1500*time.Millisecond || got[1].Runs != 270*time.Second || !got[1].At.Equal(start.Add(8*time.Hour)) || got[1].Arch != "amd64" {
		t.Errorf("%v: %+v", err, got)
	}
	for text, says := range map[string]string{
		`{"at": "2026-01-05T10:00:00Z", "duration": 1}` + "\nnonsense": "line 2",
		`{"at": "2026-01-05T10:00:00Z"}`:                               "duration",
		`{"at": "2026-01-05T10:00:00Z", "duration": "long"}`:           "duration",
		`{"at": "2026-01-05T10:00:00Z", "duration": -1}`:               "duration",
		`{"duration": 1}`: "at: when",
		`{"at": "2026-01-05T10:00:00Z", "duration": 1, "lable": {}}`: `unknown field "lable"`,
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v does not say %q", text, err, says)
		}
	}
}

func TestRecommend(t *testing.T) {
	trace := Make("daily", 7, 300, 1)
	roster := pool(nil)
	advice, err := Recommend(t.Context(), trace, setup(roster), 30*time.Second)
	if err != nil || advice.Result == nil || advice.Result.P95 > 30 {
		t.Fatalf("%+v, %v", advice, err)
	}
	roster.Pools[0].Min, roster.Pools[0].Max, roster.Pools[0].Buffer = advice.Min, advice.Max, advice.Buffer
	if r := replayed(t, trace, setup(roster)); r.P95 > 30 {
		t.Errorf("with what is recommended, %+v, 95%% wait %v s", advice, r.P95)
	}
	none, err := Recommend(t.Context(), trace, setup(roster), time.Hour)
	if err != nil || none.Min != 0 || none.Buffer != 0 || none.Result.Billed >= advice.Result.Billed {
		t.Errorf("for an hour: %+v, %v", none, err)
	}
}

func TestSVG(t *testing.T) {
	trace := Make("bursts", 2, 100, 1)
	var out bytes.Buffer
	a := replayed(t, trace, setup(pool(nil)))
	a.Name = "<max=8 & more>"
	if err := SVG(&out, []*Result{a, replayed(t, trace, theirs(pool(nil)))}); err != nil {
		t.Fatal(err)
	}
	paths := 0
	for d := xml.NewDecoder(&out); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" && slices.ContainsFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == "d" && len(a.Value) > 100 }) {
			paths++
		}
	}
	if paths != 2 {
		t.Errorf("%d lines, want 2", paths)
	}
}

// A year of 1,000 builds a day.
func BenchmarkYear(b *testing.B) {
	for _, shape := range Shapes {
		trace := Make(shape, 365, 1000, 1)
		b.Run(shape, func(b *testing.B) {
			for b.Loop() {
				r := replayed(b, trace, setup(pool(nil)))
				b.ReportMetric(float64(r.Decisions), "decisions")
			}
		})
	}
}
