package drone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

const token = "s3cr3t-t0k3n"

// serve starts a server and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return New(server.URL, token)
}

// answers is a handler that answers the same to everybody.
func answers(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestQueueRecorded(t *testing.T) {
	recorded, err := os.ReadFile("testdata/queue.json")
	if err != nil {
		t.Fatal(err)
	}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.Method+" "+r.URL.String(), "GET /api/queue"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if got, want := r.Header.Get("Authorization"), "Bearer "+token; got != want {
			t.Errorf("authorization %q, want %q", got, want)
		}
		answers(200, "application/json", string(recorded))(w, r)
	})
	got, err := client.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 10 {
		t.Fatalf("%d stages, want 10", len(got))
	}
	created := time.Unix(1795447724, 0).UTC()
	for _, want := range []state.Stage{
		{ID: 1, RepoID: 1, BuildID: 1, Name: "default", Kind: "pipeline", Type: "docker", Running: true,
			Machine: "agent-aaaaaaaa", OS: "linux", Arch: "amd64", Created: created},
		{ID: 3, RepoID: 1, BuildID: 3, Name: "default", Kind: "pipeline", Type: "docker",
			Machine: "agent-aaaaaaaa", OS: "linux", Arch: "amd64", Created: created},
		{ID: 4, RepoID: 1, BuildID: 4, Name: "deploy", Kind: "pipeline", Type: "docker",
			OS: "linux", Arch: "amd64", Limit: 1, Created: created},
		{ID: 6, RepoID: 1, BuildID: 6, Name: "default", Kind: "pipeline", Type: "docker",
			OS: "linux", Arch: "arm64", Variant: "v8", Created: created},
		{ID: 8, RepoID: 1, BuildID: 8, Name: "default", Kind: "pipeline", Type: "docker",
			OS: "linux", Arch: "amd64", Labels: map[string]string{"size": "large"}, Created: created},
		{ID: 9, RepoID: 1, BuildID: 9, Name: "default", Kind: "pipeline", Type: "exec",
			OS: "linux", Arch: "amd64", Created: created},
		{ID: 10, RepoID: 1, BuildID: 10, Name: "default", Kind: "pipeline", Type: "docker",
			OS: "windows", Arch: "amd64", Kernel: "1809", Created: created},
	} {
		if stage := got[want.ID-1]; !reflect.DeepEqual(stage, want) {
			t.Errorf("stage %d:\n got %+v\nwant %+v", want.ID, stage, want)
		}
	}
}

func TestQueue(t *testing.T) {
	stage := func(id int, status, more string) string {
		return fmt.Sprintf(`{"id":%d,"repo_id":7,"build_id":9,"status":%q%s}`, id, status, more)
	}
	tests := []struct {
		name string
		body string
		want []state.Stage
		flaw string // in the error
	}{
		{name: "empty", body: "[]", want: []state.Stage{}},
		{name: "other statuses do not count", want: []state.Stage{{ID: 2, RepoID: 7, BuildID: 9}},
			body: "[" + stage(1, "success", "") + "," + stage(2, "pending", "") + "," + stage(3, "blocked", "") + "]"},
		{name: "in order of ids", want: []state.Stage{{ID: 1, RepoID: 7, BuildID: 9}, {ID: 2, RepoID: 7, BuildID: 9, Running: true}},
			body: "[" + stage(2, "running", "") + "," + stage(1, "pending", "") + "]"},
		{name: "throttle", want: []state.Stage{{ID: 1, RepoID: 7, BuildID: 9, Throttle: 3}},
			body: "[" + stage(1, "pending", `,"throttle":3`) + "]"},
		{name: "null", body: "null", flaw: "null instead of a list"},
		{name: "null entry", body: "[null]", flaw: "entry 0 of its queue is null"},
		{name: "object", body: `{"stages":[]}`, flaw: "not what Drone's API answers"},
		{name: "nothing", body: "", flaw: "not what Drone's API answers"},
		{name: "cut off", body: "[" + stage(1, "pending", "") + ",", flaw: "not what Drone's API answers"},
		{name: "more after it", body: "[] []", flaw: "not what Drone's API answers"},
		{name: "wrong type", body: `[{"id":"1"}]`, flaw: "not what Drone's API answers"},
		{name: "no id", body: `[{"repo_id":1,"build_id":1,"status":"pending"}]`, flaw: "has no id"},
		{name: "no repo", body: `[{"id":1,"build_id":1,"status":"pending"}]`, flaw: "has no repo_id"},
		{name: "no build", body: `[{"id":1,"repo_id":1,"status":"pending"}]`, flaw: "has no build_id"},
		{name: "no status", body: `[{"id":1,"repo_id":1,"build_id":1}]`, flaw: "has no status"},
		{name: "twice the same", body: "[" + stage(1, "pending", "") + "," + stage(1, "pending", "") + "]", flaw: "entry 1 of its queue repeats stage 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := serve(t, answers(200, "application/json", tt.body)).Queue(t.Context())
			if tt.flaw != "" {
				if got != nil {
					t.Errorf("a part of the queue was returned: %+v", got)
				}
				wantError(t, err, state.Unavailable, tt.flaw)
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// wantError checks the code and words of an error, and that it does not tell
// the token.
func wantError(t *testing.T, err error, code state.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := state.CodeOf(err); got != code {
		t.Errorf("code %q, want %q: %v", got, code, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error does not say %q: %v", word, err)
		}
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(masked); ok {
			break // what it hides is for errors.Is, not for people
		}
		if strings.Contains(e.Error(), token) {
			t.Errorf("error tells the token: %v", e)
		}
	}
}

func TestQueueAnswers(t *testing.T) {
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		code    state.Code
		words   []string
	}{
		{"bad token", answers(401, "application/json", `{"message":"Unauthorized"}`), state.Unauthorized, []string{"DRONE_SERVER_TOKEN", "does not know the token"}},
		{"not an admin", answers(403, "application/json", `{"message":"Forbidden"}`), state.Forbidden, []string{"DRONE_SERVER_TOKEN", "not an admin"}},
		{"open source build", answers(501, "application/json", `{"message":"Not Implemented"}`), state.Unavailable, []string{"open source build", "no queue API"}},
		{"not Drone", answers(404, "text/plain", "404 page not found"), state.Unavailable, []string{"404", "DRONE_SERVER_HOST", "without a path"}},
		{"Drone fails", answers(500, "application/json", `{"message":"sql: database is closed"}`), state.Unavailable, []string{"500 Internal Server Error", "sql: database is closed", "Drone's own log"}},
		{"fails with a page", answers(500, "text/html", "<h1>oops</h1>"), state.Unavailable, []string{"500 Internal Server Error;"}},
		{"starting", answers(502, "text/html", "<h1>Bad Gateway</h1>"), state.Unavailable, []string{"502 Bad Gateway", "not ready"}},
		{"too many requests", answers(429, "text/plain", ""), state.Unavailable, []string{"429 Too Many Requests"}},
		{"nothing", answers(204, "text/plain", ""), state.Unavailable, []string{"204 No Content"}},
		{"HTTP to an HTTPS port", answers(400, "text/plain", "Client sent an HTTP request to an HTTPS server."), state.Unavailable, []string{"DRONE_SERVER_PROTO=https"}},
		{"Drone's own page", answers(200, "text/html; charset=utf-8", "<!DOCTYPE html>"), state.Unavailable, []string{"web page", "DRONE_SERVER_HOST"}},
		{"a page by another name", answers(200, "application/json", "\n <html>"), state.Unavailable, []string{"web page"}},
		{"login page", redirect("https://sso.example.com/login?state=abc"), state.Unavailable, []string{"https://sso.example.com/login,", "login page", "DRONE_SERVER_HOST"}},
		{"elsewhere", redirect("https://drone.example.com/api/queue"), state.Unavailable, []string{"https://drone.example.com/api/queue;", "set DRONE_SERVER_HOST"}},
		{"to https", redirect("https://127.0.0.1/api/queue"), state.Unavailable, []string{"DRONE_SERVER_PROTO=https"}},
		{"to nowhere", answers(302, "text/plain", ""), state.Unavailable, []string{"302 Found to nowhere"}},
		{"repeats the token", answers(500, "application/json", `{"message":"bad header Bearer `+token+`"}`), state.Unavailable, []string{"Bearer ***"}},
		{"redirects with the token", redirect("https://sso.example.com/" + token), state.Unavailable, []string{"/***"}},
		{"breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "[")
		}, state.Unavailable, []string{"broke off"}},
		{"closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, state.Unavailable, []string{"closed without an answer", "DRONE_SERVER_PROTO"}},
		{"not HTTP", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(conn, "SSH-2.0-%s\r\n", token)
			conn.Close()
		}, state.Unavailable, []string{"cannot be reached", "DRONE_SERVER_HOST", "SSH-2.0-***"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := serve(t, tt.handler).Queue(t.Context())
			wantError(t, err, tt.code, tt.words...)
		})
	}
}

func TestQueueRedirectIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	_, err := serve(t, http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP).Queue(t.Context())
	wantError(t, err, state.Unavailable)
}

func TestQueueUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := httptest.NewServer(answers(200, "application/json", "[]"))
	defer plain.Close()
	secure := httptest.NewUnstartedServer(answers(200, "application/json", "[]"))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	unresolved := New("https://drone.example.invalid", token)
	unresolved.HTTP.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "drone.example.invalid", IsNotFound: true}}
	}

	tests := []struct {
		name   string
		client *Client
		words  []string
	}{
		{"refused", New("http://"+closed.Addr().String(), token), []string{closed.Addr().String(), "is refused", "DRONE_SERVER_HOST"}},
		{"DNS", unresolved, []string{`"drone.example.invalid" cannot be resolved`, "DRONE_SERVER_HOST"}},
		{"HTTPS to an HTTP port", New(strings.Replace(plain.URL, "http:", "https:", 1), token), []string{"plain HTTP", "DRONE_SERVER_PROTO=http"}},
		{"HTTP to an HTTPS port", New(strings.Replace(secure.URL, "https:", "http:", 1), token), []string{"DRONE_SERVER_PROTO=https"}},
		{"certificate", New(secure.URL, token), []string{"certificate is not trusted", "DRONE_SERVER_HOST"}},
		{"no address", New("http://bad host", token), []string{"DRONE_SERVER_HOST"}},
		{"no host", New("http://", token), []string{"DRONE_SERVER_HOST"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.client.Queue(t.Context())
			wantError(t, err, state.Unavailable, tt.words...)
		})
	}
}

func TestQueueTimeout(t *testing.T) {
	for name, start := range map[string]string{"no answer": "", "half an answer": "["} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, start)
				if start != "" {
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			client.Timeout = 20 * time.Millisecond
			_, err := client.Queue(t.Context())
			wantError(t, err, state.Unavailable, "no answer in time (at most 20ms)", "DRONE_SERVER_HOST")
		})
	}
}

func TestQueueCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := client.Queue(ctx)
	wantError(t, err, "", "/api/queue")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("not a cancellation: %v", err)
	}
}

func TestQueuePasswordInAddress(t *testing.T) {
	_, err := New("http://user:hunter2@127.0.0.1:1", token).Queue(t.Context())
	wantError(t, err, state.Unavailable, "127.0.0.1:1")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error tells the password: %v", err)
	}
}

func TestQueueUnusableToken(t *testing.T) {
	for _, bad := range []string{"", "abc\n", "a b"} {
		_, err := New("http://127.0.0.1:1", bad).Queue(t.Context())
		wantError(t, err, state.Unauthorized, "DRONE_SERVER_TOKEN")
	}
}
