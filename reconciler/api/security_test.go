package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// guarded is every route that wants a token.
var guarded = []string{
	"GET /api/servers", "POST /api/servers", "GET /api/servers/agent-aaaaaaaa", "DELETE /api/servers/agent-aaaaaaaa",
	"POST /api/pause", "POST /api/resume", "POST /api/reconcile",
	"GET /api/stacks", "GET /api/stacks/s1", "GET /api/stacks/s1/outputs", "GET /api/stacks/s1/versions",
	"GET /api/runs", "GET /api/runs/7", "GET /api/runs/7/plan", "GET /api/decisions", "HEAD /api/servers",
	"GET /api/events",
}

func TestAuthorization(t *testing.T) {
	down := &state.Error{Code: state.Unavailable, Message: "ask Drone at http://10.9.8.7: refused"}
	tests := []struct {
		name, header, query string
		doubt               error
		status              int
		words               string
	}{
		{name: "none", status: 401, words: "Authorization: Bearer"},
		{name: "bad token", header: "Bearer nonsense", status: 401, words: "does not know"},
		{name: "no scheme", header: token, status: 401, words: "Authorization: Bearer"},
		{name: "another scheme", header: "Basic " + token, status: 401, words: "Authorization: Bearer"},
		{name: "no token", header: "Bearer  ", status: 401, words: "Authorization: Bearer"},
		{name: "token in the URL", query: "?access_token=" + token, status: 401, words: "Authorization: Bearer"},
		{name: "not an admin", header: "Bearer " + token, doubt: state.Errorf(state.Forbidden, "not an admin"), status: 403, words: "not an admin"},
		{name: "Drone is down", header: "Bearer " + token, doubt: down, status: 503, words: "Drone does not tell"},
		{name: "unforeseen", header: "Bearer " + token, doubt: fmt.Errorf("panic at 10.9.8.7"), status: 500, words: "its log says what"},
		{name: "scheme in small letters", header: "bearer " + token, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, request := range guarded {
				h := open(t, populated(), nil)
				h.world.doubt = tt.doubt
				method, path, _ := strings.Cut(request, " ")
				got := h.ask(t, method, path+tt.query, "", "Authorization", tt.header)
				if tt.status == 200 {
					if got.status > 299 {
						t.Errorf("%s: got %+v", request, got)
					}
					continue
				}
				if method == "HEAD" {
					got.body = `{"message":"` + tt.words + `"}`
				}
				wantFailure(t, got, tt.status, tt.words)
				if strings.Contains(got.body, "10.9.8.7") {
					t.Errorf("%s: tells a stranger where Drone is: %s", request, got.body)
				}
				if asks := got.header.Get("WWW-Authenticate"); (asks == "Bearer") != (tt.status == 401) {
					t.Errorf("%s: WWW-Authenticate %q with %d", request, asks, got.status)
				}
				if len(h.world.servers) != 3 || h.world.paused || h.world.servers[0].Phase != state.Running {
					t.Errorf("%s: something was changed", request)
				}
			}
		})
	}
}

func TestOpenToAll(t *testing.T) {
	h := open(t, populated(), nil)
	for _, path := range []string{"/version", "/healthz", "/varz"} {
		got := h.ask(t, "GET", path, "", "Authorization", "")
		if got.status != 200 || strings.Contains(got.body, "agent-") {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// Nothing that is secret is answered or logged, wherever it lies in the store.
func TestSecretsStayInside(t *testing.T) {
	h := open(t, populated(), nil)
	answers := ""
	for _, request := range guarded {
		method, path, _ := strings.Cut(request, " ")
		answers += h.ask(t, method, path+"?access_token="+token, "").body
		answers += h.ask(t, method, path+"?token="+token, "", "Authorization", "Bearer hush-5").body
	}
	if len(answers) < 1000 {
		t.Fatalf("too little was answered: %s", answers)
	}
	for _, secret := range []string{"hush-", token, "root_password"} {
		if strings.Contains(answers, secret) {
			t.Errorf("%s is answered:\n%s", secret, answers)
		}
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("%s is logged:\n%s", secret, h.log)
		}
	}
}

func TestLog(t *testing.T) {
	h := open(t, populated(), nil)
	h.ask(t, "DELETE", "/api/servers/agent-aaaaaaaa?force=true", "")
	h.ask(t, "POST", "/api/pause", "")
	h.ask(t, "GET", "/api/servers", "", "Authorization", "")
	for _, want := range []string{
		`level=INFO msg="server's end asked for" server=agent-aaaaaaaa force=true by=octocat`,
		`level=INFO msg=paused by=octocat`,
		`level=DEBUG msg=request method=DELETE path=/api/servers/agent-aaaaaaaa status=200`,
		`level=DEBUG msg=request method=GET path=/api/servers status=401`,
	} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, h.log)
		}
	}
}

func TestPanic(t *testing.T) {
	h := open(t, &world{}, func(a *API) { a.Health = func() error { panic("loop lost its marbles") } })
	wantFailure(t, h.ask(t, "GET", "/healthz", ""), 500, "its log says what")
	for _, want := range []string{"level=ERROR", "marbles", "path=/healthz", "security_test.go"} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, h.log)
		}
	}
	if got := h.ask(t, "GET", "/version", ""); got.status != 200 {
		t.Errorf("after the panic: %+v", got)
	}
}

// An answer that breaks off must not look whole.
func TestPanicInMidAnswer(t *testing.T) {
	h := open(t, &world{}, nil)
	engine := gin.New()
	engine.Use(h.recovered)
	engine.GET("/", func(c *gin.Context) {
		c.String(200, "half")
		panic("cannot go on")
	})
	server := httptest.NewServer(engine)
	defer server.Close()
	res, err := http.Get(server.URL)
	if err == nil {
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
	if !strings.Contains(h.log.String(), "cannot go on") {
		t.Errorf("the log lacks the panic:\n%s", h.log)
	}
}

func TestBodyLimit(t *testing.T) {
	h := open(t, &world{}, nil)
	wantFailure(t, h.ask(t, "POST", "/api/servers", strings.Repeat("x", maxBody+1)), 413, "1 MiB")
	if len(h.world.servers) != 0 {
		t.Error("a server was made all the same")
	}
	if got := h.ask(t, "POST", "/api/servers", strings.Repeat("x", 1000)); got.status != 200 {
		t.Errorf("a small body: %+v", got)
	}
}

func TestServerLimits(t *testing.T) {
	s := NewServer("127.0.0.1:0", nil)
	for name, limit := range map[string]time.Duration{
		"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout,
	} {
		if limit <= 0 || limit > 5*time.Minute {
			t.Errorf("%s: %s", name, limit)
		}
	}
	if s.Addr != "127.0.0.1:0" || s.ErrorLog == nil {
		t.Errorf("%+v", s)
	}

	h := open(t, &world{}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "GET /version HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", s.MaxHeaderBytes+8<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("a huge header: %q, %v", line, err)
	}
}
