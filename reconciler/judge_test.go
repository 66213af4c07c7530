package reconciler

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hangar/state"
)

// drawScene draws a stack in any condition, and whatever a provider may show.
func drawScene(t *rapid.T) scene {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	sc := scene{
		sight:   state.Sight{Stack: state.Stack{Name: "s1", Pool: "default", LookUntil: at.Add(time.Minute)}},
		inState: map[string]state.Device{}, instance: "i-1", settle: time.Minute, ready: state.Running, owners: map[string]string{},
		began:    at.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "began")) * time.Second),
		applying: rapid.Bool().Draw(t, "applying"), blind: rapid.IntRange(0, 9).Draw(t, "blind") == 0,
	}
	phases := []state.Phase{state.Pending, state.Creating, state.Created, state.Running, state.Shutdown, state.Stopping, state.Failed}
	states := []state.FoundState{state.FoundActive, state.FoundBooting, state.FoundFailed, state.FoundLeaving, state.FoundOther}
	for n := range rapid.IntRange(1, 4).Draw(t, "servers") {
		s := state.Server{Name: fmt.Sprintf("agent-aaaaaaa%d", n), Pool: "default", Stack: "s1", Phase: rapid.SampledFrom(phases).Draw(t, "phase")}
		if s.Phase != state.Pending {
			if rapid.Bool().Draw(t, "known") {
				s.ID = fmt.Sprintf("id-%d", n)
				sc.owners[s.ID] = s.Name
			}
			if rapid.Bool().Draw(t, "doubt") {
				s.Doubt = at.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "until")) * time.Second)
			}
			if s.Phase == state.Failed && s.ID == "" && s.Doubt.IsZero() {
				s.Absent = rapid.SampledFrom([]state.Absence{state.Refused, state.Lost}).Draw(t, "absent")
			}
			if s.ID != "" && rapid.Bool().Draw(t, "in state") {
				sc.inState[s.Name] = state.Device{ID: s.ID, State: "active"}
			}
		}
		sc.sight.Servers = append(sc.sight.Servers, s)
		for d := range rapid.IntRange(0, 3).Draw(t, "devices") {
			f := state.Found{
				ID: fmt.Sprintf("id-%d-%d", n, d), Server: s.Name, Stack: "s1", Instance: "i-1", State: rapid.SampledFrom(states).Draw(t, "state"),
			}
			if d == 0 && s.ID != "" {
				f.ID = s.ID
			}
			switch rapid.IntRange(0, 9).Draw(t, "whose") {
			case 0:
				f.Instance = "i-2"
			case 1:
				f.Server = "agent-unknown"
			}
			sc.found = append(sc.found, f)
		}
	}
	return sc
}

// Whatever a look sees, it never takes a device that is not ours, never gives a
// server up whose device is there or may yet appear, and accounts for every
// device once.
func TestJudgeKeepsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		j := sc.judge()
		foreign, there := map[string]bool{}, map[string]state.Found{}
		for _, f := range sc.found {
			foreign[f.ID] = f.Instance != "i-1"
			if f.Instance == "i-1" && f.State != state.FoundLeaving {
				there[f.ID] = f
			}
		}
		taken := map[string]int{}
		seen := map[string]state.Server{}
		for _, s := range sc.sight.Servers {
			seen[s.Name] = s
			if s.ID != "" {
				taken[s.ID]++
			}
		}
		for _, x := range j.sightings {
			s := seen[x.Seen.Name]
			if x.Device.ID != s.ID {
				taken[x.Device.ID]++
				if foreign[x.Device.ID] {
					t.Fatalf("the foreign device %s was taken: %+v", x.Device.ID, x)
				}
			}
			if s.Phase == state.Pending {
				if x.Device.ID == "" {
					t.Fatalf("a server that was never made was judged: %+v", x)
				}
			}
			_, alive := there[x.Device.ID]
			gone := x.To == state.Stopped || x.Absent != "" && s.Absent == ""
			if gone && x.Device.ID != "" && alive {
				t.Fatalf("given up although its device is there: %+v", x)
			}
			if gone && !s.Doubt.IsZero() && sc.began.Before(s.Doubt) {
				t.Fatalf("given up before its device was settled: %+v", x)
			}
			if _, inState := sc.inState[s.Name]; x.To == state.Stopped && inState {
				t.Fatalf("stopped while the state shows it: %+v", x)
			}
			if sc.applying && s.Doubt.IsZero() {
				t.Fatalf("judged in the course of an apply: %+v", x)
			}
		}
		for _, d := range j.doubles {
			taken[d.found.ID]++
			if foreign[d.found.ID] {
				t.Fatalf("the foreign device %s was called a double", d.found.ID)
			}
		}
		for id, n := range taken {
			if n > 1 {
				t.Fatalf("device %s is accounted for %d times", id, n)
			}
		}
		if sc.applying || sc.blind {
			return
		}
		for id, f := range there {
			stray := false
			for _, s := range j.strays {
				stray = stray || s.ID == id
			}
			if taken[id] == 0 && !stray {
				t.Fatalf("device %+v is accounted for by nobody", f)
			}
		}
	})
}
