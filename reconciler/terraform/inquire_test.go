package terraform

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hangar/state"
)

// What the API does not know is told with the address of who asked, and what it
// knows is not told of.
func TestInquire(t *testing.T) {
	g := newRig(t)
	ask := func(project string, facilities, metros, plans []string) (addresses []string, text string) {
		t.Helper()
		err := g.Inquire(t.Context(), g.module.Folder(), map[string]any{"project_id": project, "facilities": facilities, "metros": metros, "plans": plans})
		if err == nil {
			return nil, ""
		}
		failed, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatal(err)
		}
		for _, d := range failed.Diagnostics {
			if d.Severity == "error" {
				addresses = append(addresses, d.Address)
				text += d.Summary + " " + d.Detail + "\n"
			}
		}
		slices.Sort(addresses)
		return addresses, text
	}
	if got, text := ask("p-1", []string{"ewr1"}, []string{"ny"}, []string{"c3.small.x86"}); got != nil {
		t.Errorf("all is known, and told is %q %s", got, text)
	}
	want := []string{"", `data.equinix_metal_facility.facility["ewr9"]`, `data.equinix_metal_metro.metro["xx"]`, `data.equinix_metal_project.project`}
	got, text := ask("p-2", []string{"ewr1", "ewr9"}, []string{"xx"}, []string{"c3.smal.x86", "c3.small.x86"})
	if !slices.Equal(got, want) || !strings.Contains(text, "There is no plan c3.smal.x86.") {
		t.Errorf("got %q, want %q\n%s", got, want, text)
	}
	g.Keys = func() map[string]map[string]string {
		return map[string]map[string]string{"packet": {"METAL_AUTH_TOKEN": "wrong"}}
	}
	_, text = ask("p-1", []string{"ewr1"}, []string{}, []string{"c3.small.x86"})
	for _, want := range []string{"Error reading Metal Project Could not read Metal Project with ID p-1: 401 Unauthorized", "/facilities: 401  Invalid authentication token", "/plans?include=available_in%2Cavailable_in_metros: 401  Invalid"} {
		if !strings.Contains(text, want) {
			t.Errorf("with a wrong key:\n%s\nwant %s", text, want)
		}
	}
	if alive := g.world.Stats().Created; alive != 0 {
		t.Errorf("%d devices were made", alive)
	}

	other := g.module
	other.Name = "other"
	if err := g.Install(other); err != nil {
		t.Fatal(err)
	}
	if err := g.Inquire(t.Context(), other.Folder(), nil); state.CodeOf(err) != state.NotFound {
		t.Errorf("a module without questions: %v", err)
	}
}
