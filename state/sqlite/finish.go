package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

// Finish records the end of a run, all or nothing; see state.Finish. It is a
// Conflict when the run has ended already, and Invalid when f does not end it.
//
// The fast loop may have moved a server in the meantime, and that stands: an
// outcome other than stopped and error only moves a server that is still on
// its way to running. Its device, error, absence and doubt are recorded all the
// same.
func (s *Store) Finish(ctx context.Context, f state.Finish) error {
	return s.write(ctx, fmt.Sprintf("finish run %d", f.Run), func(t tx) error {
		run, err := endRun(t, f)
		if err != nil {
			return err
		}
		for _, o := range f.Servers {
			server, err := oneServer(t, o.Server)
			if err != nil {
				return err
			}
			if o.Phase == "" && slices.Contains(run.Creates, o.Server) && (server.ID != "" || server.Absent != "" || !server.Doubt.IsZero()) {
				continue // a look in the course of the apply knows more
			}
			if err := settle(t, server, o, f.At); err != nil {
				return err
			}
		}
		if f.Version != nil {
			version := *f.Version
			version.Stack, version.Run = run.Stack, run.ID
			if err := addVersion(t, version, f.At); err != nil {
				return err
			}
		}
		if err := endStack(t, run, f); err != nil {
			return err
		}
		return remember(t, run, f)
	})
}

func endRun(t tx, f state.Finish) (state.Run, error) {
	switch f.Phase {
	case state.RunRefused, state.RunApplied, state.RunErrored, state.RunInterrupted, state.RunDiscarded:
	default:
		return state.Run{}, state.Errorf(state.Invalid, "%q is not how a run ends", f.Phase)
	}
	run, err := runIn(t, f.Run, state.RunPlanning, state.RunPlanned, state.RunApplying)
	if err != nil {
		return run, err
	}
	timings := run.Timings
	switch run.Phase {
	case state.RunPlanning:
		timings = f.Timings
	case state.RunApplying:
		timings.Apply = instant(micros(f.At)).Sub(run.Applying).Seconds()
	}
	return run, t.do(`UPDATE runs SET phase = ?2, finished = ?3, verdict = CASE ?4 WHEN '' THEN verdict ELSE ?4 END,
			error = ?5, diagnostics = ?6, log = ?7, timings = ?8
		WHERE id = ?1`,
		f.Run, f.Phase, micros(f.At), f.Verdict, f.Error, asJSON{present(f.Diagnostics)}, f.Log, asJSON{timings})
}

// coming are the phases of a server that a run brings to running.
var coming = []state.Phase{state.Pending, state.Creating, state.Created, state.Staging}

// settle records what a run made of one server.
func settle(t tx, server state.Server, o state.Outcome, at time.Time) error {
	phase := server.Phase
	last := o.Phase == state.Stopped || o.Phase == state.Failed && phase != state.Stopping
	if o.Phase != "" && (slices.Contains(coming, phase) || last && phase != state.Stopped) {
		phase = o.Phase
	}
	if phase != server.Phase {
		if err := setPhase(t, o.Server, phase, o.Reason, at); err != nil {
			return err
		}
	} else if (phase == o.Phase || o.Phase == "") && o.Reason != "" {
		if err := t.do("UPDATE servers SET reason = ? WHERE name = ?", o.Reason, o.Server); err != nil {
			return err
		}
	}
	if o.Device != nil {
		if err := setDevice(t, o.Server, *o.Device); err != nil {
			return err
		}
	}
	return t.do(`UPDATE servers SET absent = ?2, doubt = ?3, error = CASE ?4 WHEN '' THEN error ELSE ?4 END,
			progress_action = '', progress_elapsed = 0
		WHERE name = ?1`, o.Server, o.Absent, micros(o.Doubt), o.Error)
}

// setDevice records what is known of a server's device. What is not told now
// stays as it was told before.
func setDevice(t tx, server string, d state.Device) error {
	return t.do(`UPDATE servers SET device_id = ?2,
			address         = CASE ?3 WHEN '' THEN address         ELSE ?3 END,
			private_address = CASE ?4 WHEN '' THEN private_address ELSE ?4 END,
			device_state    = CASE ?5 WHEN '' THEN device_state    ELSE ?5 END,
			region          = CASE ?6 WHEN '' THEN region          ELSE ?6 END,
			size            = CASE ?7 WHEN '' THEN size            ELSE ?7 END,
			image           = CASE ?8 WHEN '' THEN image           ELSE ?8 END
		WHERE name = ?1`, server, d.ID, d.Address, d.PrivateAddress, d.State, d.Region, d.Size, d.Image)
}

// addVersion keeps a state version, unless it is the newest one already.
func addVersion(t tx, v state.StateVersion, at time.Time) error {
	sum := sha256.Sum256(v.Bytes)
	digest := hex.EncodeToString(sum[:])
	newest, _, err := one(t, scanVersion, "SELECT "+versionColumns+" FROM versions WHERE stack = ? ORDER BY id DESC LIMIT 1", v.Stack)
	if err != nil || newest.SHA256 == digest {
		return err
	}
	packed, err := compress(v.Bytes)
	if err != nil {
		return err
	}
	return t.do(`INSERT INTO versions (stack, serial, lineage, sha256, size, run, at, bytes, decision)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce((SELECT decision FROM runs WHERE id = ?6), 0))`,
		v.Stack, v.Serial, v.Lineage, digest, len(v.Bytes), v.Run, micros(or(v.At, at)), packed)
}

// endStack records what a run left of its stack. Why the stack is unclean stays
// when the run was not applied: it was found out since. A destruction or an adoption
// that went well does not end the count of failures: what became of it is for a
// look to tell.
func endStack(t tx, run state.Run, f state.Finish) error {
	err := t.do(`UPDATE stacks SET unclean = CASE WHEN ?9 AND ?2 = '' THEN unclean ELSE ?2 END, retry_at = ?3,
			failures = CASE WHEN ?3 > 0 THEN failures + 1 WHEN ?8 THEN failures ELSE 0 END,
			applied = CASE WHEN ?4 THEN ?5 ELSE applied END,
			look_at = CASE ?6 WHEN 0 THEN look_at ELSE ?6 END, look_until = max(look_until, ?7)
		WHERE name = ?1`, run.Stack, f.Unclean, micros(f.RetryAt), f.Applied, run.Generation, micros(f.LookAt), micros(f.LookUntil), len(run.Deletes)+len(run.Imports) > 0,
		run.Phase != state.RunApplying)
	if err == nil && f.Outputs != nil {
		err = t.do("UPDATE stacks SET outputs = ? WHERE name = ?", asJSON{f.Outputs}, run.Stack)
	}
	if err == nil {
		err = keepDue(t, run.Stack, f.At)
	}
	if err != nil {
		return err
	}
	return noteEmpty(t, run.Stack, f.At)
}

// keepDue has work left for a stack that holds a device to be adopted: a run
// leaves such a one alone after a failure, and a state can lose one.
func keepDue(t tx, stack string, at time.Time) error {
	present, err := presentIn(t, stack)
	if err != nil {
		return err
	}
	inState, err := outputsOf(t, stack)
	if err != nil || len(adoptable(state.Stack{}, present, inState, nil)) == 0 {
		return err
	}
	return t.do("UPDATE stacks SET generation = generation + 1, changed = ?2 WHERE name = ?1 AND generation = applied", stack, micros(at))
}

// remember keeps or clears the backoff of the candidate that was asked.
func remember(t tx, run state.Run, f state.Finish) error {
	switch b := f.Backoff; {
	case b != nil:
		return addBackoff(t, *b)
	case f.Phase == state.RunApplied && len(run.Creates) > 0:
		return t.do("DELETE FROM backoffs WHERE (pool, candidate) IN (SELECT pool, candidate FROM stacks WHERE name = ?)", run.Stack)
	}
	return nil
}

func addBackoff(t tx, b state.Backoff) error {
	return t.do(`INSERT INTO backoffs (pool, candidate, failures, until, error) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET failures = excluded.failures, until = excluded.until, error = excluded.error`,
		b.Pool, b.Candidate, b.Failures, micros(b.Until), b.Error)
}

// Progress records what terraform is doing to a server. News older than the
// server's phase, or of one that is gone, is dropped.
func (s *Store) Progress(ctx context.Context, server string, p state.Progress, at time.Time) error {
	return s.note(ctx, "record the progress of server "+server, func(t tx) error {
		return t.do(`UPDATE servers SET progress_action = ?2, progress_elapsed = ?3
			WHERE name = ?1 AND phase <> 'stopped' AND updated <= ?4`,
			server, p.Action, p.Elapsed.Microseconds(), micros(at))
	})
}

// Advance records news of a server while its siblings are still being made.
// It is ignored when the server is no longer creating, created or staging. News
// that leaves its device in doubt has its stack looked at.
func (s *Store) Advance(ctx context.Context, o state.Outcome, at time.Time) error {
	return s.write(ctx, "record the news of server "+o.Server, func(t tx) error {
		server, err := oneServer(t, o.Server)
		if err != nil || server.Phase == state.Pending || !slices.Contains(coming, server.Phase) {
			return err
		}
		if err := settle(t, server, o, at); err != nil || o.Doubt.IsZero() {
			return err
		}
		return t.do("UPDATE stacks SET look_at = ?2, look_until = max(look_until, ?3) WHERE name = ?1", server.Stack, micros(at), micros(o.Doubt))
	})
}
