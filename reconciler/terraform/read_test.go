package terraform

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hangar/state"
	"hangar/tfmodules"
)

const wholeState = `{"version": 4, "serial": 7, "lineage": "l-1", "outputs": {}, "resources": [
  {"module": "module.devices", "mode": "managed", "type": "equinix_metal_device", "name": "server", "instances": [
    {"index_key": "agent-a", "attributes": {"id": "d-1", "access_public_ipv4": "192.0.2.1", "access_private_ipv4": null, "state": "active", "deployed_facility": "ewr1", "metro": null, "plan": "p", "operating_system": "o"}}]}]}`

// quiet is a runner that needs no terraform, and a stack with a folder.
func quiet(t *testing.T) (*Runner, state.Stack, string) {
	t.Helper()
	module, err := tfmodules.Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(t.TempDir(), Binary{Path: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Install(module); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Dir, "stacks", "s1", stateFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	return r, state.Stack{Name: "s1", Module: module.Folder(), Resource: module.Resource}, file
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hold locks a state as a terraform at work on it does, until the returned
// function is called. The lock is one of the open file's (fcntl(2)), since a
// process does not see locks of its own.
func hold(t *testing.T, path string) (release func() error) {
	t.Helper()
	const setLock = 37 // F_OFD_SETLK
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.FcntlFlock(file.Fd(), setLock, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}); err != nil {
		t.Fatal(err)
	}
	return file.Close
}

func TestReadWaitsUntilTheStateIsWhole(t *testing.T) {
	for name, torn := range map[string]string{"empty": "", "half": wholeState[:100]} {
		t.Run(name, func(t *testing.T) {
			r, stack, file := quiet(t)
			put(t, file, torn)
			defer hold(t, file)()
			synctest.Test(t, func(t *testing.T) {
				go func() {
					time.Sleep(time.Second)
					put(t, file, wholeState)
				}()
				version, devices, err := r.Read(t.Context(), stack)
				if err != nil || version.Serial != 7 || version.Lineage != "l-1" || version.Size != len(wholeState) {
					t.Errorf("%+v, %v", version, err)
				}
				if want := (state.Device{ID: "d-1", Address: "192.0.2.1", State: "active", Region: "ewr1", Size: "p", Image: "o"}); devices["agent-a"] != want {
					t.Errorf("devices %+v", devices)
				}
			})
		})
	}
}

func TestReadDoesNotWaitForEver(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at work": 1950 * time.Millisecond, "killed": 0} {
		t.Run(name, func(t *testing.T) {
			r, stack, file := quiet(t)
			put(t, file, "")
			if wait > 0 {
				defer hold(t, file)()
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				if version, devices, err := r.Read(t.Context(), stack); version != nil || len(devices) != 0 || devices == nil || err != nil {
					t.Errorf("a file that stays empty: %v, %v, %v", version, devices, err)
				}
				put(t, file, wholeState[:100])
				if version, devices, err := r.Read(t.Context(), stack); version != nil || devices != nil || !errors.Is(err, tfmodules.ErrIncomplete) {
					t.Errorf("a file that stays torn: %v, %v, %v", version, devices, err)
				}
				if took := time.Since(began); took != 2*wait {
					t.Errorf("it took %s, want %s", took, 2*wait)
				}
			})
		})
	}
}

func TestReadStopsWaiting(t *testing.T) {
	r, stack, file := quiet(t)
	put(t, file, "")
	defer hold(t, file)()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Read(ctx, stack); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReadWithoutModule(t *testing.T) {
	r, stack, file := quiet(t)
	put(t, file, wholeState)
	stack.Module = "packet-00000000"
	version, devices, err := r.Read(t.Context(), stack)
	if version == nil || version.Serial != 7 || devices != nil || err == nil || !strings.HasPrefix(err.Error(), "read the state of stack s1: ") {
		t.Errorf("%v, %v, %v", version, devices, err)
	}
}

// deliver collects what comes of the events that send sends.
func deliver(t *testing.T, r *Runner, stack state.Stack, send func(events chan<- state.ApplyEvent)) []state.ApplyEvent {
	t.Helper()
	module, err := r.module(stack.Module)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan state.ApplyEvent)
	go func() {
		send(events)
		close(events)
	}()
	var got []state.ApplyEvent
	newDelivery(filepath.Join(r.Dir, "stacks", stack.Name), module, func(e state.ApplyEvent) { got = append(got, e) }).run(events)
	return got
}

var created = state.ApplyEvent{Server: "agent-a", Action: "create", Done: true, ID: "d-1"}

func TestDeliveryWaitsForDevices(t *testing.T) {
	r, stack, file := quiet(t)
	put(t, file, wholeState[:50])
	synctest.Test(t, func(t *testing.T) {
		got := deliver(t, r, stack, func(events chan<- state.ApplyEvent) {
			events <- created
			events <- state.ApplyEvent{Server: "agent-b", Action: "create"}
			time.Sleep(time.Second)
			put(t, file, wholeState)
			time.Sleep(time.Second)
			events <- state.ApplyEvent{Server: "agent-b", Action: "create", Failed: true}
		})
		if len(got) != 3 || got[0].Server != "agent-b" || got[1].Device == nil || got[1].Device.Address != "192.0.2.1" || !got[2].Failed {
			t.Errorf("delivered %+v", got)
		}
	})
}

func TestDeliveryGivesUpOnDevices(t *testing.T) {
	r, stack, _ := quiet(t) // no state file at all, as with OpenTofu
	synctest.Test(t, func(t *testing.T) {
		got := deliver(t, r, stack, func(events chan<- state.ApplyEvent) {
			events <- created
			time.Sleep(deviceWithin + deviceEvery)
			events <- state.ApplyEvent{Server: "agent-b"}
		})
		if len(got) != 2 || got[0] != created {
			t.Errorf("delivered %+v, want the create before what came so much later", got)
		}
		if got := deliver(t, r, stack, func(events chan<- state.ApplyEvent) { events <- created }); len(got) != 1 || got[0] != created {
			t.Errorf("at the end: delivered %+v", got)
		}
	})
}
