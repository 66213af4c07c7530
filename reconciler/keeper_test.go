package reconciler_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"hangar/reconciler"
	"hangar/state"
)

// shelf is folders of stacks and copies of modules.
type shelf struct {
	stacks, modules []string
	stuck           string // cannot be removed
}

func (s *shelf) Stacks() ([]string, error) { return slices.Clone(s.stacks), nil }

func (s *shelf) Remove(stack string) error {
	if stack == s.stuck {
		return errBroken
	}
	s.stacks = slices.DeleteFunc(s.stacks, func(name string) bool { return name == stack })
	return nil
}

func (s *shelf) KeepModules(keep ...string) error {
	s.modules = slices.DeleteFunc(s.modules, func(name string) bool { return !slices.Contains(keep, name) })
	return nil
}

// What has been gone for long enough goes, with its folder; what is in use,
// and what went lately, stays. A folder that could not be removed is tried
// again the next time, though its record is gone.
func TestKeeper(t *testing.T) {
	h := newHouse(t, pool(0, 4))
	h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	h.until("one runs", func() bool { return h.phases()[state.Running] == 1 })
	first := h.servers()[0].Stack
	h.queue.set()
	for range 4 {
		h.pass()
	}
	h.ages("it is gone", func() bool { return len(h.servers()) == 0 })
	h.wait(h.conv.Settle) // until then a second device of it could appear
	h.conv.Poke()
	h.until("its stack is empty", func() bool {
		stacks, err := h.store.Stacks(t.Context())
		return err == nil && !stacks[0].Emptied.IsZero()
	})
	gone := h.now

	h.wait(time.Hour)
	h.queue.set(waiting(1)...)
	h.pass()
	h.until("another runs", func() bool { return h.phases()[state.Running] == 1 })
	second := h.servers()[0].Stack

	folders := &shelf{stacks: []string{first, second, "left-over"}, modules: []string{"packet-00000000", "packet-11111111", "packet-22222222"}, stuck: first}
	now := gone.Add(59 * time.Minute)
	k := &reconciler.Keeper{
		Archive: h.store, Folders: folders, Keep: time.Hour, KeepEvents: 90 * time.Minute, Every: time.Hour,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	if err := k.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{first, second}; !slices.Equal(folders.stacks, want) {
		t.Errorf("before its time: folders %v, want %v", folders.stacks, want)
	}
	if want := []string{"packet-00000000"}; !slices.Equal(folders.modules, want) {
		t.Errorf("modules %v, want %v", folders.modules, want)
	}
	now = gone.Add(2 * time.Hour)
	if err := k.Clean(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("err = %v", err)
	}
	stacks, err := h.store.Stacks(t.Context())
	if err != nil || len(stacks) != 1 || stacks[0].Name != second {
		t.Errorf("stacks %v, %v", stacks, err)
	}
	folders.stuck = ""
	if err := k.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{second}; !slices.Equal(folders.stacks, want) {
		t.Errorf("after its time: folders %v, want %v", folders.stacks, want)
	}
}
