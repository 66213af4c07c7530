package reconciler

import (
	"context"
	"fmt"
	"time"

	"hangar/state"
)

// tendTime bounds what is done at one machine at a time.
const tendTime = time.Minute

// tend does what is to be done at one machine, records what it shows, and
// returns how long it is left alone then.
func (a *Agents) tend(ctx context.Context, s state.Server) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, tendTime)
	defer cancel()
	switch s.Phase {
	case state.Created, state.Staging:
		a.setUp(ctx, s)
	case state.Shutdown, state.Failed:
		a.drain(ctx, s)
		return min(a.Check, drainCheck)
	case state.Running:
		return a.ping(ctx, s)
	}
	return a.Check
}

// drainCheck is the pause between looks at a machine that drains, at most: an
// idle one is billed.
const drainCheck = 3 * time.Second

// setUp follows the setup of a machine until it is ready, or its deadline is
// over. One that was told to drain and is put back to work has its runner
// started again first.
func (a *Agents) setUp(ctx context.Context, s state.Server) {
	if !s.Told.IsZero() {
		var started bool
		if s, started = a.putBack(ctx, s); !started {
			return
		}
	}
	to := state.Seen(s)
	look, err := a.Machines.Look(ctx, a.host(s))
	now := a.Now().UTC()
	switch {
	case ctx.Err() != nil:
		return
	case state.CodeOf(err) == state.Untrusted:
		to.To, to.Reason, to.Error = state.Failed, "what answers in its place is not to be trusted", err.Error()
		to.Agent.Unreachable = now
	case err != nil:
		to.Agent.Setup = err.Error()
	case look.Ready():
		to.To, to.Reason = state.Running, "its runner is ready"
		to.Agent = state.Agent{Active: s.Active, Reached: first(s.Reached, now)}
	case look.CloudInit == "error" && look.Container != "running":
		to.To, to.Reason = state.Failed, "its setup failed"
		to.Error = a.failure(ctx, s, "cloud-init failed: "+look.Detail)
		to.Agent.Reached = first(s.Reached, now)
	default:
		to.To, to.Agent.Reached, to.Agent.Unreachable = state.Staging, first(s.Reached, now), time.Time{}
		to.Agent.Setup = setupOf(look)
	}
	since := s.Active // for a new machine; since it was put back, for another one
	if !s.Started.IsZero() {
		since = s.Updated
	}
	if to.To.Usable() && to.To != state.Running && a.Deadline > 0 && now.Sub(since) >= a.Deadline {
		to.To, to.Reason = state.Failed, "it was not ready in time"
		to.Error = a.failure(ctx, s, fmt.Sprintf("not ready within %s: %s", a.Deadline, to.Agent.Setup))
	}
	if to.To == s.Phase && to.Agent == s.Agent {
		return
	}
	if to.Reason == "" {
		to.Reason = "it is being set up: " + to.Agent.Setup
	}
	a.commit(ctx, to)
}

// putBack starts the runner of a machine again that was told to drain, once it
// has ended; it is told once more, in case it was not heard. A runner that does
// not end soon has work: its server goes on draining, and is no capacity.
func (a *Agents) putBack(ctx context.Context, s state.Server) (now state.Server, started bool) {
	h, to := a.host(s), state.Seen(s)
	var look state.AgentLook
	err := a.Machines.Drain(ctx, h)
	if err == nil {
		look, err = a.Machines.Look(ctx, h)
	}
	if err == nil && look.Gone() {
		err = a.Machines.Revive(ctx, h)
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return s, false
	case err == nil && look.Gone():
		// From here on it is no longer a runner that was told to drain.
		to.Agent.Told, to.Agent.Drained, to.Agent.Unreachable = time.Time{}, time.Time{}, time.Time{}
		to.Agent.Setup = "its runner starts again"
		return a.commit(ctx, to)
	case a.Now().Sub(s.Updated) >= endsWithin:
		to.To, to.Reason = state.Shutdown, "drains: its runner has work after all"
		if err != nil {
			to.Reason = "drains: its runner could not be started again: " + err.Error()
		}
	case err != nil:
		to.Agent.Setup = err.Error()
	default:
		to.Agent.Setup = "its runner, told to take no more work, ends before it is started again"
	}
	if to.To != s.Phase || to.Agent != s.Agent {
		a.commit(ctx, to)
	}
	return s, false
}

// endsWithin is how long a runner without work takes to end when it is told to,
// at most.
const endsWithin = 30 * time.Second

// drain tells a runner to take no more work, and finds out whether it has
// ended. That it is told is recorded first: should it be put back to work
// meanwhile, it is known that it has to be started again.
func (a *Agents) drain(ctx context.Context, s state.Server) {
	if s.Told.IsZero() {
		to := state.Seen(s)
		to.Agent.Told = a.Now().UTC().Truncate(time.Microsecond)
		var ok bool
		if s, ok = a.commit(ctx, to); !ok {
			return
		}
	}
	h := a.host(s)
	var look state.AgentLook
	err := a.Machines.Drain(ctx, h)
	if err == nil {
		look, err = a.Machines.Look(ctx, h)
	}
	if ctx.Err() != nil && err != nil {
		return
	}
	to, now := state.Seen(s), a.Now().UTC().Truncate(time.Microsecond)
	switch {
	case err != nil:
		to.Agent.Unreachable = first(s.Unreachable, now)
		to.Agent.Setup = err.Error()
	case neverStarted(look) && now.Sub(first(s.Active, now)) < a.Deadline:
		// Its setup is about to start a runner, which could take work.
		to.Agent.Unreachable, to.Agent.Setup = time.Time{}, "its setup goes on, and may start its runner yet"
	case look.Gone(), neverStarted(look):
		to.Agent.Drained, to.Agent.Unreachable, to.Agent.Setup = now, time.Time{}, ""
	default:
		to.Agent.Unreachable, to.Agent.Setup = time.Time{}, ""
	}
	if to.Agent != s.Agent {
		a.commit(ctx, to)
	}
}

// neverStarted says whether a machine's setup has not come to start the runner.
func neverStarted(l state.AgentLook) bool {
	return l.Container == "created" || l.CloudInit == "running" && l.Gone()
}

// ping looks at a machine that works. A runner that is gone is started again;
// when that does not help, or the machine has not answered for a while, the
// server is drained and replaced.
func (a *Agents) ping(ctx context.Context, s state.Server) time.Duration {
	to, h := state.Seen(s), a.host(s)
	look, err := a.Machines.Look(ctx, h)
	now := a.Now().UTC().Truncate(time.Microsecond)
	again := a.Check
	switch {
	case ctx.Err() != nil && err != nil:
		return again
	case state.CodeOf(err) == state.Untrusted: // told, and left alone: no blind retries
		to.Agent.Unreachable, to.Agent.Setup, to.Error = first(s.Unreachable, now), err.Error(), err.Error()
		again = a.Ping
	case err != nil:
		to.Agent.Unreachable, to.Agent.Setup = first(s.Unreachable, now), err.Error()
		if now.Sub(to.Agent.Unreachable) >= a.Grace {
			to.To, to.Condemned = state.Shutdown, true
			to.Reason = "it does not answer since " + clock(to.Agent.Unreachable) + ": it is replaced"
		}
	case look.Ready():
		to.Agent.Unreachable, to.Agent.Setup, to.Agent.Repaired = time.Time{}, "", time.Time{}
		again = a.Ping
	case s.Repaired.IsZero():
		to.Agent.Unreachable, to.Agent.Repaired = time.Time{}, now
		to.Agent.Setup = "its runner was gone (" + setupOf(look) + ") and is started again"
		to.Reason = to.Agent.Setup
		if err := a.Machines.Restart(ctx, h); err != nil {
			to.Agent.Setup += ": " + err.Error()
		}
	case now.Sub(s.Repaired) >= a.Grace/2:
		to.To, to.Condemned, to.Agent.Unreachable = state.Shutdown, true, time.Time{}
		to.Reason = "its runner is gone (" + setupOf(look) + ") and could not be started again: it is replaced"
	}
	if to.To != s.Phase || to.Agent != s.Agent || to.Error != "" && to.Error != s.Error {
		a.commit(ctx, to)
	}
	return again
}

// failure is what went wrong, with the end of the setup's log where that can be
// had.
func (a *Agents) failure(ctx context.Context, s state.Server, what string) string {
	if tail, err := a.Machines.Tail(ctx, a.host(s)); err == nil && tail != "" {
		return what + "\n" + tail
	}
	return what
}

// setupOf is what a look shows, in words.
func setupOf(l state.AgentLook) string {
	words := "cloud-init is " + l.CloudInit
	switch {
	case l.CloudInit == "":
		words = "cloud-init has not begun"
	case l.CloudInit != "done" && l.CloudInit != "degraded":
	case l.Container == "":
		words += ", there is no runner"
	case l.Container != "running":
		words += ", the runner is " + l.Container
	case !l.Healthy:
		words += ", the runner does not answer its health check"
	}
	if l.Detail != "" {
		words += ": " + l.Detail
	}
	return words
}

// first is the time at which something was first seen: known, if it is, or now.
func first(known, now time.Time) time.Time {
	if known.IsZero() {
		return now
	}
	return known
}
