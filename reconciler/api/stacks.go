package api

import (
	"context"
	"strconv"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// StackStore reads stacks and what is known of their Terraform states.
type StackStore interface {
	Stacks(ctx context.Context) ([]state.Stack, error)
	// Stack returns a stack; NotFound.
	Stack(ctx context.Context, name string) (state.Stack, error)
	// Outputs returns the devices of the stack's newest state, by server;
	// NotFound.
	Outputs(ctx context.Context, stack string) (map[string]state.Device, error)
	// Versions returns the stack's state versions without their bytes, newest
	// first; NotFound.
	Versions(ctx context.Context, stack string) ([]state.StateVersion, error)
	// StateBytes returns the bytes of a version that Versions returned. They hold
	// secrets.
	StateBytes(ctx context.Context, v state.StateVersion) ([]byte, error)
}

func (a *API) listStacks(c *gin.Context) (any, error) {
	stacks, err := a.store.Stacks(c.Request.Context())
	for i := range stacks {
		stacks[i].Settings = state.WithoutSecrets(stacks[i].Settings)
	}
	return list(stacks), err
}

func (a *API) showStack(c *gin.Context) (any, error) {
	stack, err := a.store.Stack(c.Request.Context(), c.Param("name"))
	stack.Settings = state.WithoutSecrets(stack.Settings)
	return stack, err
}

func (a *API) showOutputs(c *gin.Context) (any, error) {
	outputs, err := a.store.Outputs(c.Request.Context(), c.Param("name"))
	if outputs == nil {
		outputs = map[string]state.Device{}
	}
	return outputs, err
}

// listVersions answers what is known of the stack's states, without their
// bytes: they hold secrets.
func (a *API) listVersions(c *gin.Context) (any, error) {
	versions, err := a.store.Versions(c.Request.Context(), c.Param("name"))
	return list(versions), err
}

// showVersion answers the newest state of a serial, its secrets masked.
func (a *API) showVersion(c *gin.Context) (any, error) {
	serial, err := strconv.ParseInt(c.Param("serial"), 10, 64)
	if err != nil {
		return nil, state.Errorf(state.NotFound, "there is no state %s: states have whole numbers, their serials", c.Param("serial"))
	}
	return a.history.Show(c.Request.Context(), c.Param("name"), &serial)
}

// showDiff answers what changed between the states of two serials: without ?to=,
// to the newest, and without ?from=, from the one before that.
func (a *API) showDiff(c *gin.Context) (any, error) {
	var serials [2]*int64
	for i, name := range []string{"from", "to"} {
		text := c.Query(name)
		if text == "" {
			continue
		}
		serial, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, state.Errorf(state.Invalid, "%s=%s: wanted is the serial of a state, a whole number", name, text)
		}
		serials[i] = &serial
	}
	return a.history.Diff(c.Request.Context(), c.Param("name"), serials[0], serials[1])
}
