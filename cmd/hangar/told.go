package main

import (
	"context"

	"hangar/reconciler/api"
	"hangar/reconciler/history"
	"hangar/state"
	"hangar/tfmodules"
)

// stateTeller tells the pages what recorded states say, as hangar state does.
type stateTeller struct{ history.History }

var _ api.StateTeller = stateTeller{}

// Show implements api.StateTeller.
func (t stateTeller) Show(ctx context.Context, v state.StateVersion) (string, error) {
	shown, err := t.Read(ctx, v)
	return shown.Text(), err
}

// Difference implements api.StateTeller.
func (t stateTeller) Difference(ctx context.Context, before *state.StateVersion, after state.StateVersion) (string, error) {
	var old tfmodules.State
	if before != nil {
		var err error
		if old, err = t.Read(ctx, *before); err != nil {
			return "", err
		}
	}
	now, err := t.Read(ctx, after)
	if err != nil {
		return "", err
	}
	return tfmodules.Compare(old, now).Text(), nil
}
