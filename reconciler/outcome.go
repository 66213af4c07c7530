package reconciler

import (
	"errors"
	"fmt"
	"strings"

	"hangar/state"
)

// errInterrupted stands for the error of an apply of which nobody saw the end.
var errInterrupted = errors.New("hangar ended while terraform applied")

// outcome judges a run by the devices that its stack's state shows at its end;
// readErr is why the state could not be read. The run is clean when the state
// is exactly what was wanted. Otherwise what is unfinished is in error: whether
// its device exists is not known.
func outcome(run state.Run, devices map[string]state.Device, applyErr, readErr error) state.Finish {
	f := state.Finish{Run: run.ID, Phase: state.RunApplied, Outputs: devices}
	if readErr != nil {
		f.Outputs = nil
	}
	var undone []string
	unfinished := func(server, what string) {
		undone = append(undone, server)
		f.Servers = append(f.Servers, state.Outcome{
			Server: server, Phase: state.Failed, Reason: "its run did not finish cleanly",
			Error: strings.Join(append([]string{what}, causes(applyErr, readErr)...), ": "),
		})
	}
	for _, server := range run.Creates {
		// Terraform calls a device tainted when its create failed half-way: the
		// next plan would replace it.
		if device, there := devices[server]; there && readErr == nil && device.State != "tainted" {
			f.Servers = append(f.Servers, state.Outcome{Server: server, Phase: state.Running, Device: &device, Reason: "its device is " + device.State})
		} else {
			unfinished(server, "terraform ended without its device, which may exist all the same")
		}
	}
	for _, server := range run.Deletes {
		if _, there := devices[server]; !there && readErr == nil {
			f.Servers = append(f.Servers, state.Outcome{Server: server, Phase: state.Stopped, Reason: "its device is destroyed"})
		} else {
			unfinished(server, "terraform ended without destroying its device")
		}
	}
	var lost []string
	for _, server := range run.Keeps {
		if _, there := devices[server]; !there && readErr == nil {
			lost = append(lost, server)
		}
	}
	f.Error = strings.Join(causes(applyErr, readErr), "; ")
	if applyErr != nil || readErr != nil {
		f.Phase = state.RunErrored
	}
	switch {
	case readErr != nil:
		f.Unclean = fmt.Sprintf("run %d: the state could not be read: %v", run.ID, readErr)
	case len(undone) > 0:
		f.Phase = state.RunErrored
		f.Unclean = fmt.Sprintf("run %d did not finish: %s", run.ID, strings.Join(undone, ", "))
	case len(lost) > 0:
		f.Unclean = fmt.Sprintf("run %d: the state no longer shows %s", run.ID, strings.Join(lost, ", "))
	default:
		f.Applied = true
	}
	if f.Error == "" { // terraform called it a success
		f.Error = f.Unclean
	}
	return f
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

// diagnosticsOf returns terraform's own diagnostics, when err carries them.
func diagnosticsOf(err error) []state.Diagnostic {
	var told interface{ TerraformDiagnostics() []state.Diagnostic }
	if errors.As(err, &told) {
		return told.TerraformDiagnostics()
	}
	return nil
}
