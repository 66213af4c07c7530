package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"hangar/reconciler/simulator"
)

// A life of servers leaves its traces; Prometheus' linter has nothing to say;
// and all that the dashboard and the alerts ask for is there.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond, BuildTime: time.Second}, quick)
	w.Enqueue(3)
	s := w.serve(t, "DRONE_PROMETHEUS_AUTH_TOKEN=let-me-scrape")
	scrape := func() string {
		status, body := s.ask(http.MethodGet, "/metrics", "let-me-scrape")
		if status != http.StatusOK {
			t.Fatalf("GET /metrics: %d %s", status, body)
		}
		return body
	}
	until(t, "the builds have ended and the servers are gone", 90*time.Second, func() bool {
		return w.Stats().Succeeded == 3 && len(s.servers()["stopped"]) == 2
	})
	for _, want := range []string{
		`drone_servers_created 2`, `drone_servers_created_err 0`, `drone_servers_deleted 2`, `drone_servers_deleted_err 0`, `drone_server_count 0`,
		`drone_server_create_time_seconds_count 2`, `drone_server_boot_time_seconds_count 2`, `drone_server_install_time_seconds_count 2`,
		`hangar_drain_duration_seconds_count{end="destroyed"} 2`, `hangar_servers{pool="default",state="running"} 0`,
		`hangar_queue_wait_seconds_count{pool="default"} 3`, `hangar_pool_maximum_servers{pool="default"} 4`, `hangar_terraform_processes 0`,
		`hangar_runs_total{result="refused"} 0`, `hangar_paused 0`,
	} {
		until(t, want, 20*time.Second, func() bool { return strings.Contains(scrape(), "\n"+want+"\n") })
	}
	families := parseMetrics(t, scrape())
	for _, step := range []string{"init", "plan", "show", "guard", "apply", "census"} {
		if !slices.ContainsFunc(families["hangar_step_duration_seconds"].Metric, func(m *dto.Metric) bool {
			return m.Label[0].GetValue() == step && m.Histogram.GetSampleCount() > 0
		}) {
			t.Errorf("no %s was timed", step)
		}
	}
	if status, _ := s.ask(http.MethodGet, "/metrics", w.Config().ServerToken); status != http.StatusUnauthorized {
		t.Errorf("another token than that of the metrics: %d", status)
	}
	for _, expr := range slices.Concat(alertExpressions(t), dashboardExpressions(t)) {
		asksForWhatIsThere(t, expr, families)
	}
	promtool(t, scrape(), "check", "metrics")
}

// The alerts are valid, and each says what it means and what to do.
func TestAlertRules(t *testing.T) {
	for _, rule := range alertRules(t) {
		if rule.Alert == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("alert %q lacks a severity, a summary or a description", rule.Alert)
		}
	}
	promtool(t, "", "check", "rules", alertsFile)
}

// The dashboard's expressions are PromQL, and its panels say what they show.
func TestDashboard(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	type group struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	var g group
	g.Name = "dashboard"
	for i, expr := range dashboardExpressions(t) {
		g.Rules = append(g.Rules, rule{fmt.Sprintf("panel:%d", i), expr})
	}
	for _, p := range dashboard(t).Panels {
		if p.Title == "" || p.Type != "row" && (p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}") {
			t.Errorf("panel %q lacks a title, a description, a unit or the variable data source", p.Title)
		}
	}
	text, err := json.Marshal(map[string][]group{"groups": {g}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}

const (
	alertsFile    = "../../templates/prometheus/alerts.yaml"
	dashboardFile = "../../templates/grafana/hangar.json"
)

// promtool runs Prometheus' own tool, which is to find nothing.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	need(t, "promtool")
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func parseMetrics(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// asksForWhatIsThere checks an expression against a scrape: its metrics exist,
// and have the labels and values by which it selects.
func asksForWhatIsThere(t *testing.T, expr string, families map[string]*dto.MetricFamily) {
	t.Helper()
	e, err := metricsql.Parse(expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return
	}
	selectors := 0
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		selectors++
		for _, filters := range m.LabelFilterss {
			name := filters[0].Value
			if name == "up" { // Prometheus' own
				continue
			}
			family := families[name]
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if base, cut := strings.CutSuffix(name, suffix); cut && families[base].GetType() == dto.MetricType_HISTOGRAM {
					family = families[base]
				}
			}
			if family == nil {
				t.Errorf("%s: there is no metric %s", expr, name)
				continue
			}
			for _, f := range filters[1:] {
				if !f.IsRegexp && !slices.ContainsFunc(family.Metric, func(m *dto.Metric) bool { return labelled(m, f.Label, f.Value) }) {
					t.Errorf("%s: no %s has %s=%q", expr, name, f.Label, f.Value)
				}
				if f.Label != "instance" && !slices.ContainsFunc(family.Metric[0].Label, func(l *dto.LabelPair) bool { return l.GetName() == f.Label }) {
					t.Errorf("%s: %s has no label %s", expr, name, f.Label)
				}
			}
		}
	})
	if selectors == 0 {
		t.Errorf("%s: asks for nothing", expr)
	}
}

func labelled(m *dto.Metric, name, value string) bool {
	return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name && l.GetValue() == value })
}

type alertRule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []alertRule }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("there are no alerts")
	}
	return rules
}

func alertExpressions(t *testing.T) (exprs []string) {
	t.Helper()
	for _, r := range alertRules(t) {
		exprs = append(exprs, r.Expr)
	}
	return exprs
}

// grafana is what is looked at of a dashboard.
type grafana struct {
	Panels []struct {
		Title, Type, Description string
		Datasource               struct{ UID string }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func dashboard(t *testing.T) (d grafana) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// dashboardExpressions are what panels and variables ask for, as PromQL: with
// an interval in place of Grafana's.
func dashboardExpressions(t *testing.T) (exprs []string) {
	t.Helper()
	d := dashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ",")
			exprs = append(exprs, metric)
		}
	}
	if len(exprs) == 0 {
		t.Fatal("the dashboard shows nothing")
	}
	return exprs
}
