package tfmodules

import (
	"slices"
	"testing"
)

func TestTags(t *testing.T) {
	got := Tags("i-1", "s1", "agent-a", []string{"team=ci"})
	want := []string{"hangar", "hangar-instance=i-1", "hangar-stack=s1", "hangar-server=agent-a", "team=ci"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
