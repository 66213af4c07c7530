package reconciler

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hangar/state"
)

// errInterrupted stands for the error of an apply of which nobody saw the end.
var errInterrupted = errors.New("hangar ended while terraform applied")

// end is what is known when a run ends.
type end struct {
	run      state.Run
	resource string        // the module's server resource
	settle   time.Duration // for how long a device may yet appear
	ready    state.Phase   // of a server whose device is active
	at       time.Time

	devices     map[string]state.Device // that the stack's state shows, by server
	applyErr    error                   // how the apply failed; nil: terraform said that all went well
	readErr     error                   // why the state could not be read
	diagnostics []state.Diagnostic
}

// outcome judges a run by the devices that its stack's state shows at its end.
// It decides nothing that the state does not show: what terraform does not know
// the device of, and what it says it has destroyed, is in doubt until the
// stack's devices have been looked for. Only a create that the API refused for
// good is decided here.
func (e end) outcome() state.Finish {
	f := state.Finish{Run: e.run.ID, Phase: state.RunApplied, At: e.at, Outputs: e.devices, Diagnostics: e.diagnostics}
	if e.readErr != nil {
		f.Outputs = nil
	}
	var undone []string
	for _, judge := range []func(*state.Finish) []string{e.creates, e.imports, e.keeps} {
		undone = append(undone, judge(&f)...)
	}
	left := e.deletes(&f)
	undone = append(undone, left...)

	f.Error = strings.Join(causes(e.applyErr, e.readErr), "; ")
	if e.applyErr != nil {
		f.Error += advised(e.diagnostics)
	}
	if e.applyErr != nil || e.readErr != nil || len(undone) > 0 {
		f.Phase = state.RunErrored
	}
	interrupted := errors.Is(e.applyErr, errInterrupted)
	if interrupted {
		f.Phase = state.RunInterrupted
	}
	switch {
	case e.readErr != nil:
		f.Unclean = fmt.Sprintf("run %d: the state could not be read: %v", e.run.ID, e.readErr)
	case len(undone) > 0:
		f.Unclean = fmt.Sprintf("run %d did not finish: %s", e.run.ID, strings.Join(undone, ", "))
	case interrupted: // what was destroyed may not be, what was made may be twice
		f.Unclean = f.Error
	}
	if f.Error == "" { // terraform called it a success
		f.Error = f.Unclean
	}
	// What is left to be destroyed, and what an import makes possible, is for
	// another run; what is left of the creates is for the looks.
	f.Applied = e.readErr == nil && len(left) == 0 && len(e.run.Imports) == 0
	e.look(&f)
	return f
}

// look says for how long the stack's devices are to be looked for: a create may
// still bring forth a device, also a second one after a clean run.
func (e end) look(f *state.Finish) {
	if len(e.run.Creates)+len(e.run.Deletes) == 0 && f.Unclean == "" {
		return
	}
	f.LookAt, f.LookUntil = e.at, e.at
	if len(e.run.Creates) > 0 || e.readErr != nil {
		f.LookUntil = e.at.Add(e.settle)
	}
}

func (e end) creates(f *state.Finish) (undone []string) {
	for _, server := range e.run.Creates {
		device, there := e.devices[server]
		// Terraform calls a device tainted when its create failed half-way: the
		// next plan would replace it.
		tainted := device.State == state.Tainted
		if there && e.readErr == nil && !tainted {
			f.Servers = append(f.Servers, state.Outcome{Server: server, Phase: e.ready, Device: &device, Reason: "its device is " + device.State})
			continue
		}
		undone = append(undone, server)
		o := state.Outcome{Server: server, Error: e.because("terraform ended without its device, which may exist all the same")}
		until := e.at.Add(e.settle)
		refusal := refused(e.diagnostics, Address(e.resource, server))
		switch {
		case there && tainted:
			o.Phase, o.Device, o.Reason = state.Failed, &device, "its create failed half-way"
			o.Error = e.because("its create failed half-way")
		case refusal != "":
			// The answer may have been to a question about the device, or to the
			// repetition of a request that was granted: a first look tells.
			o.Phase, o.Absent, o.Doubt, o.Error = state.Failed, state.Refused, e.at, refusal
			o.Reason = "the provider refused to create it"
		default:
			o.Doubt = until
			o.Reason = fmt.Sprintf("run %d ended without its device; it is looked for until %s", e.run.ID, clock(until))
		}
		f.Servers = append(f.Servers, o)
	}
	return undone
}

func (e end) imports(f *state.Finish) (undone []string) {
	for server := range e.run.Imports {
		device, there := e.devices[server]
		if there && e.readErr == nil {
			device.State = "" // as the look told it, in words that are every provider's
			f.Servers = append(f.Servers, state.Outcome{Server: server, Device: &device})
			continue
		}
		undone = append(undone, server)
	}
	return undone
}

func (e end) keeps(f *state.Finish) (lost []string) {
	for _, server := range e.run.Keeps {
		if _, there := e.devices[server]; there || e.readErr != nil {
			continue
		}
		lost = append(lost, server)
		f.Servers = append(f.Servers, state.Outcome{
			Server: server, Doubt: e.at.Add(e.settle), Reason: fmt.Sprintf("run %d: terraform forgot its device; it is looked for", e.run.ID),
		})
	}
	return lost
}

// deletes returns the servers whose devices the state still shows.
func (e end) deletes(f *state.Finish) (left []string) {
	for _, server := range e.run.Deletes {
		if _, there := e.devices[server]; !there && e.readErr == nil {
			f.Servers = append(f.Servers, state.Outcome{
				Server: server, Doubt: e.at, Reason: fmt.Sprintf("run %d: terraform says that its device is destroyed, which is to be verified", e.run.ID),
			})
			continue
		}
		left = append(left, server)
		f.Servers = append(f.Servers, state.Outcome{
			Server: server, Reason: fmt.Sprintf("run %d did not destroy its device", e.run.ID),
			Error: e.because("terraform ended without destroying its device"),
		})
	}
	return left
}

// because is what happened, and why as far as that is known.
func (e end) because(what string) string {
	return strings.Join(append([]string{what}, causes(e.applyErr, e.readErr)...), ": ")
}

// causes are the errors that are there, in words.
func causes(errs ...error) (words []string) {
	for _, err := range errs {
		if err != nil {
			words = append(words, err.Error())
		}
	}
	return words
}

// clock is an instant as reasons tell it.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// diagnosticsOf returns terraform's own diagnostics, when err carries them.
func diagnosticsOf(err error) []state.Diagnostic {
	var told interface{ TerraformDiagnostics() []state.Diagnostic }
	if errors.As(err, &told) {
		return told.TerraformDiagnostics()
	}
	return nil
}
