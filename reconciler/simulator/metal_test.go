package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// metal asks the world's Metal API and decodes its answer.
func metal(t *testing.T, w *World, method, path, body string) (int, map[string]any) {
	t.Helper()
	recorder := askMetal(context.Background(), w, method, path, body)
	var answer map[string]any
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, recorder.Body)
		}
	}
	return recorder.Code, answer
}

func askMetal(ctx context.Context, w *World, method, path, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(ctx, method, "/metal/v1"+path, strings.NewReader(body))
	request.Header.Set("X-Auth-Token", w.Config().APIKey)
	recorder := httptest.NewRecorder()
	w.Metal().ServeHTTP(recorder, request)
	return recorder
}

// order orders a device and returns its id.
func order(t *testing.T, w *World, name, userData string) string {
	t.Helper()
	body, err := json.Marshal(createRequest{
		Facility: []string{"ewr1"}, Plan: "c3.small.x86", OS: "ubuntu_24_04", Hostname: name, UserData: userData,
		Tags: []string{"hangar", "hangar-server=" + name},
	})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := metal(t, w, "POST", "/projects/"+w.Config().ProjectID+"/devices", string(body))
	if status != 201 {
		t.Fatalf("create answered %d %v", status, answer)
	}
	return answer["id"].(string)
}

func TestDeviceLife(t *testing.T) {
	asleep(t, Config{BootTime: 10 * time.Second}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{Deprovision: time.Minute})
		id := order(t, w, "agent-1", "")
		check := func(want string, addresses int) {
			t.Helper()
			_, d := metal(t, w, "GET", "/devices/"+id, "")
			if d["state"] != want || len(d["ip_addresses"].([]any)) != addresses {
				t.Errorf("device is %v with %v, want %s", d["state"], d["ip_addresses"], want)
			}
		}
		check(stateQueued, 0)
		time.Sleep(5 * time.Second)
		check(stateProvisioning, 0)
		status, answer := metal(t, w, "DELETE", "/devices/"+id, "")
		if status != 422 || fmt.Sprint(answer["errors"]) != "[Cannot delete a device while it is provisioning]" {
			t.Errorf("delete answered %d %v", status, answer)
		}
		time.Sleep(5 * time.Second)
		check(stateActive, 3)
		if status, d := metal(t, w, "PUT", "/devices/"+id, `{"tags":["new"],"hostname":"other"}`); status != 200 ||
			d["hostname"] != "other" || fmt.Sprint(d["tags"]) != "[new]" {
			t.Errorf("update answered %d %v", status, d)
		}
		if status, _ := metal(t, w, "DELETE", "/devices/"+id, ""); status != 204 {
			t.Errorf("delete answered %d", status)
		}
		check(stateDeprovisioning, 3)
		if got := w.Stats(); got.Alive != 0 || got.Destroyed != 1 {
			t.Errorf("stats %+v", got)
		}
		time.Sleep(time.Minute)
		if status, _ := metal(t, w, "GET", "/devices/"+id, ""); status != 404 {
			t.Errorf("device that is gone answered %d", status)
		}
		if status, _ := metal(t, w, "DELETE", "/devices/"+id, ""); status != 404 {
			t.Errorf("delete of a device that is gone answered %d", status)
		}
	})
}

func TestCreateAnswers(t *testing.T) {
	const good = `"plan":"c3.small.x86","operating_system":"ubuntu_24_04"`
	tests := []struct {
		name, body string
		status     int
		want       string // in the answer
	}{
		{"a facility", `{"facility":["ewr1"],` + good + `}`, 201, `"code":"ewr1"`},
		{"any facility", `{"facility":["any"],` + good + `}`, 201, `"code":"ewr1"`},
		{"a metro", `{"metro":"NY",` + good + `}`, 201, `"code":"ny"`},
		{"the second choice", `{"facility":["full1","sjc1"],` + good + `}`, 201, `"code":"sjc1"`},
		{"no capacity", `{"facility":["full1"],` + good + `}`, 422,
			"The facility full1 has no provisionable c3.small.x86 servers matching your criteria."},
		{"no capacity in a metro", `{"metro":"fu",` + good + `}`, 422,
			"The metro fu has no provisionable c3.small.x86 servers matching your criteria."},
		{"an underscore", `{"facility":["ewr1"],"hostname":"a_b",` + good + `}`, 422, "hostname is invalid"},
		{"no place", `{` + good + `}`, 422, "one of facility and metro must be given"},
		{"two places", `{"facility":["ewr1"],"metro":"ny",` + good + `}`, 422, "one of facility and metro must be given"},
		{"no plan", `{"facility":["ewr1"],"operating_system":"ubuntu_24_04"}`, 422, "plan is invalid"},
		{"no system", `{"facility":["ewr1"],"plan":"c3.small.x86"}`, 422, "operating_system is invalid"},
		{"a strange billing cycle", `{"facility":["ewr1"],"billing_cycle":"daily",` + good + `}`, 422, "billing_cycle is invalid"},
		{"no JSON", `facility=ewr1`, 400, "Malformed request body"},
	}
	w := New(Config{})
	w.SetFaults(Faults{NoCapacity: []string{"full1", "fu"}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := w.Stats().Created
			status, answer := metal(t, w, "POST", "/projects/"+w.Config().ProjectID+"/devices", test.body)
			if data, _ := json.Marshal(answer); status != test.status || !strings.Contains(string(data), test.want) {
				t.Errorf("answer %d %s, want %d %s", status, data, test.status, test.want)
			}
			if made := w.Stats().Created - before; (made == 1) != (test.status == 201) {
				t.Errorf("%d devices made", made)
			}
		})
	}
}

func TestMetalRefuses(t *testing.T) {
	w := New(Config{})
	request := httptest.NewRequest("GET", "/metal/v1/projects/"+w.Config().ProjectID, nil)
	request.Header.Set("X-Auth-Token", "wrong")
	recorder := httptest.NewRecorder()
	w.Metal().ServeHTTP(recorder, request)
	if got := recorder.Body.String(); recorder.Code != 401 || got != `{"error":"Invalid authentication token"}`+"\n" {
		t.Errorf("a wrong key answered %d %s", recorder.Code, got)
	}
	if status, _ := metal(t, w, "GET", "/projects/other/devices", ""); status != 404 {
		t.Errorf("another project answered %d", status)
	}
	if status, _ := metal(t, w, "GET", "/organizations", ""); status != 404 {
		t.Errorf("an unknown path answered %d", status)
	}
	if status, p := metal(t, w, "GET", "/projects/"+w.Config().ProjectID, ""); status != 200 || p["id"] != w.Config().ProjectID {
		t.Errorf("project answered %d %v", status, p)
	}
}

func TestListPages(t *testing.T) {
	w := New(Config{})
	for i := range 25 {
		order(t, w, fmt.Sprintf("agent-%02d", i), "")
	}
	tests := []struct {
		query       string
		first, last string // host names
		total, left int    // pages
	}{
		{"", "agent-00", "agent-09", 25, 2},
		{"page=3", "agent-20", "agent-24", 25, 0},
		{"page=4", "", "", 25, 0},
		{"per_page=20&page=2", "agent-20", "agent-24", 25, 0},
		{"per_page=100", "agent-00", "agent-24", 25, 0},
		{"tag=hangar-server%3Dagent-07", "agent-07", "agent-07", 1, 0},
		{"tag=agent-07", "", "", 0, 0},
		{"hostname=agent-11", "agent-11", "agent-11", 1, 0},
		{"hostname=agent-1", "", "", 0, 0},
		{"search=AGENT-1", "agent-10", "agent-19", 10, 0},
		{"search=server%3Dagent-2&per_page=2", "agent-20", "agent-21", 5, 2},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			_, answer := metal(t, w, "GET", "/projects/"+w.Config().ProjectID+"/devices?"+test.query, "")
			names := []string{""}
			for _, d := range answer["devices"].([]any) {
				names = append(names, d.(map[string]any)["hostname"].(string))
			}
			if len(names) > 1 {
				names = names[1:]
			}
			meta := answer["meta"].(map[string]any)
			if names[0] != test.first || names[len(names)-1] != test.last || meta["total"] != float64(test.total) {
				t.Errorf("page holds %v of %v, want %s to %s of %d", names, meta["total"], test.first, test.last, test.total)
			}
			left := 0
			for next, _ := meta["next"].(map[string]any); next != nil; next, _ = meta["next"].(map[string]any) {
				left++
				_, answer = metal(t, w, "GET", strings.TrimPrefix(next["href"].(string), "/metal/v1"), "")
				meta = answer["meta"].(map[string]any)
			}
			if left != test.left {
				t.Errorf("%d pages follow, want %d", left, test.left)
			}
		})
	}
}

func TestFaultsOfAnyCall(t *testing.T) {
	tests := []struct {
		name   string
		faults Faults
		want   []int // of 400 calls: a status and about how often
	}{
		{"none", Faults{}, []int{200, 400}},
		{"errors", Faults{ServerError: 0.25}, []int{500, 100}},
		{"limits", Faults{RateLimited: 0.25}, []int{429, 100}},
		{"denied", Faults{Denied: true}, []int{403, 400}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := New(Config{})
			count := func() (n int) {
				w.SetFaults(test.faults)
				for range 400 {
					if status, _ := metal(t, w, "GET", "/projects/"+w.Config().ProjectID, ""); status == test.want[0] {
						n++
					}
				}
				return n
			}
			got := count()
			if got < test.want[1]*3/4 || got > test.want[1]*5/4 {
				t.Errorf("%d answers %d, want about %d", got, test.want[0], test.want[1])
			}
			if again := count(); again != got {
				t.Errorf("the same seed threw %d, then %d", got, again)
			}
		})
	}
}

func TestSlowCalls(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{Slow: 1, SlowBy: 7 * time.Second})
		start := time.Now()
		status, _ := metal(t, w, "GET", "/projects/"+w.Config().ProjectID, "")
		if took := time.Since(start); status != 200 || took != 7*time.Second {
			t.Errorf("answered %d after %s", status, took)
		}
	})
}

func TestCreatesCommitLate(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{LateCommit: 40 * time.Second})
		ctx, cancel := context.WithCancel(context.Background())
		go askMetal(ctx, w, "POST", "/projects/"+w.Config().ProjectID+"/devices",
			`{"facility":["ewr1"],"plan":"p","operating_system":"o"}`)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if n := len(w.Devices()); n != 0 {
			t.Errorf("%d devices before the commit", n)
		}
		time.Sleep(40 * time.Second)
		if n := len(w.Devices()); n != 1 {
			t.Errorf("%d devices after the client has gone, want 1", n)
		}
		start := time.Now()
		order(t, w, "agent-1", "")
		if took := time.Since(start); took == 0 || took > 40*time.Second || len(w.Devices()) != 2 {
			t.Errorf("answered after %s, %d devices", took, len(w.Devices()))
		}
	})
}

func TestCreatesAnswerBadGateway(t *testing.T) {
	w := New(Config{})
	w.SetFaults(Faults{BadGateway: 1})
	status, _ := metal(t, w, "POST", "/projects/"+w.Config().ProjectID+"/devices",
		`{"facility":["ewr1"],"plan":"p","operating_system":"o"}`)
	if status != 502 || len(w.Devices()) != 1 {
		t.Errorf("answered %d, %d devices", status, len(w.Devices()))
	}
}

func TestDeletesDoNothing(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		id := order(t, w, "agent-1", "")
		time.Sleep(time.Minute)
		w.SetFaults(Faults{DeleteDenied: 1})
		if status, _ := metal(t, w, "DELETE", "/devices/"+id, ""); status != 403 || w.Stats().Alive != 1 {
			t.Errorf("answered %d, %+v", status, w.Stats())
		}
	})
}

func TestDevicesFail(t *testing.T) {
	asleep(t, Config{}, func(t *testing.T, w *World) {
		w.SetFaults(Faults{DeviceFails: 0.5})
		for i := range 20 {
			order(t, w, fmt.Sprintf("agent-%d", i), runnerData("agent"))
		}
		w.Enqueue(100)
		time.Sleep(2200 * time.Millisecond)
		failed := len(slices.DeleteFunc(w.Devices(), func(d Device) bool { return d.State != stateFailed }))
		if failed < 5 || failed > 15 {
			t.Errorf("%d of 20 devices failed", failed)
		}
		if got := w.Stats().Running; got != 2*(20-failed) {
			t.Errorf("%d stages run on %d devices", got, 20-failed)
		}
	})
}
