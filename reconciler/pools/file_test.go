package pools

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// environment is one as the settings make it.
func environment() Environment {
	return Environment{
		Pool: state.Pool{
			Name: "default", Min: 2, Max: 4, Concurrency: 2, NamePrefix: "agent-", MaxUnavailable: 1,
			Platform: state.Platform{OS: "linux", Arch: "amd64"}, Labels: map[string]string{"all": "yes"}, MinAge: 55 * time.Minute, Idle: 10 * time.Minute,
		},
		Module:     "packet",
		Settings:   map[string]map[string]any{"packet": {"project_id": "p-1", "image": "ubuntu_24_04"}},
		Candidates: map[string][]map[string]any{"packet": {{"facility": "ewr1", "plan": "small"}, {"facility": "ewr1", "plan": "large"}}},
		Has: func(name string) error {
			if name != "KEY" && name != "OTHER" {
				return errors.New("env: hangar has no variable " + name)
			}
			return nil
		},
		Agent: func(p state.Pool) string { return p.Platform.Arch },
	}
}

func parse(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Parse([]byte(text), "pools.hcl", environment())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// mine makes a folder with a module in it that needs the setting size.
func mine(t *testing.T, dir, name string) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "main.tf"), []byte(`
variable "devices" {}
variable "size" {}
variable "labels" {
  default = {}
}
resource "terraform_data" "server" {
  for_each = var.devices
  lifecycle {
    ignore_changes = all
  }
}
output "devices" {
  value = {}
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestPoolOfTheEnvironment(t *testing.T) {
	set, err := environment().One()
	if err != nil {
		t.Fatal(err)
	}
	r := set.At(time.Now())
	p := r.Pools[0]
	if len(r.Pools) != 1 || r.Max != 0 || p.Name != "default" || p.Max != 4 || len(p.Candidates) != 2 || len(set.Modules) != 1 {
		t.Fatalf("%+v", r)
	}
	k := p.Candidates[1]
	if k.Name != "ewr1/large" || k.Provider != "packet" || k.Resource != "equinix_metal_device.server" || k.Settings["plan"] != "large" || k.Settings["project_id"] != "p-1" || k.Spec == "" || k.Spec == p.Candidates[0].Spec {
		t.Errorf("%+v", k)
	}
}

func TestFile(t *testing.T) {
	set := parse(t, `
max = 20

pool "amd" {
  max    = 6
  buffer = 1
  idle   = "1m"
}

pool "arm" {
  min           = 0
  concurrency   = 4
  labels        = { size = "large" }
  static        = ["agent-in-the-cellar"]
  min_age       = "0s"
  billing       = "1h"
  create_budget = 5
  price         = 0.5
  budget        = 24
  env           = ["KEY"]
  settings      = { image = "debian_12", project_ssh_key_ids = ["a", "b"] }
  platform {
    arch    = "arm64"
    variant = "v8"
  }
  rollout {
    max_surge = 2
  }
  candidate {
    metro                   = "ny"
    hardware_reservation_id = "next-available"
  }
  candidate {
    facility = "sjc1"
    plan     = "large"
    price    = 2.5
  }
}
`)
	r := set.At(time.Now())
	amd, arm := r.Pools[0], r.Pools[1]
	if r.Max != 20 || amd.Name != "amd" || amd.Min != 2 || amd.Max != 6 || amd.Buffer != 1 || amd.Idle != time.Minute || amd.MinAge != 55*time.Minute ||
		amd.Labels["all"] != "yes" || len(amd.Candidates) != 2 || amd.MaxUnavailable != 1 || amd.MaxSurge != 0 || amd.CreateBudget != 18 {
		t.Errorf("amd %+v", amd)
	}
	if arm.Min != 0 || arm.Max != 4 || arm.Concurrency != 4 || arm.Labels["all"] != "" || arm.Labels["size"] != "large" || !slices.Equal(arm.Static, []string{"agent-in-the-cellar"}) ||
		arm.MinAge != 0 || arm.BillingPeriod != time.Hour || arm.CreateBudget != 5 || arm.Budget != 24 || arm.MaxUnavailable != 0 || arm.MaxSurge != 2 ||
		arm.Platform != (state.Platform{OS: "linux", Arch: "arm64", Variant: "v8"}) || arm.NamePrefix != "agent-" {
		t.Errorf("arm %+v", arm)
	}
	ny, sjc := arm.Candidates[0], arm.Candidates[1]
	if ny.Name != "ny/next-available" || ny.Price != 0.5 || ny.Settings["facility"] != nil || ny.Settings["metro"] != "ny" || ny.Settings["plan"] != "small" ||
		ny.Settings["image"] != "debian_12" || ny.Settings["project_id"] != "p-1" || len(ny.Settings["project_ssh_key_ids"].([]any)) != 2 {
		t.Errorf("ny %+v", ny)
	}
	if sjc.Name != "sjc1/large" || sjc.Price != 2.5 || sjc.Settings["facility"] != "sjc1" {
		t.Errorf("sjc1 %+v", sjc)
	}
	if !slices.Equal(set.Env["packet"], []string{"KEY"}) || len(set.Modules) != 1 {
		t.Errorf("env %v, modules %v", set.Env, set.Modules)
	}
}

func TestModulesOfOnesOwn(t *testing.T) {
	dir := t.TempDir()
	mine(t, dir, "hall")
	path := filepath.Join(dir, "pools.hcl")
	set, err := Parse([]byte(`
pool "big" {
  env = ["KEY"]
  candidate {
    hardware_reservation_id = "next-available"
  }
  candidate {
    module = "./hall"
    size   = "large"
    labels = { rack = 7 }
  }
}
pool "small" {
  module   = "./hall"
  settings = { size = "small" }
  env      = ["OTHER"]
}
`), path, environment())
	if err != nil {
		t.Fatal(err)
	}
	pools := set.At(time.Now()).Pools
	k := pools[0].Candidates[1]
	if k.Name != "hall/large" || k.Provider != "hall" || k.Resource != "terraform_data.server" || len(k.Settings) != 2 || k.Settings["labels"].(map[string]any)["rack"] != 7.0 {
		t.Errorf("%+v", k)
	}
	k = pools[1].Candidates[0]
	if k.Name != "hall" || k.Settings["size"] != "small" || len(pools[1].Candidates) != 1 {
		t.Errorf("%+v", k)
	}
	if !slices.Equal(set.Env["packet"], []string{"KEY"}) || !slices.Equal(set.Env["hall"], []string{"OTHER"}) || len(set.Modules) != 2 {
		t.Errorf("env %v, modules %v", set.Env, set.Modules)
	}

	// By two references, with variables of a candidate's own, and a name that
	// tells no secret.
	_, err = Parse([]byte(`
pool "a" {
  module   = "./hall"
  settings = { size = "s" }
  env      = ["KEY"]
}
pool "b" {
  candidate {
    plan = "small"
  }
  candidate {
    module = "./hall/"
    size   = "s"
    token  = "correct-horse"
    env    = ["OTHER"]
  }
}
`), path, environment())
	if err == nil || !strings.Contains(err.Error(), "module hall has no setting token") {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hall", "token.tf"), []byte("variable \"token\" {\n  default = null\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err = Parse([]byte("pool \"a\" {\n module = \"./hall\"\n settings = { size = 1 }\n env = [\"KEY\"]\n}\npool \"b\" {\n candidate {\n module = \"./hall/\"\n size = \"s\"\n token = \"correct-horse\"\n env = [\"OTHER\"]\n }\n}\n"), path, environment())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Env["hall"], []string{"KEY", "OTHER"}) || len(set.Modules) != 1 || set.At(time.Now()).Pools[1].Candidates[0].Name != "hall/s" {
		t.Errorf("env %v, modules %v, %+v", set.Env, set.Modules, set.At(time.Now()).Pools[1].Candidates)
	}
}

// A server is outdated when what its pool makes servers of has changed, and by
// nothing else.
func TestSpec(t *testing.T) {
	spec := func(text string) string {
		t.Helper()
		return parse(t, text).At(time.Now()).Pools[0].Candidates[0].Spec
	}
	was := spec(`pool "a" {}`)
	for _, same := range []string{`pool "a" { max = 3 }`, `pool "a" { idle = "1m" }`, `pool "a" { price = 1 }`} {
		if spec(same) != was {
			t.Errorf("%s: another one", same)
		}
	}
	for _, other := range []string{
		`pool "a" { settings = { image = "debian_12" } }`, `pool "a" { concurrency = 3 }`,
		"pool \"a\" {\n platform {\n arch = \"arm64\"\n }\n }", "pool \"a\" {\n candidate {\n plan = \"other\"\n }\n }",
	} {
		if spec(other) == was {
			t.Errorf("%s: the same", other)
		}
	}
	dir := t.TempDir()
	folder := mine(t, dir, "hall")
	e := environment()
	e.Module, e.Settings = folder, map[string]map[string]any{"hall": {"size": "s"}}
	first, err := e.One()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "more.tf"), []byte(`variable "x" { default = 1 }`), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := e.One()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.At(time.Now()).Pools[0].Candidates[0], second.At(time.Now()).Pools[0].Candidates[0]; a.Spec == b.Spec {
		t.Error("a changed module of one's own: the same")
	}
}

// Each mistake is told with its place, all at once.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	mine(t, dir, "hall")
	text := `max = 0
pool "A" {}
pool "b" {
  min = 5
}
pool "b" {
  concurrency = 0
  idle        = "soon"
  billing     = "-1h"
  colour      = "red"
}
pool "c" {
  module = "packt"
}
pool "d" {
  candidate {
    facilty = "ewr1"
  }
  candidate {
    facility = "ewr1"
    metro    = "ny"
  }
  candidate {
    module = "./hall"
  }
}
pool "e" {
  schedule "night" {
    cron     = "* 25 * * *"
    timezone = "UTC"
  }
  schedule "day" {
    cron     = "often"
    timezone = "Europe/Atlantis"
  }
  schedule "week" {
    cron     = "* * * * sat,sun"
    timezone = "UTC"
    min      = 9
  }
}
pool "f" {
  static = ["cellar", "cellar"]
  budget = 10
  env    = ["NOWHERE"]
  rollout {
    max_unavailable = 0
  }
}
pool "g" {
  static = ["cellar"]
  max    = "many"
}
`
	_, err := Parse([]byte(text), filepath.Join(dir, "pools.hcl"), environment())
	var got Mistakes
	if !errors.As(err, &got) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		"1,1: max: want 1 or more",
		`2,1: pool "A": want lower case letters`,
		"4,3: min = 5 is above max = 4",
		`6,1: pool "b" is there twice`,
		"7,3: concurrency: want 1 or more",
		`8,3: idle = "soon": want a duration`,
		`9,3: billing = "-1h": want a duration`,
		`10,3: An argument named "colour" is not expected here`,
		`13,3: module "packt" does not come with hangar; it has digitalocean, hetznercloud, latitude, openstack, packet, scaleway, scaleway-baremetal, vultr, vultr-instance; the folder of one of your own begins with ./ or /`,
		"17,5: module packet has no setting facilty; it has ",
		"19,3: candidate: metro stands instead of facility",
		"23,3: module hall: setting size is missing",
		`29,5: schedule "night": cron = "* 25 * * *": want five fields`,
		`33,5: schedule "day": cron = "often": want five fields`,
		`34,5: schedule "day": timezone = "Europe/Atlantis": want the name of a time zone`,
		`39,5: schedule "week": min = 9 is above max = 4`,
		"43,3: static: names one twice",
		"44,3: budget: the price of a server at ewr1/small is not told",
		"45,3: env: hangar has no variable NOWHERE",
		"46,3: rollout: want max_unavailable or max_surge",
		"51,3: static: cellar is counted in pool f already",
		"52,13: Unsuitable value: a number is required",
	} {
		if !slices.ContainsFunc(got, func(m string) bool { return strings.HasPrefix(m, filepath.Join(dir, "pools.hcl")+":"+want) }) {
			t.Errorf("nothing begins with %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	for text, want := range map[string]string{
		`pool "a" {`:                          "pools.hcl:1,",
		``:                                    "pools.hcl:1,1: there is no pool",
		`pond "a" {}`:                         `pools.hcl:1,1: Blocks of type "pond" are not expected here`,
		"pool \"a\" {\n min = var.small\n}":   "pools.hcl:2,8: ",
		"pool \"a\" {\n schedule \"x\" {}\n}": `pools.hcl:2,`,
	} {
		if _, err := Parse([]byte(text), "pools.hcl", environment()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Mistakes that show only when all else is in order, or depend on more than one
// place.
func TestMistakesOfTheWhole(t *testing.T) {
	for text, want := range map[string]string{
		"max = 3\npool \"a\" {}\npool \"b\" {}":                                                         "pools.hcl:1,1: max = 3 is below the sum of the pools' minimums, 4",
		"pool \"a\" {\n min = 4\n rollout {\n max_surge = 1\n }\n}":                                     "pools.hcl:3,2: rollout: nothing can be made ahead",
		"pool \"a\" {\n static = [\"\"]\n}":                                                             "pools.hcl:2,2: static: want the Drone names",
		"pool \"a\" {\n schedule \"x\" {\n cron = \"\"\n timezone = \"\"\n }\n}":                        "pools.hcl:3,2: schedule \"x\": cron = \"\"",
		"pool \"a\" {\n schedule \"x\" {\n cron = \"* 0-23,99 * * *\"\n timezone = \"UTC\"\n }\n}":      "pools.hcl:3,2: schedule \"x\": cron = ",
		"pool \"a\" {\n settings = { imagee = 1 }\n candidate {\n plan = \"x\"\n }\n}":                  "pools.hcl:3,2: module packet: setting imagee is unknown",
		"pool \"a\" {\n settings = { imagee = 1 }\n}":                                                   "pools.hcl:1,1: module packet: setting imagee is unknown",
		"pool \"a\" {\n settings = 3\n}":                                                                "pools.hcl:2,13: settings: want { name = value, ... }",
		"pool \"a\" {\n candidate {\n plan = \"x\"\n }\n candidate {\n plan = \"x\"\n price = 2\n }\n}": "pools.hcl:5,2: candidate x is there twice",
		"pool \"a\" {\n candidate {\n plan = \"x\"\n env = [\"NOWHERE\"]\n }\n}":                        "pools.hcl:4,2: env: hangar has no variable NOWHERE",
		"pool \"a\" {\n create_budget = 0\n}":                                                           "pools.hcl:2,2: create_budget: want 1 or more",
		"pool \"a\" {\n price = -1\n}":                                                                  "pools.hcl:2,2: price: want what a server costs",
		"pool \"a\" {\n schedule \"x\" {\n cron = \"* * * * *\"\n timezone = \"UTC\"\n }\n schedule \"x\" {\n cron = \"* * * * *\"\n timezone = \"UTC\"\n }\n}": "pools.hcl:6,2: schedule \"x\" is there twice",
	} {
		if _, err := Parse([]byte(text), "pools.hcl", environment()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// What a pool says goes before what the environment says of places; facility and
// metro stand for each other.
func TestSettingsOfAPoolCount(t *testing.T) {
	for text, want := range map[string][]string{
		`pool "a" { settings = { plan = "huge" } }`:                                           {"ewr1/huge"},
		`pool "a" { settings = { metro = "ny" } }`:                                            {"ny/small", "ny/large"},
		`pool "a" { settings = { metro = "ny", plan = "huge" } }`:                             {"ny/huge"},
		"pool \"a\" {\n settings = { metro = \"ny\" }\n candidate {\n plan = \"huge\"\n }\n}": {"huge"},
	} {
		var names []string
		for _, k := range parse(t, text).At(time.Now()).Pools[0].Candidates {
			names = append(names, k.Name)
			if (k.Settings["facility"] == nil) == (k.Settings["metro"] == nil) {
				t.Errorf("%s: settings %v", text, k.Settings)
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: candidates %v, want %v", text, names, want)
		}
	}
}

func TestCreateBudgetFollowsTheMaximum(t *testing.T) {
	always := "schedule \"x\" {\n cron = \"* * * * *\"\n timezone = \"UTC\"\n max = 20\n }\n"
	for text, want := range map[string]int{
		"pool \"a\" {\n max = 5\n}":                                    15,
		"pool \"a\" {\n max = 5\n " + always + "}":                     60,
		"pool \"a\" {\n max = 5\n create_budget = 7\n " + always + "}": 7,
	} {
		if got := parse(t, text).At(time.Now()).Pools[0].CreateBudget; got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	e := environment()
	e.Pool.CreateBudget = 12
	set, err := Parse([]byte(`pool "a" { max = 40 }`), "pools.hcl", e)
	if err != nil || set.At(time.Now()).Pools[0].CreateBudget != 12 {
		t.Errorf("%v: the environment's does not count", err)
	}
}

// A schedule applies by the clock of its zone, also on the days on which that
// leaps: on 29 March 2026 Vienna has no 02:30, on 25 October it has two.
func TestSchedules(t *testing.T) {
	set := parse(t, `
pool "a" {
  min = 0
  schedule "workdays" {
    cron     = "* 8-17 * * mon-fri"
    timezone = "Europe/Vienna"
    min      = 3
    max      = 9
  }
  schedule "small hours" {
    cron     = "* 2 * * *"
    timezone = "Europe/Vienna"
    buffer   = 1
  }
}
`)
	for at, want := range map[string]string{
		"2026-03-27T06:59:59Z": "",         // Friday, 07:59 CET
		"2026-03-27T07:00:00Z": "workdays", // 08:00 CET
		"2026-03-27T16:59:59Z": "workdays",
		"2026-03-27T17:00:00Z": "",
		"2026-03-28T10:00:00Z": "", // Saturday
		"2026-03-30T05:59:59Z": "", // Monday, 07:59 CEST
		"2026-03-30T06:00:00Z": "workdays",
		"2026-03-30T15:59:59Z": "workdays",
		"2026-03-30T16:00:00Z": "",

		"2026-03-28T01:30:00Z": "small hours", // 02:30 CET
		"2026-03-29T00:59:59Z": "",            // 01:59 CET
		"2026-03-29T01:00:00Z": "",            // 03:00 CEST: there was no 02
		"2026-10-25T00:30:00Z": "small hours", // 02:30 CEST
		"2026-10-25T01:30:00Z": "small hours", // 02:30 CET, once more
		"2026-10-25T02:00:00Z": "",            // 03:00 CET
	} {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		p := set.At(instant).Pools[0]
		min, max, buffer := 0, 4, 0
		switch want {
		case "workdays":
			min, max = 3, 9
		case "small hours":
			buffer = 1
		}
		if p.Schedule != want || p.Min != min || p.Max != max || p.Buffer != buffer {
			t.Errorf("%s: %q, %d to %d, buffer %d; want %q", at, p.Schedule, p.Min, p.Max, p.Buffer, want)
		}
	}
}

// Servers stay as long as they are paid for, where nobody says otherwise.
func TestBilledByTheHour(t *testing.T) {
	e := environment()
	e.Billed = func(k state.Candidate) Billing {
		if k.Provider == "packet" && k.Settings["billing_cycle"] != "monthly" {
			return Billing{Period: time.Hour}
		}
		return Billing{}
	}
	one, err := e.One()
	if err != nil {
		t.Fatal(err)
	}
	folder := mine(t, t.TempDir(), "mine")
	set, err := Parse([]byte(`
pool "paid" {}
pool "idle" { idle = "5m" }
pool "age" { min_age = "5m" }
pool "billing" { billing = "0s" }
pool "monthly" { settings = { billing_cycle = "monthly" } }
pool "own" {
  module   = "`+folder+`"
  settings = { size = "s" }
}
pool "mixed" {
  candidate {
    facility = "ewr1"
    plan     = "small"
  }
  candidate {
    module = "`+folder+`"
    size   = "s"
  }
}
`), "pools.hcl", e)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	for _, tt := range []struct {
		pool          state.Pool
		billing, idle time.Duration
	}{
		{one.At(at).Pool("default"), time.Hour, 0},
		{set.At(at).Pool("paid"), time.Hour, 0},
		{set.At(at).Pool("idle"), 0, 5 * time.Minute},
		{set.At(at).Pool("age"), 0, 10 * time.Minute},
		{set.At(at).Pool("billing"), 0, 10 * time.Minute},
		{set.At(at).Pool("monthly"), 0, 10 * time.Minute},
		{set.At(at).Pool("own"), 0, 10 * time.Minute},
		{set.At(at).Pool("mixed"), 0, 10 * time.Minute},
	} {
		if tt.pool.BillingPeriod != tt.billing || tt.pool.Idle != tt.idle {
			t.Errorf("pool %s: billing %s, idle %s; want %s, %s", tt.pool.Name, tt.pool.BillingPeriod, tt.pool.Idle, tt.billing, tt.idle)
		}
	}
}
