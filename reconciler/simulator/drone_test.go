package simulator

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"hangar/state"
)

// drone asks the world's Drone server with a token.
func drone(w *World, token, path string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("GET", path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	w.Drone().ServeHTTP(recorder, request)
	return recorder
}

// queue reads the build queue.
func queue(t *testing.T, w *World) []droneStage {
	t.Helper()
	var stages []droneStage
	answer := drone(w, w.Config().ServerToken, "/api/queue")
	if err := json.Unmarshal(answer.Body.Bytes(), &stages); err != nil {
		t.Fatalf("queue: %v: %s", err, answer.Body)
	}
	return stages
}

func TestQueueIsAsRecorded(t *testing.T) {
	w := New(Config{})
	w.Enqueue(3)
	w.Enqueue(2, state.Stage{Name: "deploy", Limit: 1})
	w.Enqueue(2, state.Stage{Arch: "arm64", Variant: "v8"})
	w.Enqueue(3, state.Stage{Labels: map[string]string{"size": "large"}}, state.Stage{Type: "exec"},
		state.Stage{OS: "windows", Kernel: "1809"})
	at := time.Unix(1795447724, 0)
	for i, machine := range []string{"agent-aaaaaaaa", "agent-bbbbbbbb", "agent-aaaaaaaa"} {
		w.stages[i].Machine, w.stages[i].device = machine, &Device{}
		w.stages[i].Running = i < 2
		w.stages[i].started = at
	}
	for _, s := range w.stages {
		s.Created, s.updated = at, at
	}
	var got, want any
	if err := json.Unmarshal(drone(w, w.Config().ServerToken, "/api/queue").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	readJSON(t, "queue.json", &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("queue is %s\nwant %s", dump(got), dump(want))
	}
}

func TestUserIsAsRecorded(t *testing.T) {
	w := New(Config{})
	var got, want map[string]any
	if err := json.Unmarshal(drone(w, w.Config().ServerToken, "/api/user").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	readJSON(t, "user-admin.json", &want)
	want["created"], want["updated"] = 0.0, 0.0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("user is %v, want %v", got, want)
	}
}

func TestDroneAnswers(t *testing.T) {
	w := New(Config{ServerToken: "admin", UserToken: "user"})
	tests := []struct {
		name, token, path string
		status            int
		body              string
	}{
		{"an empty queue", "admin", "/api/queue", 200, "[]\n"},
		{"the queue, no admin", "user", "/api/queue", 403, `{"message":"Forbidden"}` + "\n"},
		{"the queue, a bad token", "nobody", "/api/queue", 401, `{"message":"Unauthorized"}` + "\n"},
		{"a user, a bad token", "", "/api/user", 401, `{"message":"Unauthorized"}` + "\n"},
		{"the version", "", "/version", 200, `{"version":"2.25.0"}` + "\n"},
		{"health", "", "/healthz", 200, "OK"},
		{"nothing there", "admin", "/api/nodes", 404, `{"message":"Not Found"}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := drone(w, test.token, test.path)
			if got.Code != test.status || got.Body.String() != test.body {
				t.Errorf("answer %d %q, want %d %q", got.Code, got.Body, test.status, test.body)
			}
		})
	}
	var user droneUser
	if err := json.Unmarshal(drone(w, "user", "/api/user").Body.Bytes(), &user); err != nil || user.Admin || user.Login == "" {
		t.Errorf("user %+v, %v", user, err)
	}
}
