package drone

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drone/drone-go/drone"

	"hangar/state"
)

// past answers as Drone does: repositories in pages, builds the newest first, and
// the stages of a build only by its number.
func past(t *testing.T, builds int) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /api/repos", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer(w, []*drone.Repo{{ID: 1, Namespace: "octocat", Name: "hello", Slug: "octocat/hello"}, {ID: 2, Namespace: "octocat", Name: "none", Slug: "octocat/none"}})
	})
	mux.HandleFunc("GET /api/repos/octocat/none/builds", func(w http.ResponseWriter, r *http.Request) { answer(w, []*drone.Build{}) })
	mux.HandleFunc("GET /api/repos/octocat/hello/builds", func(w http.ResponseWriter, r *http.Request) {
		var page, size int
		fmt.Sscan(r.URL.Query().Get("page"), &page)
		fmt.Sscan(r.URL.Query().Get("per_page"), &size)
		list := []*drone.Build{}
		for n := builds - (page-1)*size; n > 0 && len(list) < size; n-- {
			list = append(list, &drone.Build{Number: int64(n), Created: int64(1000 * n)})
		}
		answer(w, list)
	})
	mux.HandleFunc("GET /api/repos/octocat/hello/builds/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int64
		fmt.Sscan(r.PathValue("n"), &n)
		if n == 5 {
			w.WriteHeader(http.StatusNotFound) // purged
			return
		}
		answer(w, drone.Build{Number: n, Stages: []*drone.Stage{
			{ID: 10 * n, BuildID: n, Name: "test", OS: "linux", Arch: "arm64", Labels: map[string]string{"size": "large"}, Created: 1000 * n, Started: 1000*n + 30, Stopped: 1000*n + 90},
			{ID: 10*n + 1, BuildID: n, Name: "skipped", OS: "linux", Arch: "amd64", Created: 1000 * n},
			{ID: 10*n + 2, BuildID: n, Name: "goes on", OS: "linux", Arch: "amd64", Created: 1000 * n, Started: 1000*n + 30},
		}})
	})
	return mux
}

func TestHistory(t *testing.T) {
	client := serve(t, past(t, 250).ServeHTTP)
	var told []string
	got, err := client.History(t.Context(), time.Unix(3000, 0), func(repo string, stages int) { told = append(told, fmt.Sprint(repo, " ", stages)) })
	if err != nil {
		t.Fatal(err)
	}
	if want := "octocat/hello 247, octocat/none 247"; strings.Join(told, ", ") != want { // 3 to 250, but for 5
		t.Errorf("told %q, want %q", told, want)
	}
	if len(got) != 247 || got[0].BuildID != 3 || got[246].BuildID != 250 {
		t.Fatalf("%d stages: %+v", len(got), got)
	}
	if s := got[0]; s.Ran != time.Minute || !s.Created.Equal(time.Unix(3000, 0)) || s.Arch != "arm64" || s.Labels["size"] != "large" || s.RepoID != 1 || s.Name != "test" {
		t.Errorf("%+v", s)
	}
	stranger := New(client.url, "stranger")
	if _, err := stranger.History(t.Context(), time.Unix(0, 0), func(string, int) {}); state.CodeOf(err) != state.Forbidden || !strings.Contains(err.Error(), "DRONE_SERVER_TOKEN") {
		t.Errorf("no admin: %v", err)
	}
}
