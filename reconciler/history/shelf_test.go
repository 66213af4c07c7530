package history

import (
	"context"

	"hangar/state"
)

// shelf is states by stack, the newest first; their serials count down.
type shelf map[string][]string

func (s shelf) Stacks(context.Context) (stacks []state.Stack, err error) { return nil, nil }

func (s shelf) Versions(_ context.Context, stack string) (versions []state.StateVersion, err error) {
	for i := range s[stack] {
		versions = append(versions, state.StateVersion{Stack: stack, Serial: int64(len(s[stack]) - i)})
	}
	return versions, nil
}

func (s shelf) StateBytes(_ context.Context, v state.StateVersion) ([]byte, error) {
	return []byte(s[v.Stack][len(s[v.Stack])-int(v.Serial)]), nil
}
