package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"hangar/state"
)

// Archive is what the retention needs of the store.
type Archive interface {
	Prune(ctx context.Context, before time.Time) (stacks []string, err error)
	Stacks(ctx context.Context) ([]state.Stack, error)
}

// Folders is what the retention needs of the Terraform adapter.
type Folders interface {
	Remove(stack string) error
	KeepModules(folders ...string) error
}

// Keeper removes what nobody needs any more: records of servers that have been
// gone for Keep, emptied stacks, and module copies that no stack uses.
type Keeper struct {
	Archive Archive
	Folders Folders
	Modules []string // module copies that new stacks will use
	Keep    time.Duration
	Every   time.Duration
	Now     func() time.Time
	Log     *slog.Logger
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

// Clean cleans up once.
func (k *Keeper) Clean(ctx context.Context) error {
	gone, err := k.Archive.Prune(ctx, k.Now().Add(-k.Keep))
	if err != nil {
		return fmt.Errorf("remove old records: %w", err)
	}
	for _, stack := range gone {
		if err := k.Folders.Remove(stack); err != nil {
			return fmt.Errorf("remove the folder of stack %s: %w", stack, err)
		}
		k.Log.Info("an old stack was removed", "stack", stack)
	}
	stacks, err := k.Archive.Stacks(ctx)
	if err != nil {
		return fmt.Errorf("list the stacks: %w", err)
	}
	used := append([]string{}, k.Modules...)
	for _, s := range stacks {
		used = append(used, s.Module)
	}
	if err := k.Folders.KeepModules(used...); err != nil {
		return fmt.Errorf("remove unused module copies: %w", err)
	}
	return nil
}
