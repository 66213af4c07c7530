package api

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"hangar/state"
)

// Recorded states are answered as hangar state shows them: who made them, what
// is in them and what changed, and no secret.
func TestRecordedStates(t *testing.T) {
	w := populated()
	w.versions["s1"] = nil
	for i, name := range []string{"secrets-before", "secrets-after"} {
		stateJSON, err := os.ReadFile("../../tfmodules/testdata/" + name + ".tfstate")
		if err != nil {
			t.Fatal(err)
		}
		v := state.StateVersion{Stack: "s1", SHA256: name, Run: int64(i + 1), Decision: int64(i + 5), Bytes: stateJSON}
		if err := json.Unmarshal(stateJSON, &v); err != nil {
			t.Fatal(err)
		}
		w.versions["s1"] = append([]state.StateVersion{v}, w.versions["s1"]...)
	}
	w.stacks = append(w.stacks, state.Stack{Name: "s2"}, state.Stack{Name: "s3"})
	w.versions["s3"] = []state.StateVersion{{Stack: "s3", Serial: 1, Bytes: []byte("{")}}
	h := open(t, w, nil)
	for path, wants := range map[string][]string{
		"/api/stacks/s1/versions":         {`"serial":4,`, `"sha256":"secrets-after"`, `"run":2,"decision":6`},
		"/api/stacks/s1/versions/3":       {`{"version":{"stack":"s1","serial":3,`, `"run":1,"decision":5`, `"resources":[{"address":`, `"(sensitive value)"`},
		"/api/stacks/s1/versions/4":       {`"serial":4,`},
		"/api/stacks/s1/diff":             {`{"old":{"stack":"s1","serial":3,`, `"new":{"stack":"s1","serial":4,`, `"action":"`, `"path":"`},
		"/api/stacks/s1/diff?to=3":        {`{"old":null,"new":{"stack":"s1","serial":3,`, `"action":"added"`},
		"/api/stacks/s1/diff?from=3":      {`"old":{"stack":"s1","serial":3,`},
		"/api/stacks/s1/diff?from=4":      {`{"old":{"stack":"s1","serial":4,`, `"resources":[],"outputs":[]`},
		"/api/stacks/s1/diff?from=4&to=3": {`{"old":{"stack":"s1","serial":4,`, `"new":{"stack":"s1","serial":3,`},
	} {
		got := h.ask(t, "GET", path, "")
		if got.status != 200 || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: %+v", path, got)
		}
		for _, want := range wants {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s lacks %s:\n%s", path, want, got.body)
			}
		}
		for _, secret := range []string{"PLANTED", "S3cretRootPw", "correct-horse", "cloud-config"} {
			if strings.Contains(got.body, secret) {
				t.Errorf("%s shows %s", path, secret)
			}
		}
	}
	for _, tt := range []struct {
		path   string
		status int
		words  string
	}{
		{"/api/stacks/s1/versions/9", 404, "no state of stack s1 with serial 9 is recorded; there are 4, 3"},
		{"/api/stacks/s1/versions/last", 404, "there is no state last"},
		{"/api/stacks/s9/versions/1", 404, "there is no stack s9"},
		{"/api/stacks/s2/versions/1", 404, "no state of stack s2 is recorded yet"},
		{"/api/stacks/s2/diff", 404, "no state of stack s2 is recorded yet"},
		{"/api/stacks/s1/diff?from=x", 400, "from=x"},
		{"/api/stacks/s1/diff?to=x", 400, "to=x"},
		{"/api/stacks/s1/diff?to=1", 404, "with serial 1"},
		{"/api/stacks/s3/versions/1", 500, "its log says what"},
	} {
		wantFailure(t, h.ask(t, "GET", tt.path, ""), tt.status, tt.words)
	}
}
