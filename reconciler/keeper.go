package reconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"hangar/state"
)

// Archive is what the retention needs of the store.
type Archive interface {
	Prune(ctx context.Context, before time.Time) (stacks []string, err error)
	PruneVersions(ctx context.Context, newest int, before time.Time) error
	PruneEvents(ctx context.Context, before time.Time) error
	Stacks(ctx context.Context) ([]state.Stack, error)
}

// Folders is what the retention needs of the Terraform adapter.
type Folders interface {
	Stacks() (names []string, err error)
	Remove(stack string) error
	// KeepModules removes the module copies that neither these are nor new stacks
	// would use.
	KeepModules(folders ...string) error
}

// Keeper removes what nobody needs any more: records of servers that have been
// gone for Keep, emptied stacks, old states, old events, and module copies that
// no stack uses.
type Keeper struct {
	Archive Archive
	Folders Folders
	Keep    time.Duration

	KeepStates    int           // versions of a stack's state, at most; 0: no bound
	KeepStatesFor time.Duration // 0: no bound
	KeepEvents    time.Duration

	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Run cleans up now and then, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	for {
		if err := k.Clean(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("retention failed; it is tried again later", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Clean cleans up once. A folder goes when no record knows its stack: what is
// cut off between the two is done the next time.
func (k *Keeper) Clean(ctx context.Context) error {
	// The folders are listed first: a stack that is made meanwhile has a record
	// before it has a folder.
	folders, err := k.Folders.Stacks()
	if err != nil {
		return fmt.Errorf("list the stacks' folders: %w", err)
	}
	if _, err := k.Archive.Prune(ctx, k.Now().Add(-k.Keep)); err != nil {
		return fmt.Errorf("remove old records: %w", err)
	}
	var old time.Time
	if k.KeepStatesFor > 0 {
		old = k.Now().Add(-k.KeepStatesFor)
	}
	if err := k.Archive.PruneVersions(ctx, k.KeepStates, old); err != nil {
		return fmt.Errorf("remove old states: %w", err)
	}
	if err := k.Archive.PruneEvents(ctx, k.Now().Add(-k.KeepEvents)); err != nil {
		return fmt.Errorf("remove old events: %w", err)
	}
	stacks, err := k.Archive.Stacks(ctx)
	if err != nil {
		return fmt.Errorf("list the stacks: %w", err)
	}
	known := make(map[string]bool)
	var modules []string
	for _, s := range stacks {
		known[s.Name] = true
		modules = append(modules, s.Module)
	}
	var failed []error
	for _, folder := range folders {
		if !known[folder] {
			k.Log.Info("the folder of a stack that is gone is removed", "stack", folder)
			failed = append(failed, k.Folders.Remove(folder))
		}
	}
	return errors.Join(append(failed, k.Folders.KeepModules(modules...))...)
}
