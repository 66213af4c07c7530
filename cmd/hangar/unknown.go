package main

import (
	"cmp"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"hangar/state"
)

// others are those clouds of drone/autoscaler for which hangar has no settings, by
// what the names of their variables begin with.
var others = map[string]string{
	"DRONE_AMAZON_": "Amazon",
	"DRONE_GOOGLE_": "Google",
}

// belongings are variables of the Drone server, its runner and its command
// line, and what is to be set here instead of them.
var belongings = map[string]string{
	"DRONE_RPC_HOST":         "DRONE_SERVER_HOST",
	"DRONE_RPC_PROTO":        "DRONE_SERVER_PROTO",
	"DRONE_RPC_SECRET":       "DRONE_AGENT_TOKEN",
	"DRONE_SERVER":           "DRONE_SERVER_HOST and DRONE_SERVER_PROTO",
	"DRONE_TOKEN":            "DRONE_SERVER_TOKEN",
	"DRONE_RUNNER_CAPACITY":  "DRONE_AGENT_CONCURRENCY",
	"DRONE_RUNNER_LABELS":    "DRONE_AGENT_LABELS",
	"DRONE_RUNNER_NAME":      "DRONE_AGENT_NAME_PREFIX",
	"DRONE_PLATFORM_OS":      "DRONE_AGENT_OS",
	"DRONE_PLATFORM_ARCH":    "DRONE_AGENT_ARCH",
	"DRONE_PLATFORM_VARIANT": "DRONE_AGENT_VERSION",
	"DRONE_PLATFORM_KERNEL":  "DRONE_AGENT_KERNEL",
	"DRONE_HTTP_BIND":        "DRONE_HTTP_PORT",
	"DRONE_LOGS_COLOR":       "DRONE_LOGS_PRETTY",
}

// warnOfUnknown logs which variables have no effect, and what to do about them;
// never their values. What is passed on to the agents or to terraform has one.
func warnOfUnknown(log *slog.Logger, environ map[string]string) {
	passed := strings.FieldsFunc(environ["DRONE_AGENT_ENVIRON"]+","+environ["DRONE_TERRAFORM_ENV"], func(r rune) bool { return r == ',' || r == ' ' })
	names := map[string][]string{} // by cloud
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		cloud := cloudOf(name)
		switch {
		case strings.TrimSpace(environ[name]) == "" || slices.Contains(passed, name) || known(name):
		case cloud != "":
			names[cloud] = append(names[cloud], name)
		case belongings[name] != "":
			log.Warn("unknown setting; set "+belongings[name]+" instead", "name", name)
		case strings.HasPrefix(name, "DRONE_"):
			advice := "hangar serve --help lists the known ones"
			if near := nearest(name); near != "" {
				advice = "did you mean " + near + "?"
			} else if strings.HasPrefix(name, "DRONE_RUNNER_") {
				advice = "DRONE_AGENT_ENVIRON=" + name + " passes it on to the agents"
			}
			log.Warn("unknown setting; "+advice, "name", name)
		}
	}
	for _, cloud := range slices.Sorted(maps.Keys(names)) {
		log.Warn("settings of another cloud have no effect: hangar makes machines through Terraform modules; set DRONE_TERRAFORM_MODULE to a module of your own for it, or describe pools in a file that DRONE_POOLS_FILE names",
			"cloud", cloud, "names", strings.Join(names[cloud], ","))
	}
}

// warnOfUnused logs which settings are of modules that no pool uses.
func warnOfUnused(log *slog.Logger, environ map[string]string, pools []state.Pool) {
	used := func(to string) bool { // as the tags of Clouds tell it
		module, _, _ := strings.Cut(strings.TrimSpace(to), " ")
		return slices.ContainsFunc(pools, func(p state.Pool) bool {
			return slices.ContainsFunc(p.Candidates, func(k state.Candidate) bool { return k.Provider == module })
		})
	}
	var names []string
	for f := range reflect.TypeFor[Clouds]().Fields() {
		name, to := f.Tag.Get("env"), f.Tag.Get("to")
		if to != "" && strings.TrimSpace(environ[name]) != "" && !slices.ContainsFunc(strings.Split(to, ";"), used) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		log.Warn("settings of modules that no pool uses have no effect; DRONE_TERRAFORM_MODULE or a pools file says which module makes the servers", "names", strings.Join(names, ","))
	}
}

func cloudOf(name string) string {
	for prefix, cloud := range others {
		if strings.HasPrefix(name, prefix) {
			return cloud
		}
	}
	return ""
}

// nearest is the setting whose name is most like this one; empty: none is. What
// all names begin with does not count.
func nearest(name string) string {
	likeness := func(setting string) float64 {
		return levenshtein.Match(strings.TrimPrefix(name, "DRONE_"), strings.TrimPrefix(setting, "DRONE_"), nil)
	}
	best := slices.MaxFunc(settings(), func(a, b setting) int { return cmp.Compare(likeness(a.name), likeness(b.name)) })
	if likeness(best.name) < 0.84 {
		return ""
	}
	return best.name
}
