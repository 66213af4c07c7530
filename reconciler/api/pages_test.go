package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/session"
	"hangar/state"
)

// reader is a world as the pages read it, and decide on it.
type reader struct {
	*world
	samples []state.Sample
}

func (r *reader) Snapshot(context.Context, time.Time) (snap state.Snapshot, err error) {
	err = r.locked(func() {
		for _, s := range r.servers {
			if s.Phase != state.Stopped {
				snap.Servers = append(snap.Servers, s)
			}
		}
		snap.Paused = r.paused
		snap.Spent = map[string]state.Spent{"default": {Cost: 12.5}}
		if len(r.decisions) > 0 {
			snap.Last = r.decisions[len(r.decisions)-1]
		}
	})
	return snap, err
}

func (r *reader) Unfinished(context.Context) (runs []state.Run, err error) {
	err = r.locked(func() {
		for _, run := range r.runs {
			if run.Finished.IsZero() {
				runs = append(runs, run)
			}
		}
	})
	return runs, err
}

func (r *reader) CreateTimes(context.Context) (map[string]time.Duration, error) {
	return map[string]time.Duration{"default": 80 * time.Second}, r.err
}

func (r *reader) Samples(context.Context, time.Time, time.Duration) ([]state.Sample, error) {
	return slices.Clone(r.samples), r.err
}

func (r *reader) Show(_ context.Context, v state.StateVersion) (string, error) {
	return fmt.Sprintf("all of serial %d\n", v.Serial), r.err
}

func (r *reader) Difference(_ context.Context, before *state.StateVersion, after state.StateVersion) (string, error) {
	if before == nil {
		return fmt.Sprintf("+ all of serial %d is new\n", after.Serial), r.err
	}
	return fmt.Sprintf("~ serial %d to %d\n", before.Serial, after.Serial), r.err
}

// decided says whether the run that waits was decided.
func decided(r *reader) bool {
	run := r.runs[len(r.runs)-1]
	return !run.Approved.IsZero() || run.Phase != state.RunPlanned
}

// pooled is a world with pages, and what they show of it.
func pooled() (*reader, state.Roster) {
	r := &reader{world: populated()}
	at := time.Now().UTC()
	r.runs = append(r.runs, state.Run{ID: 9, Stack: "s1", Pool: "default", Phase: state.RunPlanned, Waits: at, Creates: []string{"agent-bbbbbbbb"}, Started: at})
	r.plans[9] = state.Plan{Text: "\n  # a.b will be created\n  + resource \"a\" \"b\" {\n      ~ size = 1 -> 2\n      - gone = \"<script>\"\n    }\n\nPlan: 1 to add\n"}
	r.decisions = append(r.decisions, state.Decision{ID: 3, At: at, Pools: []state.PoolDecision{
		{Pool: "default", Waiting: 3, Assigned: 1, Usable: 2, Billed: 2, Held: "cost", Reason: "the budget of the day is spent"}},
		Servers:   []state.ServerDecision{{Server: "agent-aaaaaaaa", Action: state.Drain, Reason: "no longer needed"}},
		Unmatched: []state.Unmatched{{Stages: []int64{4, 5}, Asks: "pipeline/docker linux/riscv64", Reason: "no pool has that arch"}}})
	return r, state.Roster{Pools: []state.Pool{{Name: "default", Min: 1, Max: 4, Budget: 20, Candidates: []state.Candidate{{Name: "ewr1", Price: 2}}}}}
}

// visit serves pages on r and returns a browser of them: it keeps cookies, and
// follows no redirect.
func visit(t *testing.T, r *reader, pools state.Roster, change func(*API)) *browser {
	t.Helper()
	h := open(t, r.world, func(a *API) {
		a.Pages = &Pages{Store: r, Pools: pools, States: r, Unread: func() time.Duration { return 0 }, Wait: func() time.Duration { return 0 }, Realm: "Builders"}
		if change != nil {
			change(a)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, house: h, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type browser struct {
	*house
	t      *testing.T
	client *http.Client
}

func (b *browser) send(method, path string, form url.Values, headers ...string) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func (b *browser) get(path string, headers ...string) reply {
	b.t.Helper()
	return b.send("GET", path, nil, headers...)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// csrf is what the forms of a page hold.
func (b *browser) csrf(path string) string {
	b.t.Helper()
	m := csrfField.FindStringSubmatch(b.get(path).body)
	if m == nil {
		b.t.Fatalf("%s has no form", path)
	}
	return m[1]
}

func (b *browser) login(token string) reply {
	b.t.Helper()
	return b.send("POST", "/ui/login", url.Values{"csrf": {b.csrf("/ui/login")}, "token": {token}})
}

// in logs in.
func (b *browser) in() *browser {
	b.t.Helper()
	if got := b.login(token); got.status != 303 || got.header.Get("Location") != "/ui" {
		b.t.Fatalf("the login answered %+v", got)
	}
	return b
}

var allPages = []string{
	"/ui", "/ui?range=day", "/ui?range=week", "/ui/servers", "/ui/servers?gone=true", "/ui/servers/agent-aaaaaaaa", "/ui/servers/agent-bbbbbbbb", "/ui/servers/agent-cccccccc",
	"/ui/servers/agent-aaaaaaaa/logs", "/ui/servers/agent-aaaaaaaa/destroy", "/ui/runs", "/ui/runs?phase=applied&stack=s1", "/ui/runs/7", "/ui/runs/8", "/ui/runs/9",
	"/ui/stacks", "/ui/stacks?emptied=true", "/ui/stacks/s1", "/ui/stacks/s1/versions/4", "/ui/findings", "/ui/decisions", "/ui/rest",
}

func TestPagesTell(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Machines = &machine{says: "cloud-init is done\n"} }).in()
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/ui", []string{"<b>1</b> on servers", "3 waiting", "Pool default is held back: its budget of the day is spent", "2 stages match no pool", "linux/riscv64",
			`<progress max="100" value="50" aria-label="agent-bbbbbbbb: create">`, "creating, 40 s of about 1 min 20 s", "12.50</b> of 20.00", "A plan waits for an admin.", "agent-zzzzzzzz", "hangar audit --adopt"}},
		{"/ui/servers", []string{"agent-aaaaaaaa", "agent-bbbbbbbb", "2 servers"}},
		{"/ui/servers?gone=true", []string{"agent-cccccccc", "no capacity", "1 server "}},
		{"/ui/servers/agent-aaaaaaaa", []string{"running: it takes builds", "203.0.113.7", "Run 7", "Drain and destroy", "Read what cloud-init"}},
		{"/ui/servers/agent-cccccccc", []string{"It went wrong.", "no capacity", "its logs with it"}},
		{"/ui/servers/agent-aaaaaaaa/logs", []string{"cloud-init is done"}},
		{"/ui/runs?phase=applied", []string{"Run 7", "+1"}},
		{"/ui/runs/7", []string{"Apply complete!", "1 to add &lt;&amp;&gt;", "deprecated"}},
		{"/ui/runs/9", []string{"waits for a person", "Approve", "Discard", `<span class="note">  # a.b will be created`, `<span class="add">  + resource`,
			`<span class="change">      ~ size`, `<span class="remove">      - gone = &#34;&lt;script&gt;`}},
		{"/ui/stacks", []string{"s1", "changing", "2 of 3 applied"}},
		{"/ui/stacks/s1", []string{"(sensitive value)", "{&#34;a&#34;:1,&#34;password&#34;:&#34;(sensitive value)&#34;}", "Serial 4", "203.0.113.7", "Run 8"}},
		{"/ui/stacks/s1/versions/4", []string{`<span class="add">&#43; all of serial 4 is new`, "all of serial 4"}},
		{"/ui/findings", []string{"agent-zzzzzzzz", "hangar audit --adopt"}},
		{"/ui/decisions", []string{"Decision 3", "the budget of the day is spent", "no longer needed", "linux/riscv64"}},
		{"/ui/rest", []string{"DELETE", "/api/servers/{name}", "Let a server drain and go", "/api/audit", "/healthz"}},
	} {
		got := b.get(tt.path)
		if got.status != 200 {
			t.Errorf("%s: %d", tt.path, got.status)
		}
		for _, want := range tt.want {
			if !strings.Contains(strings.ReplaceAll(got.body, "&#43;", "+"), strings.ReplaceAll(want, "&#43;", "+")) {
				t.Errorf("%s does not say %q:\n%s", tt.path, want, got.body)
			}
		}
	}
}

// The page of a run tells what became of it, and how far its servers are.
func TestRunTells(t *testing.T) {
	r, pools := pooled()
	at := time.Unix(1e9, 0).UTC()
	r.runs = append(r.runs,
		state.Run{ID: 21, Stack: "s1", Phase: state.RunApplying, Creates: []string{"agent-bbbbbbbb"}, Started: at, Decision: 3},
		state.Run{ID: 22, Stack: "s1", Phase: state.RunRefused, Verdict: "it replaces a server", Started: at, Finished: at, Timings: state.Timings{Init: 1.2, Plan: 0.4}},
		state.Run{ID: 23, Stack: "s1", Phase: state.RunDiscarded, Error: "a build is on it after all", Waits: at, By: "hubot", Started: at, Finished: at},
		state.Run{ID: 24, Stack: "s1", Phase: state.RunApplied, Waits: at, Approved: at, By: "hubot", Started: at, Finished: at})
	b := visit(t, r, pools, nil).in()
	for path, want := range map[string][]string{
		"/ui/runs/9":  {"it waits since"},
		"/ui/runs/21": {"How far it is", `<progress max="100" value="50"`, `href="/ui/decisions?before=4#decision-3"`},
		"/ui/runs/22": {"was refused, and nothing was done.</b> it replaces a server", "init 1.2s, plan 400ms"},
		"/ui/runs/23": {"hubot discarded it", `notice waits"> a build is on it after all`},
		"/ui/runs/24": {"hubot approved it"},
	} {
		body := b.get(path).body
		for _, want := range want {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not say %q:\n%s", path, want, body)
			}
		}
	}
}

// A recorded state is compared with the one before, or with any other.
func TestVersionsAreCompared(t *testing.T) {
	r, pools := pooled()
	for _, serial := range []int64{3, 1} {
		r.versions["s1"] = append(r.versions["s1"], state.StateVersion{Stack: "s1", Serial: serial, At: time.Unix(1e9, 0)})
	}
	b := visit(t, r, pools, nil).in()
	for path, want := range map[string]string{"": "~ serial 3 to 4", "?from=1": "~ serial 1 to 4", "?from=3": "~ serial 3 to 4"} {
		if got := b.get("/ui/stacks/s1/versions/4" + path); !strings.Contains(got.body, want) || !strings.Contains(got.body, `<option value="1"`) || strings.Contains(got.body, `<option value="4"`) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
}

// Names that others may have chosen lead nowhere but to pages of ours.
func TestNamesInLinks(t *testing.T) {
	r, pools := pooled()
	r.audit.Findings = []state.Finding{{Kind: state.Drifted, Server: "../../api?x=1#y", Detail: "<img src=x>"}, {Kind: state.Orphan, Server: "agent-nowhere", Device: "d"}}
	body := visit(t, r, pools, nil).in().get("/ui/findings").body
	if !strings.Contains(body, `href="/ui/servers/..%2F..%2Fapi%3Fx=1%23y"`) || strings.Contains(body, "<img") {
		t.Errorf("the page is\n%s", body)
	}
	if strings.Contains(body, "/ui/servers/agent-nowhere") {
		t.Error("what is in no record has a link")
	}
}

// Where nobody can look, the page says so, also when nothing was found.
func TestPageTellsOfModulesWithoutCensus(t *testing.T) {
	r, pools := pooled()
	r.audit.Blind, r.audit.Findings = []string{"vultr"}, nil
	if body := visit(t, r, pools, nil).in().get("/ui").body; !strings.Contains(body, "Nobody can look for the machines of module vultr") {
		t.Error("the page does not tell")
	}
}

// The first page shows some findings and leads to the rest, which are paged.
func TestManyFindings(t *testing.T) {
	r, pools := pooled()
	r.audit.Findings = nil
	for i := range 120 {
		r.audit.Findings = append(r.audit.Findings, state.Finding{Kind: state.Orphan, Device: fmt.Sprintf("device-%03d", i), Detail: "in no record"})
	}
	b := visit(t, r, pools, nil).in()
	for path, want := range map[string]int{"/ui": 20, "/ui/findings": 50, "/ui/findings?page=3": 20, "/ui/findings?page=4": 0} {
		if got := b.get(path); got.status != 200 || strings.Count(got.body, ">device-") != want {
			t.Errorf("%s: %d, shows %d findings, want %d", path, got.status, strings.Count(got.body, ">device-"), want)
		}
	}
	if body := b.get("/ui").body; !strings.Contains(body, `<a href="/ui/findings">All 120 findings</a>`) {
		t.Error("the first page does not lead to the rest")
	}
}

// The timeline shows all pools, or one of them, and leads from one to the other.
func TestTimelineOfAPool(t *testing.T) {
	r, pools := pooled()
	pools.Pools = append(pools.Pools, state.Pool{Name: "arm", Max: 2})
	r.decisions[len(r.decisions)-1].Pools = append(r.decisions[len(r.decisions)-1].Pools, state.PoolDecision{Pool: "arm", Waiting: 40, Usable: 2})
	r.samples = []state.Sample{{At: time.Now().Add(-time.Minute).Truncate(time.Minute), Pool: "arm", Demand: 30}, {At: time.Now().Add(-time.Minute).Truncate(time.Minute), Pool: "default", Demand: 7}}
	b := visit(t, r, pools, nil).in()
	for path, want := range map[string]string{
		"/ui?range=hour":              "builds wanted: now 44, at most 44",
		"/ui?range=hour&pool=default": "builds wanted: now 4, at most 7",
		"/ui?range=hour&pool=arm":     "builds wanted: now 40, at most 40",
	} {
		got := b.get(path)
		if got.status != 200 || !strings.Contains(got.body, want) || !strings.Contains(got.body, `href="/ui?range=day&amp;pool=arm`) != !strings.Contains(path, "pool=arm") {
			t.Errorf("%s: %d, does not say %q", path, got.status, want)
		}
	}
	if got := b.get("/ui?pool=none"); got.status != 400 || !strings.Contains(got.body, "wanted is one of") {
		t.Errorf("a pool that there is not: %d", got.status)
	}
}

// A session ends when its owner is no admin any more; not when Drone is down.
func TestSessionOfAFormerAdmin(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil).in()
	now := time.Now()
	b.Pages.sessions.Now = func() time.Time { return now }
	for _, step := range []struct {
		name   string
		after  time.Duration
		doubt  error
		status int
	}{
		{"at once", 0, nil, 200},
		{"a minute later", time.Minute, nil, 200},
		{"while Drone is down", time.Minute, state.Errorf(state.Unavailable, "no answer"), 200},
		{"demoted, seconds later", 10 * time.Second, state.Errorf(state.Forbidden, "no admin"), 200},
		{"demoted, a minute later", time.Minute, state.Errorf(state.Forbidden, "no admin"), 303},
		{"an admin again", time.Minute, nil, 303},
	} {
		now, r.doubt = now.Add(step.after), step.doubt
		if got := b.get("/ui"); got.status != step.status {
			t.Errorf("%s: %d, want %d", step.name, got.status, step.status)
		}
	}
}

// A page's own stream of events wants its login.
func TestPageStream(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	if got := b.get("/ui/events"); got.status != 303 {
		t.Errorf("a stranger gets %d", got.status)
	}
	b.in()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+"/ui/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("%d, %s", answer.StatusCode, kind)
	}
	b.happen("agent-aaaaaaaa")
	told := ""
	for lines := bufio.NewScanner(answer.Body); lines.Scan() && !strings.Contains(told, "agent-aaaaaaaa"); {
		told += lines.Text()
	}
	if !strings.Contains(told, "agent-aaaaaaaa") {
		t.Errorf("it tells %q", told)
	}
}

// Nobody gets in by ?once= where nobody was invited, and who is invited gets in
// once.
func TestInvitation(t *testing.T) {
	r, pools := pooled()
	if got := visit(t, r, pools, nil).get("/ui/login?once=x"); got.status != 401 || got.header.Get("Set-Cookie") != "" && strings.Contains(got.header.Get("Set-Cookie"), sessionCookie) {
		t.Errorf("without an invitation: %+v", got)
	}
	invitation, once := session.Invite("root", time.Now().Add(time.Minute))
	invite := func(a *API) { a.Pages.Invitation = invitation }
	b := visit(t, r, pools, invite)
	if got := b.get("/ui/login?once=" + once + "&to=https://example.com/"); got.status != 303 || got.header.Get("Location") != "/ui" {
		t.Errorf("with it: %+v", got)
	}
	if got := b.get("/ui"); got.status != 200 || !strings.Contains(got.body, "root") {
		t.Errorf("the page: %d", got.status)
	}
	if got := visit(t, r, pools, invite).get("/ui/login?once=" + once); got.status != 401 || !strings.Contains(got.body, "has been used") {
		t.Errorf("the second time: %d", got.status)
	}
	if strings.Contains(b.log.String(), once) {
		t.Error("the log shows the token")
	}
}

func TestEmptyPagesSayWhatComes(t *testing.T) {
	b := visit(t, &reader{world: &world{}}, state.Roster{Pools: []state.Pool{{Name: "default", Max: 4}}}, nil).in()
	for path, want := range map[string]string{
		"/ui":           "as soon as a build waits for it",
		"/ui/servers":   "as soon as a build waits for it",
		"/ui/runs":      "when a server is to be made or removed",
		"/ui/stacks":    "comes with the first server",
		"/ui/decisions": "DRONE_SERVER_HOST",
	} {
		if got := b.get(path); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d, does not say %q", path, got.status, want)
		}
	}
}

func TestPageErrors(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil).in()
	for path, want := range map[string]struct {
		status int
		words  string
	}{
		"/ui/servers/nobody":              {404, "there is no server nobody"},
		"/ui/servers/nobody/destroy":      {404, "there is no server nobody"},
		"/ui/servers/nobody/logs":         {404, "there is no server nobody"},
		"/ui/runs/last":                   {404, "no run last"},
		"/ui/runs/99":                     {404, "no run 99"},
		"/ui/runs?phase=done":             {400, "wanted is one of"},
		"/ui/runs?before=x":               {400, "before=x"},
		"/ui/servers?page=0":              {400, "page=0"},
		"/ui/stacks/s1/versions/4?from=9": {400, "from=9"},
		"/ui?pool=huge":                   {400, "wanted is one of"},

		"/ui/servers?page=9223372036854775807": {400, "1 to 1000000"},
		"/ui/stacks/s9":                        {404, "no stack s9"},
		"/ui/stacks/s1/versions/77":            {404, "no state version 77"},
		"/ui/stacks/s1/versions/x":             {404, "no state version x"},
		"/ui?range=year":                       {400, "hour, day or week"},
		"/ui/nowhere":                          {404, "no page has this address"},
		"/ui/static/frame.tmpl":                {404, "no such file"},
		"/ui/static/none.css":                  {404, "no such file"},
	} {
		if got := b.get(path); got.status != want.status || !strings.Contains(got.body, want.words) {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
	r.err = fmt.Errorf("sql: no such table")
	for _, path := range allPages {
		if got := b.get(path); path != "/ui/rest" && (got.status != 500 || strings.Contains(got.body, "sql") || !strings.Contains(got.body, "Back to what is now")) {
			t.Errorf("%s without its records: %d", path, got.status)
		}
	}
}

func TestNobodySeesAPageWithoutALogin(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	for _, path := range allPages {
		got := b.get(path)
		if got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/ui/login") || strings.Contains(got.body, "agent") && !strings.Contains(got.body, "to=") {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for _, path := range []string{"/ui/pause", "/ui/servers", "/ui/servers/agent-aaaaaaaa/destroy", "/ui/runs/9/approve"} {
		if got := b.send("POST", path, url.Values{"csrf": {"x"}}); got.status != 303 || r.paused || decided(r) || len(r.servers) != 3 {
			t.Errorf("POST %s: %d", path, got.status)
		}
	}
	if got := b.get("/"); got.status != 302 || got.header.Get("Location") != "/ui" {
		t.Errorf("/ answers %+v", got)
	}
	// A token in a header opens REST, not the pages; a session opens the pages, not REST.
	if got := b.get("/ui", "Authorization", "Bearer "+token); got.status != 303 {
		t.Errorf("a token in a header opens a page: %d", got.status)
	}
	if got := b.in().get("/api/servers"); got.status != 401 {
		t.Errorf("a session opens REST: %d", got.status)
	}
}

func TestLogin(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	for _, tt := range []struct {
		name, token string
		doubt       error
		status      int
		words       string
	}{
		{"a wrong token", "nonsense", nil, 401, "Drone does not know this token"},
		{"not an admin", token, state.Errorf(state.Forbidden, "not an admin"), 403, "not that of a Drone admin"},
		{"Drone is down", token, state.Errorf(state.Unavailable, "ask Drone at http://10.9.8.7: refused"), 503, "Drone does not tell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.doubt = tt.doubt
			got := b.login(tt.token)
			if got.status != tt.status || !strings.Contains(got.body, tt.words) || strings.Contains(got.body, "10.9.8.7") || strings.Contains(got.header.Get("Set-Cookie"), sessionCookie) {
				t.Errorf("got %+v", got)
			}
			if b.get("/ui").status != 303 {
				t.Error("in all the same")
			}
		})
	}
	r.doubt = nil
	if got := b.send("POST", "/ui/login", url.Values{"token": {token}}); got.status != 403 {
		t.Errorf("a login without its form: %d", got.status)
	}
	got := b.send("POST", "/ui/login", url.Values{"csrf": {b.csrf("/ui/login")}, "token": {" " + token + "\n"}, "to": {"/ui/runs/9?x=1"}})
	cookie := got.header.Get("Set-Cookie")
	if got.status != 303 || got.header.Get("Location") != "/ui/runs/9?x=1" {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/ui", "Max-Age=43200"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, "Secure") || strings.Contains(cookie, token) {
		t.Errorf("the cookie is %q", cookie)
	}
	if got := b.get("/ui"); got.status != 200 || !strings.Contains(got.body, "octocat") || strings.Contains(got.body, token) {
		t.Errorf("the page: %d", got.status)
	}
	if log := b.log.String(); strings.Contains(log, token) || !strings.Contains(log, "logged in to the pages") || !strings.Contains(log, "was refused") {
		t.Errorf("the log says\n%s", log)
	}

	// Whoever logs out is out, also with the old cookie.
	id := regexp.MustCompile(sessionCookie + `=(\w+)`).FindStringSubmatch(cookie)[1]
	if got := b.send("POST", "/ui/logout", url.Values{"csrf": {b.csrf("/ui")}}); got.status != 303 {
		t.Errorf("logout: %d", got.status)
	}
	if got := b.get("/ui", "Cookie", sessionCookie+"="+id); got.status != 303 {
		t.Errorf("an ended session opens a page: %d", got.status)
	}
}

func TestSessionsEnd(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil).in()
	b.Pages.sessions.Now = func() time.Time { return time.Now().Add(13 * time.Hour) }
	if got := b.get("/ui"); got.status != 303 {
		t.Errorf("after 13 hours: %d", got.status)
	}
}

func TestLoginLeadsToPagesOnly(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Root = "/hangar" })
	for to, want := range map[string]string{
		"/hangar/ui/runs": "/hangar/ui/runs", "//evil.example/hangar/ui/": "/hangar/ui", "https://evil.example/hangar/ui/": "/hangar/ui",
		"/elsewhere": "/hangar/ui", "/hangar/ui/../api/servers": "/hangar/ui", "/hangar/ui/../..//evil.example": "/hangar/ui", "javascript:alert(1)": "/hangar/ui", "\\\\evil": "/hangar/ui", "": "/hangar/ui",
	} {
		if got := b.back(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
	for _, path := range []string{"/hangar", "/hangar/"} {
		if got := b.get(path); got.status != 302 || got.header.Get("Location") != "/hangar/ui" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := b.get("/hangar/ui/login"); !strings.Contains(got.body, `action="/hangar/ui/login"`) || !strings.Contains(got.body, `href="/hangar/ui/static/style.css?v=`) {
		t.Errorf("the login below another root:\n%s", got.body)
	}
}

func TestSecureCookieBehindTLS(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	for _, proto := range []string{"https", "HTTPS", "https, http"} {
		if cookie := visit(t, r, pools, nil).get("/ui/login", "X-Forwarded-Proto", proto).header.Get("Set-Cookie"); !strings.Contains(cookie, "Secure") {
			t.Errorf("%s: the cookie is %q", proto, cookie)
		}
	}
	if got := b.send("POST", "/ui/login", url.Values{"csrf": {b.csrf("/ui/login")}, "token": {token}}, "X-Forwarded-Proto", "https"); !strings.Contains(got.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("the session's cookie is %q", got.header.Get("Set-Cookie"))
	}
}

func TestWrongPasswordsAreBounded(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Pages.Username, a.Pages.Password = "reader", "correct-horse" })
	for range 5 {
		if got := b.login("wrong"); got.status != 401 {
			t.Fatalf("got %d", got.status)
		}
	}
	if got := b.login(token); got.status != 429 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "Try again in") {
		t.Errorf("the sixth: %d", got.status)
	}
	b.Pages.throttle.Now = func() time.Time { return time.Now().Add(time.Minute) }
	if got := b.login(token); got.status != 303 {
		t.Errorf("after a minute: %d", got.status)
	}
}

func TestReaderMayOnlyRead(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Pages.Username, a.Pages.Password = "reader", "correct-horse" })
	basic := func(name, password string) []string {
		req, _ := http.NewRequest("GET", "/", nil)
		req.SetBasicAuth(name, password)
		return []string{"Authorization", req.Header.Get("Authorization")}
	}
	if got := b.get("/ui"); got.status != 401 || got.header.Get("WWW-Authenticate") != `Basic realm="Builders", charset="UTF-8"` || strings.Contains(got.body, "agent-") {
		t.Errorf("without a password: %+v", got)
	}
	for _, wrong := range [][]string{basic("reader", "wrong"), basic("root", "correct-horse"), basic("reader", "")} {
		if got := b.get("/ui", wrong...); got.status != 401 || strings.Contains(got.body, "agent-") {
			t.Errorf("with a wrong password: %d", got.status)
		}
	}
	right := basic("reader", "correct-horse")
	for _, path := range allPages {
		got := b.get(path, right...)
		if got.status != 200 || strings.Contains(got.body, `method="post"`) {
			t.Errorf("%s: %d, or it has a form", path, got.status)
		}
	}
	for _, path := range []string{"/ui/pause", "/ui/servers", "/ui/servers/agent-aaaaaaaa/destroy", "/ui/runs/9/approve", "/ui/logout"} {
		got := b.send("POST", path, url.Values{"csrf": {""}}, right...)
		if got.status != 403 || !strings.Contains(got.body, "may only read") || r.paused || decided(r) || len(r.servers) != 3 {
			t.Errorf("POST %s: %d", path, got.status)
		}
	}
	// An admin's login goes before it.
	if got := b.in().get("/ui", right...); !strings.Contains(got.body, "octocat") {
		t.Error("the admin is not known")
	}
}

func TestButtons(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil).in()
	csrf := b.csrf("/ui")
	press := func(path string, more ...string) reply {
		t.Helper()
		form := url.Values{"csrf": {csrf}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return b.send("POST", path, form)
	}
	leads := func(got reply, to string) {
		t.Helper()
		if got.status != 303 || got.header.Get("Location") != to {
			t.Errorf("got %d to %s, want %s", got.status, got.header.Get("Location"), to)
		}
	}
	leads(press("/ui/pause"), "/ui")
	if got := b.get("/ui"); !r.paused || !strings.Contains(got.body, "<b>Paused.</b>") || !strings.Contains(got.body, `action="/ui/resume"`) {
		t.Error("not paused")
	}
	leads(press("/ui/resume"), "/ui")
	leads(press("/ui/servers", "pool", "default"), "/ui/servers/agent-00000003")
	leads(press("/ui/servers/agent-aaaaaaaa/destroy"), "/ui/servers/agent-aaaaaaaa")
	if s := r.servers[0]; s.Phase != state.Shutdown || s.Forced {
		t.Errorf("it is %+v", s)
	}
	leads(press("/ui/servers/agent-aaaaaaaa/destroy", "force", "true"), "/ui/servers/agent-aaaaaaaa")
	if s := r.servers[0]; s.Phase != state.Stopping || !s.Forced {
		t.Errorf("it is %+v", s)
	}
	leads(press("/ui/runs/9/approve"), "/ui/runs/9")
	if run, err := r.Run(t.Context(), 9); err != nil || run.By != "octocat" || run.Approved.IsZero() {
		t.Errorf("run %+v, %v", run, err)
	}
	for path, status := range map[string]int{"/ui/servers/nobody/destroy": 404, "/ui/runs/x/approve": 404} {
		if got := press(path); got.status != status {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := press("/ui/servers", "pool", "huge"); got.status != 400 || !strings.Contains(got.body, "no pool huge") {
		t.Errorf("another pool: %d", got.status)
	}
	if got := press("/ui/runs/9/discard"); got.status != 409 || !strings.Contains(got.body, "does not wait") {
		t.Errorf("decided already: %d", got.status)
	}
	for _, want := range []string{"paused by=octocat", "run approved", "server's end asked for"} {
		if !strings.Contains(strings.ReplaceAll(b.log.String(), `"`, ""), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// A page that is as it was is not sent again.
func TestPageIsSentOnce(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil).in()
	first := b.get("/ui/stacks/s1/versions/4")
	tag := first.header.Get("ETag")
	if got := b.get("/ui/stacks/s1/versions/4", "If-None-Match", tag); tag == "" || got.status != 304 || got.body != "" {
		t.Errorf("with the tag %s: %d", tag, got.status)
	}
	r.versions["s1"] = append(r.versions["s1"], state.StateVersion{Stack: "s1", Serial: 1, Run: 6, At: time.Unix(1e9, 0)})
	if got := b.get("/ui/stacks/s1/versions/4", "If-None-Match", tag); got.status != 200 || !strings.Contains(got.body, "~ serial 1 to 4") {
		t.Errorf("after a change: %d", got.status)
	}
}

func TestListsArePaged(t *testing.T) {
	r, pools := pooled()
	r.servers, r.runs, r.stacks, r.decisions = nil, nil, nil, nil
	at := time.Now().UTC().Add(-time.Hour)
	for n := range 1000 {
		r.servers = append(r.servers, state.Server{Name: fmt.Sprintf("agent-%08d", n), Pool: "default", Stack: fmt.Sprintf("s%d", n/25), Phase: state.Running, Reason: "its runner is ready",
			Device: state.Device{ID: fmt.Sprint(n), Region: "ewr1", Size: "c3.small.x86", Address: "203.0.113.7"}, Created: at})
		r.stacks = append(r.stacks, state.Stack{Name: fmt.Sprintf("s%d", n), Pool: "default", Candidate: "ewr1/c3", Created: at})
	}
	for n := range 10000 {
		r.runs = append(r.runs, state.Run{ID: int64(n + 1), Stack: "s1", Pool: "default", Phase: state.RunApplied, Creates: []string{"agent-00000001"}, Started: at, Finished: at})
		r.decisions = append(r.decisions, state.Decision{ID: int64(n + 1), At: at, Pools: []state.PoolDecision{{Pool: "default", Reason: "nothing to change"}}})
	}
	for i := range 96 { // a day
		r.samples = append(r.samples, state.Sample{At: at.Add(time.Duration(i) * 15 * time.Minute), Pool: "default", Demand: i})
	}
	b := visit(t, r, pools, nil).in()
	for _, path := range []string{"/ui", "/ui/servers", "/ui/servers?page=20", "/ui/runs", "/ui/runs?before=5000", "/ui/stacks", "/ui/stacks/s1", "/ui/decisions", "/ui/servers/agent-00000001"} {
		if got := b.get(path); got.status != 200 || len(got.body) > 500_000 {
			t.Errorf("%s: %d, %d bytes", path, got.status, len(got.body))
		}
	}
	// Leafing shows each once.
	for list, link := range map[string]string{"servers": "/ui/servers/agent-", "runs": "/ui/runs/", "stacks": "/ui/stacks/s"} {
		seen, path := map[string]bool{}, "/ui/"+list
		older := regexp.MustCompile(`href="(\?[^"]*)">Older`)
		rows := regexp.MustCompile(`class="name" href="(` + regexp.QuoteMeta(link) + `[^"]+)"`)
		for range 300 {
			body := b.get(path).body
			for _, m := range rows.FindAllStringSubmatch(body, -1) {
				if seen[m[1]] {
					t.Fatalf("%s shows %s twice", list, m[1])
				}
				seen[m[1]] = true
			}
			m := older.FindStringSubmatch(body)
			if m == nil {
				break
			}
			path = "/ui/" + list + strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if want := map[string]int{"servers": 1000, "runs": 10000, "stacks": 1000}[list]; len(seen) != want {
			t.Errorf("%s: %d of %d were shown", list, len(seen), want)
		}
	}
	if got := b.get("/ui/runs?before=5000").body; !strings.Contains(got, ">Newer<") {
		t.Error("nothing leads back to the newest runs")
	}
}

func TestUnreadQueueIsTold(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Pages.Unread = func() time.Duration { return 5 * time.Minute } }).in()
	if got := b.get("/ui"); !strings.Contains(got.body, "has not been read for 5 min") {
		t.Error("the page does not say so")
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", 90 * time.Second: "1 min", 2 * time.Hour: "2 h", 3*time.Hour + 20*time.Minute: "3 h 20 min", 50 * time.Hour: "2 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestClipAndTail(t *testing.T) {
	long := strings.Repeat("0123456789abcde\n", maxText/8)
	if shown, cut := clip(long); !cut || len(shown) > maxText || !strings.HasSuffix(shown, "e\n") {
		t.Errorf("clipped to %d, %t", len(shown), cut)
	}
	if shown, cut := tail(long); !cut || len(shown) > maxText || !strings.HasPrefix(shown, "0") {
		t.Errorf("its end is %d long, %t", len(shown), cut)
	}
	if shown, cut := clip("short"); cut || shown != "short" {
		t.Error("a short text is cut")
	}
}
