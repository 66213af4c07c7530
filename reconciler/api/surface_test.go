package api

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/history"
	"hangar/state"
)

// examples is what there is, by the parameters of routes below a path.
var examples = []struct {
	below     string
	parameter string
	values    []string
}{
	{"/servers/", ":name", []string{"agent-aaaaaaaa", "agent-bbbbbbbb", "agent-cccccccc"}},
	{"/stacks/", ":name", []string{"s1"}},
	{"/runs/", ":id", []string{"7", "8", "9"}},
	{"/versions/", ":serial", []string{"4", "3"}},
	{"/explain/", ":what", []string{"agent-aaaaaaaa", "4"}},
	{"/static/", ":file", []string{"page.js", "style.css", "icon.svg"}},
}

// pathsOf are the paths of a route, one for each combination of examples.
func pathsOf(route string) []string {
	paths := []string{route}
	for _, e := range examples {
		var filled []string
		for _, path := range paths {
			if !strings.Contains(path, e.below+e.parameter) {
				filled = append(filled, path)
				continue
			}
			for _, value := range e.values {
				filled = append(filled, strings.Replace(path, e.below+e.parameter, e.below+value, 1))
			}
		}
		paths = filled
	}
	return paths
}

// routesOf are the routes of a method. It ends all sessions.
func (h *house) routesOf(method string) (routes []string) {
	for _, r := range h.engine().Routes() {
		if r.Method == method {
			routes = append(routes, r.Path)
		}
	}
	return routes
}

// teller tells recorded states as hangar's does.
type teller struct{ history.History }

func (t teller) Show(ctx context.Context, v state.StateVersion) (string, error) {
	shown, err := t.Read(ctx, v)
	return shown.Text(), err
}

func (t teller) Difference(ctx context.Context, before *state.StateVersion, after state.StateVersion) (string, error) {
	if before == nil {
		return t.Show(ctx, after)
	}
	diff, err := t.Diff(ctx, after.Stack, &before.Serial, &after.Serial)
	return diff.Text(), err
}

// secretive is a world in which secrets lie wherever the records may hold them.
func secretive(t *testing.T) (*reader, state.Roster) {
	t.Helper()
	r, pools := pooled()
	r.versions["s1"] = nil
	for serial, file := range map[int64]string{4: "secrets-after", 3: "secrets-before"} {
		bytes, err := os.ReadFile("../../tfmodules/testdata/" + file + ".tfstate")
		if err != nil {
			t.Fatal(err)
		}
		r.versions["s1"] = append(r.versions["s1"], state.StateVersion{Stack: "s1", Serial: serial, SHA256: file, Run: 7, Decision: 2, At: time.Unix(1e9, 0), Bytes: bytes})
	}
	slices.SortFunc(r.versions["s1"], func(x, y state.StateVersion) int { return int(y.Serial - x.Serial) })
	r.plans[8], r.plans[9] = r.plans[7], state.Plan{Text: r.plans[9].Text, JSON: []byte("{}")}
	r.explanation = state.Explanation{Stages: []state.ExplainedStage{{Stage: 4, Name: "default", Reason: "it runs"}},
		Servers: []state.ExplainedServer{{ServerDecision: state.ServerDecision{Server: "agent-aaaaaaaa"}}}}
	return r, pools
}

// No route that can be read answers or logs a secret, whichever are added: the
// router is asked which there are, and each must have been seen to answer.
func TestNoRouteShowsASecret(t *testing.T) {
	r, pools := secretive(t)
	b := visit(t, r, pools, func(a *API) {
		a.Metrics, a.MetricsToken = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "hush-metrics"
		a.Machines = &machine{says: "booted\n"}
		a.Pages.States, a.Pages.Username, a.Pages.Password = teller{history.History{Store: r}}, "reader", "hush-pages"
	})
	routes := b.routesOf("GET")
	b.in()
	b.happen("agent-aaaaaaaa", "agent-bbbbbbbb")
	secrets := []string{"hush", "PLANTED", "S3cretRootPw", "correct-horse", "cloud-config", token}
	answered := 0
	for _, route := range routes {
		paths := pathsOf(route)
		if strings.HasSuffix(route, "/versions/:serial") {
			paths = append(paths, "/ui/stacks/s1/versions/3?from=4")
		}
		for _, path := range append(paths, paths[0]+"?format=json") {
			got := b.read(path)
			if seen := got.status; seen != 200 && seen != 302 && !(strings.Contains(path, "agent-") && seen == 409) && !(strings.HasSuffix(path, "/8/plan") && seen == 404) {
				t.Errorf("%s answers %d: is there an example of what it shows?\n%s", path, seen, got.body)
			}
			if strings.Contains(path, ":") {
				t.Errorf("%s: there is no example of a parameter", path)
			}
			answered += len(got.body)
			for _, secret := range secrets {
				if strings.Contains(got.body, secret) || strings.Contains(fmt.Sprint(got.header), secret) {
					t.Errorf("%s shows %s", path, secret)
				}
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log shows %s", secret)
		}
	}
	if answered < 100_000 {
		t.Errorf("only %d bytes were answered", answered)
	}
}

// read reads a path as an admin does who is logged in to the pages; of a stream,
// what has happened so far.
func (b *browser) read(path string) reply {
	b.t.Helper()
	if !strings.Contains(path, "/events/stream") && !strings.HasPrefix(path, "/ui/events") {
		return b.get(path, "Authorization", "Bearer "+map[bool]string{false: token, true: "hush-metrics"}[strings.HasPrefix(path, "/metrics")])
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Last-Event-ID", "0")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	got := reply{status: res.StatusCode, header: res.Header}
	for lines := bufio.NewScanner(res.Body); !strings.Contains(got.body, "agent-bbbbbbbb") && lines.Scan(); {
		got.body += lines.Text()
	}
	return got
}

// A page is tried by the tests that go through all of them, whichever are added.
func TestEveryPageIsTried(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	for _, route := range b.routesOf("GET") {
		if !strings.HasPrefix(route, "/ui") || slices.Contains([]string{"/ui/login", "/ui/static/:file", "/ui/events"}, route) {
			continue
		}
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(route, "[^/]+") + `(\?|$)`)
		if !slices.ContainsFunc(allPages, pattern.MatchString) {
			t.Errorf("%s is not among allPages", route)
		}
	}
}

// No button works for who has not logged in, may only read, or was led to it by
// another site, whichever are added.
func TestNoButtonWorksForOthers(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Pages.Username, a.Pages.Password = "reader", "correct-horse" })
	buttons := slices.DeleteFunc(b.routesOf("POST"), func(route string) bool { return !strings.HasPrefix(route, "/ui") })
	if len(buttons) < 7 {
		t.Fatalf("the buttons are %v", buttons)
	}
	before := fmt.Sprintf("%+v", []any{r.servers, r.runs, r.paused})
	try := func(who, csrf string, status func(route string) int, headers ...string) {
		t.Helper()
		for _, route := range buttons {
			path := strings.NewReplacer("/runs/:id", "/runs/9", ":name", "agent-aaaaaaaa").Replace(route)
			got := b.send("POST", path, url.Values{"csrf": {csrf}, "token": {token}}, headers...)
			if want := status(route); got.status != want {
				t.Errorf("%s, POST %s: %d, want %d", who, path, got.status, want)
			}
			if strings.Contains(got.header.Get("Set-Cookie"), sessionCookie+"=") {
				t.Errorf("%s, POST %s: begins or ends a session", who, path)
			}
		}
		if now := fmt.Sprintf("%+v", []any{r.servers, r.runs, r.paused}); now != before {
			t.Errorf("%s: something was changed:\n%s\n%s", who, before, now)
		}
	}
	const login = "/ui/login"
	stranger := func(route string) int { return map[bool]int{true: 403, false: 401}[route == login] }
	forbidden := func(string) int { return 403 }
	reader, _ := http.NewRequest("GET", "/", nil)
	reader.SetBasicAuth("reader", "correct-horse")
	try("a stranger", "x", stranger)
	try("a reader", "", forbidden, "Authorization", reader.Header.Get("Authorization"))
	try("a token in a header", "x", stranger, "Authorization", "Bearer "+token)
	b.in()
	try("no form", "", forbidden)
	try("another's form", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", forbidden)
	csrf := b.csrf("/ui")
	for _, other := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		try(strings.Join(other, " "), csrf, forbidden, other...)
		got := b.send("POST", login, url.Values{"csrf": {b.csrf(login)}, "token": {token}}, other...)
		if got.status != 403 || !strings.Contains(got.body, "another site") || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%v: a login with the right form: %d", other, got.status)
		}
	}
}

// Everything below /ui keeps to its policy, and nothing but files may be kept.
func TestEveryPageKeepsToItself(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Machines = &machine{says: "<script>alert(1)</script> \x1b[31m\n"} })
	routes := b.routesOf("GET")
	b.in()
	inline := regexp.MustCompile(`(?i)<script(>| [^s])|<style|\sstyle=|\son[a-z]+=|javascript:|(src|href|action)="(https?:)?//`)
	for _, route := range routes {
		if !strings.HasPrefix(route, "/ui") || route == "/ui/events" {
			continue
		}
		for _, path := range pathsOf(route) {
			got := b.get(path)
			if got.header.Get("Content-Security-Policy") != policy || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Referrer-Policy") != "same-origin" {
				t.Errorf("%s: headers %v", path, got.header)
			}
			if kept := got.header.Get("Cache-Control"); strings.HasPrefix(route, "/ui/static/") != strings.Contains(kept, "public") || kept == "" {
				t.Errorf("%s: may be kept: %q", path, kept)
			}
			if found := inline.FindString(got.body); found != "" && !strings.HasPrefix(route, "/ui/static/") {
				t.Errorf("%s has %s in it", path, found)
			}
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
}
