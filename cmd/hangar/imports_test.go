package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rules says, for each package of the house, which others it may import; and
// for each technology, which packages may use it. A prefix stands for all
// below it.
var (
	houseRules = map[string][]string{
		"hangar/state":                              {},
		"hangar/templates":                          {},
		"hangar/reconciler/scale":                   {"hangar/state"},
		"hangar/tfmodules":                          {"hangar/state", "hangar/templates"},
		"hangar/reconciler/drone":                   {"hangar/state", "hangar/reconciler/scale", "hangar/tfmodules", "hangar/templates"},
		"hangar/reconciler/terraform":               {"hangar/state", "hangar/reconciler/scale", "hangar/tfmodules", "hangar/templates"},
		"hangar/reconciler/terraform/terraformtest": {"hangar/reconciler/terraform"},
		"hangar/reconciler/agent":                   {"hangar/state", "hangar/reconciler/scale", "hangar/tfmodules", "hangar/templates"},
		"hangar/reconciler/notify":                  {"hangar/state"},
		"hangar/state/sqlite":                       {"hangar/state", "hangar/reconciler/scale", "hangar/tfmodules", "hangar/templates"},
		"hangar/reconciler":                         {"hangar/state", "hangar/reconciler/scale"},
		"hangar/reconciler/pools":                   {"hangar/state", "hangar/tfmodules"},
		"hangar/reconciler/certs":                   {},
		"hangar/reconciler/backup":                  {"hangar/state"},
		"hangar/reconciler/replay":                  {"hangar/state", "hangar/reconciler/scale", "hangar/reconciler/chart"},
		"hangar/reconciler/check":                   {"hangar/state"},
		"hangar/reconciler/api":                     {"hangar/state", "hangar/templates", "hangar/reconciler/session", "hangar/reconciler/chart", "hangar/reconciler/history"},
		"hangar/reconciler/session":                 {},
		"hangar/reconciler/chart":                   {},
		"hangar/reconciler/api/apitest":             {},
		"hangar/reconciler/history":                 {"hangar/state", "hangar/tfmodules"},
		"hangar/reconciler/metrics":                 {"hangar/state", "hangar/reconciler/scale"},
		"hangar/reconciler/simulator":               {"hangar/state", "hangar/reconciler/simulator/plugin"},
		"hangar/reconciler/simulator/plugin":        {},
		"hangar/reconciler/simulator/schematest":    {"hangar/reconciler/simulator/plugin"},
		"hangar/cmd/hangar":                         {"hangar/"},
	}
	technologyRules = map[string][]string{
		"github.com/gin-gonic/":               {"hangar/reconciler/api"},
		"database/sql":                        {"hangar/state/sqlite"},
		"github.com/mattn/go-sqlite3":         {"hangar/state/sqlite"},
		"github.com/hashicorp/terraform-exec": {"hangar/reconciler/terraform"},
		"github.com/hashicorp/terraform-json": {"hangar/reconciler/terraform"},
		"github.com/hashicorp/hc-install":     {"hangar/reconciler/terraform"},
		"golang.org/x/crypto/acme":            {"hangar/reconciler/certs"},
		"golang.org/x/time/rate":              {"hangar/reconciler", "hangar/reconciler/session"},
		"golang.org/x/crypto/ssh":             {"hangar/reconciler/agent", "hangar/reconciler/simulator"},
		"github.com/drone/drone-go":           {"hangar/reconciler/drone"},
		"github.com/hashicorp/hcl/":           {"hangar/tfmodules", "hangar/reconciler/pools"},
		"github.com/standard-webhooks/":       {"hangar/reconciler/notify"},
		"github.com/prometheus/":              {"hangar/reconciler/metrics"},
		"github.com/getkin/kin-openapi":       {"hangar/reconciler/api/apitest"},
		"github.com/hashicorp/terraform-plug": {"hangar/reconciler/simulator", "hangar/reconciler/simulator/plugin", "hangar/reconciler/simulator/schematest"},
	}
	// testRules are what tests may use beyond that.
	testRules = map[string][]string{
		"github.com/prometheus/":               {"hangar/cmd/hangar"},
		"github.com/VictoriaMetrics/metricsql": {"hangar/cmd/hangar"},
		"github.com/chromedp/":                 {"hangar/cmd/hangar", "hangar/reconciler/api"},
		"github.com/drone/drone-go":            {"hangar/reconciler/api", "hangar/cmd/hangar"},
	}
	standardOnly = []string{"hangar/state", "hangar/templates"}
	badNames     = []string{"utils", "common", "helpers", "types", "models", "pkg", "internal"}
)

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "hangar/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < len(houseRules) {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	for _, p := range packages {
		for _, broken := range breaches(p) {
			t.Error(broken)
		}
	}
}

// breaches lists the rules that a package breaks.
func breaches(p listed) (found []string) {
	allowed, ruled := houseRules[p.ImportPath]
	if !ruled {
		found = append(found, p.ImportPath+" is not in the design: add its rule or remove it")
	}
	for part := range strings.SplitSeq(p.ImportPath, "/") {
		if slices.Contains(badNames, part) {
			found = append(found, p.ImportPath+" has a name that says nothing")
		}
	}
	under := func(path string, prefixes []string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool {
			return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
		})
	}
	for _, i := range p.Imports {
		if strings.HasPrefix(i, "hangar/") && !slices.Contains(allowed, i) && !slices.Contains(allowed, "hangar/") {
			found = append(found, p.ImportPath+" may not import "+i)
		}
		if slices.Contains(standardOnly, p.ImportPath) && strings.Contains(strings.Split(i, "/")[0], ".") {
			found = append(found, p.ImportPath+" may import the standard library only, not "+i)
		}
		for technology, owners := range technologyRules {
			if strings.HasPrefix(i, technology) && !under(p.ImportPath, owners) {
				found = append(found, p.ImportPath+" may not use "+i)
			}
		}
	}
	for _, i := range append(p.TestImports, p.XTestImports...) {
		for technology, users := range testRules {
			if strings.HasPrefix(i, technology) && !under(p.ImportPath, users) && !under(p.ImportPath, technologyRules[technology]) {
				found = append(found, "tests of "+p.ImportPath+" may not use "+i)
			}
		}
	}
	return found
}

// The rules can be broken: a breach of each kind is found.
func TestImportRulesBite(t *testing.T) {
	for _, p := range []listed{
		{ImportPath: "hangar/reconciler/scale", Imports: []string{"hangar/state/sqlite"}},
		{ImportPath: "hangar/reconciler", Imports: []string{"hangar/reconciler/terraform"}},
		{ImportPath: "hangar/reconciler", Imports: []string{"database/sql"}},
		{ImportPath: "hangar/state", Imports: []string{"github.com/google/uuid"}},
		{ImportPath: "hangar/reconciler/scale", TestImports: []string{"github.com/drone/drone-go/drone"}},
		{ImportPath: "hangar/utils"},
	} {
		if len(breaches(p)) == 0 {
			t.Errorf("%+v breaks a rule and is not found", p)
		}
	}
}
