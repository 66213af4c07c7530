package reconciler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

// scene is everything from which a look judges a stack: what the records say
// of it, what its Terraform state shows, and what a census found. It is a value;
// judging it is pure.
type scene struct {
	sight    state.Sight
	inState  map[string]state.Device // devices of the state as it is now, by server
	applying bool                    // an apply of the stack is under way: only what is in doubt is judged

	instance string
	settle   time.Duration
	ready    state.Phase       // of a server whose device is active
	boot     time.Duration     // for how long a device may boot
	began    time.Time         // when the census began
	blind    bool              // there is no way to ask the provider
	found    []state.Found     // by the stack's tag
	owners   map[string]string // servers that are known to have a device, of any stack, by device id

	believed time.Duration // for how long a device must not be shown to be believed gone
}

// judgement is what follows from a scene.
type judgement struct {
	sightings []state.Sighting
	doubles   []double      // devices to be destroyed in recovery stacks of their own
	strays    []state.Found // devices of this stack that none of its servers accounts for
	open      bool          // something is not decided yet: to be looked at again soon
	undone    bool          // a destruction of which terraform told has not happened
	verified  bool          // a destruction has happened
	raise     bool          // there may be something to adopt or to destroy
}

// double is a second device of one server.
type double struct {
	of    state.Server
	found state.Found
}

func (sc scene) judge() judgement {
	var j judgement
	own := map[string]*state.Found{}         // the server's known device, as the census shows it
	candidates := map[string][]state.Found{} // devices with the server's name that no server is known to have
	byName := map[string]bool{}
	for _, s := range sc.sight.Servers {
		byName[s.Name] = true
	}
	for i, f := range sc.found {
		switch owner, known := sc.owners[f.ID]; {
		case known && byName[owner]:
			own[owner] = &sc.found[i]
		case known, f.Instance != sc.instance: // of another stack, or of another installation
		case sc.sight.Stack.Tag == "" && byName[f.Server]:
			candidates[f.Server] = append(candidates[f.Server], f)
		case sc.sight.Stack.Tag == "":
			j.strays = append(j.strays, f)
		}
	}
	sc.believed = sc.believe(own)
	for _, s := range sc.sight.Servers {
		if sc.applying && s.Doubt.IsZero() {
			continue
		}
		// The likeliest to work comes first.
		slices.SortStableFunc(candidates[s.Name], func(a, b state.Found) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
		})
		sc.judgeServer(&j, s, own[s.Name], candidates[s.Name])
	}
	return j
}

// rank orders devices by how likely they are to work.
func rank(f state.Found) int {
	return slices.Index([]state.FoundState{state.FoundActive, state.FoundOther, state.FoundBooting, state.FoundFailed, state.FoundLeaving}, f.State)
}

// believe says for how long a device must not be shown, in one look after the
// other, to be believed gone. A list that shows what else is known of the stack
// is believed at once, one that lacks some of it hardly; and where nothing else
// is known, a second look is to say the same.
func (sc scene) believe(own map[string]*state.Found) time.Duration {
	shown, absent := 0, 0
	for _, s := range sc.sight.Servers {
		switch s.Phase {
		case state.Created, state.Staging, state.Running, state.Shutdown:
			if s.ID == "" || s.Absent != "" || !s.Doubt.IsZero() || !s.Updated.Before(sc.began) {
				continue
			}
			if own[s.Name] == nil {
				absent++
			} else {
				shown++
			}
		}
	}
	switch {
	case sc.blind:
		return 0
	case absent > 0:
		return sc.settle
	case shown > 0:
		return 0
	}
	return sc.settle / 12
}

// judgeServer judges one server: own is its known device, when the census shows
// it, and others are devices with its name that nobody is known to have.
func (sc scene) judgeServer(j *judgement, s state.Server, own *state.Found, others []state.Found) {
	others = slices.DeleteFunc(slices.Clone(others), func(f state.Found) bool { return f.State == state.FoundLeaving })
	leaving := own != nil && own.State == state.FoundLeaving
	if leaving {
		own = nil
	}
	shown, inState := sc.inState[s.Name]
	how := "found by a census, and adopted"
	switch {
	case s.ID == "" && inState:
		// The state knows more than the records, which missed the end of a run.
		how = "shown by the stack's state"
		if at := slices.IndexFunc(others, func(f state.Found) bool { return f.ID == shown.ID }); at >= 0 {
			f := others[at]
			own, others = &f, slices.Delete(others, at, at+1)
		}
	case s.ID == "" && len(others) > 0:
		own, others = &others[0], others[1:]
	}
	for _, f := range others {
		j.doubles = append(j.doubles, double{s, f})
	}
	if own != nil || s.ID == "" && inState {
		sc.see(j, s, own, how)
	} else {
		sc.miss(j, s, inState, leaving)
	}
}

// see judges a server whose device is there: f, or, when it is known from the
// state alone, nil.
func (sc scene) see(j *judgement, s state.Server, f *state.Found, how string) {
	to := state.Seen(s)
	to.Absent, to.Doubt, to.Unseen = "", time.Time{}, time.Time{}
	adopted := s.ID == ""
	if f == nil {
		to.Device = sc.inState[s.Name]
	} else {
		to.Device.ID, to.Device.State, to.Taken = f.ID, string(f.State), f.Instance != sc.instance
		to.Device.Address = cmp.Or(f.Address, to.Device.Address)
	}
	booting := to.Device.State == string(state.FoundBooting)
	_, inState := sc.inState[s.Name]
	coming := s.Phase == state.Pending || s.Phase == state.Creating || s.Phase == state.Created || s.Phase == state.Failed && !s.Doubt.IsZero() && s.Absent == ""

	switch {
	case to.Taken && !s.Taken:
		to.Reason = "its device no longer carries this installation's tag: it is left alone"
	case f != nil && f.State == state.FoundFailed && s.Phase.Wanted() && s.Phase != state.Shutdown && s.Phase != state.Failed:
		to.To, to.Reason, to.Error = state.Failed, "its device has failed", fmt.Sprintf("the provider says that device %s has failed", f.ID)
	case s.Phase == state.Failed && s.Absent != "":
		// Given up before: another has taken its place.
		to.Reason = fmt.Sprintf("device %s turned up late; it is to be destroyed", to.Device.ID)
	case coming && f != nil && f.State == state.FoundFailed: // stays in error
		to.Error = fmt.Sprintf("the provider says that device %s has failed", f.ID)
	case coming && booting && s.Phase == state.Created && sc.began.Sub(first(s.Active, s.Updated)) >= sc.boot:
		to.To, to.Reason = state.Failed, "its device does not boot"
		to.Error = fmt.Sprintf("device %s still boots after %s", to.Device.ID, sc.boot)
	case coming && booting && (adopted || s.Phase != state.Created):
		to.To, to.Reason = state.Created, fmt.Sprintf("its device %s was %s; it boots", to.Device.ID, how)
	case coming && !booting && (adopted || s.Phase != state.Created || s.Booting() || !s.Doubt.IsZero()):
		to.To, to.Reason = sc.ready, fmt.Sprintf("its device %s was %s", to.Device.ID, how)
		if !adopted && s.Booting() {
			to.Reason = "its device has booted"
		}
	case s.Phase == state.Created && !booting && sc.ready != state.Created:
		to.To, to.Reason = sc.ready, "its device is active"
	case s.Phase == state.Stopping && !inState && !s.Doubt.IsZero() && !adopted:
		to.Reason = fmt.Sprintf("device %s is there, although terraform called it destroyed: destroyed once more", to.Device.ID)
		j.undone = true
	case s.Phase == state.Stopping && s.Booting() && !booting:
		to.Reason = "its device has booted, and can be destroyed"
	}
	j.open = j.open || booting
	if to != state.Seen(s) {
		j.sightings, j.raise = append(j.sightings, to), true
	}
}

// miss judges a server whose device the census does not show, or shows as
// leaving. A device that may yet appear is waited for; one that is only absent
// from a list is judged by a sweep, which reads the whole of it.
func (sc scene) miss(j *judgement, s state.Server, inState, leaving bool) {
	to := state.Seen(s)
	to.Doubt, to.Unseen = time.Time{}, first(s.Unseen, sc.began)
	gone := func(phase state.Phase, absent state.Absence, reason string) {
		if !leaving && sc.began.Sub(to.Unseen) < sc.believed {
			sc.wait(j, s, to.Unseen)
			return
		}
		to.To, to.Absent, to.Reason = phase, absent, reason
		j.sightings = append(j.sightings, to)
		j.raise = j.raise || phase == state.Stopping
		j.verified = j.verified || phase == state.Stopped && s.Phase == state.Stopping
	}
	early := !s.Doubt.IsZero() && sc.began.Before(s.Doubt)
	switch {
	case s.Phase == state.Pending:
	case s.Phase == state.Failed && s.Absent == state.Refused && !s.Doubt.IsZero():
		if j.open = true; early {
			return
		}
		to.Reason = "the provider refused to create it"
		j.sightings = append(j.sightings, to)
	case s.Phase == state.Failed && s.Absent == state.Refused && sc.began.Before(sc.sight.Stack.LookUntil):
		j.open = true
	case s.Phase == state.Failed && s.Absent == state.Refused:
		gone(state.Stopped, state.Refused, "the provider refused to create it, and no device of it has appeared")
	case s.Phase == state.Failed && s.Absent != "": // for the next sweep
	case s.Phase == state.Stopping && inState && leaving, early:
		sc.wait(j, s, to.Unseen)
	case s.Phase == state.Stopping && inState: // for the next run
		j.raise = true
	case s.Phase == state.Stopping:
		gone(state.Stopped, s.Absent, sc.verified())
	case !s.Doubt.IsZero() && s.ID == "" && s.Phase == state.Shutdown:
		gone(state.Stopped, state.Lost, "no device of it was found")
	case !s.Doubt.IsZero() && s.ID == "":
		to.Error = "no device of it was found by " + clock(sc.began) + "; should one turn up, it is destroyed"
		gone(state.Failed, state.Lost, "no device of it was found; another server takes its place")
	case !s.Doubt.IsZero() && !inState:
		to.Error = fmt.Sprintf("its device %s is gone: neither terraform nor the provider shows it", s.ID)
		gone(state.Failed, state.Missing, "its device is gone")
	case s.Phase == state.Failed && s.ID != "" && !sc.blind && leaving && inState:
		sc.wait(j, s, to.Unseen)
	case s.Phase == state.Failed && s.ID != "" && !sc.blind && inState:
		to.Condemned = true
		gone(state.Stopping, "", "its device is gone: to be removed from the state")
	case s.Phase == state.Failed && s.ID != "" && !sc.blind:
		gone(state.Stopped, "", "its device is gone")
	case s.ID != "" && !inState && !sc.blind:
		// To be adopted, and not there any more.
		to.Doubt = sc.began.Add(sc.settle)
		j.sightings, j.open = append(j.sightings, to), true
	case !s.Doubt.IsZero():
		j.sightings = append(j.sightings, to) // the state has it: a sweep judges
	}
}

// wait leaves a server as it is, to be looked at again soon.
func (sc scene) wait(j *judgement, s state.Server, unseen time.Time) {
	j.open = true
	if s.Unseen.IsZero() {
		to := state.Seen(s)
		to.Unseen = unseen
		j.sightings = append(j.sightings, to)
	}
}

// verified is how a destruction was verified, in words.
func (sc scene) verified() string {
	if sc.blind {
		return "its device is destroyed, as terraform says; its module has no census to verify it"
	}
	return "its device is destroyed: the provider no longer shows it"
}
