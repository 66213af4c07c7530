package main

import (
	"bytes"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hangar/state"
)

var warned = regexp.MustCompile(`level=WARN msg="([^"]*)" (.*)`)

// Every variable without an effect is told once, with what to do about it, and
// without its value.
func TestUnknownSettings(t *testing.T) {
	environ := guide("PATH=hush", "DRONE_ENABLE_REAPER=hush", "DRONE_AGENT_ENVIRON=DRONE_RUNNER_ENVIRON,HTTP_PROXY", "DRONE_TERRAFORM_ENV=OS_REGION_NAME",
		"DRONE_RUNNER_ENVIRON=hush", "OS_REGION_NAME=hush", "DRONE_GITHUB_SERVER= ")
	warnings := func(more ...string) (got []string) {
		environ := maps.Clone(environ)
		for _, m := range more {
			name, value, _ := strings.Cut(m, "=")
			environ[name] = value
		}
		var log bytes.Buffer
		warnOfUnknown(slog.New(slog.NewTextHandler(&log, nil)), environ)
		if strings.Contains(log.String(), "hush") {
			t.Errorf("a value is told:\n%s", &log)
		}
		for _, m := range warned.FindAllStringSubmatch(log.String(), -1) {
			got = append(got, m[2]+": "+m[1])
		}
		return got
	}
	if got := warnings(); len(got) > 0 {
		t.Errorf("warnings of what has an effect: %q", got)
	}
	for _, tt := range []struct {
		set  []string
		want []string
	}{
		{[]string{"DRONE_POOL_MX=hush"}, []string{"name=DRONE_POOL_MX: unknown setting; did you mean DRONE_POOL_MAX?"}},
		{[]string{"DRONE_RUNNER_VOLUME=hush"}, []string{"name=DRONE_RUNNER_VOLUME: unknown setting; did you mean DRONE_RUNNER_VOLUMES?"}},
		{[]string{"DRONE_COOKIE_SECRET=hush"}, []string{"name=DRONE_COOKIE_SECRET: unknown setting; hangar serve --help lists the known ones"}},
		{[]string{"DRONE_RPC_SECRET=hush"}, []string{"name=DRONE_RPC_SECRET: unknown setting; set DRONE_AGENT_TOKEN instead"}},
		{[]string{"DRONE_RUNNER_CAPACITY=hush"}, []string{"name=DRONE_RUNNER_CAPACITY: unknown setting; set DRONE_AGENT_CONCURRENCY instead"}},
		{[]string{"DRONE_RUNNER_LABELS=hush"}, []string{"name=DRONE_RUNNER_LABELS: unknown setting; set DRONE_AGENT_LABELS instead"}},
		{[]string{"DRONE_RUNNER_NAME=hush"}, []string{"name=DRONE_RUNNER_NAME: unknown setting; set DRONE_AGENT_NAME_PREFIX instead"}},
		{[]string{"DRONE_RUNNER_MAX_PROCS=hush"}, []string{"name=DRONE_RUNNER_MAX_PROCS: unknown setting; DRONE_AGENT_ENVIRON=DRONE_RUNNER_MAX_PROCS passes it on to the agents"}},
		{[]string{"DRONE_GOOGLE_ZONE=hush", "DRONE_AMAZON_TAGS=hush", "DRONE_AMAZON_IMAGE=hush"}, []string{
			"cloud=Amazon names=DRONE_AMAZON_IMAGE,DRONE_AMAZON_TAGS: settings of another cloud have no effect",
			"cloud=Google names=DRONE_GOOGLE_ZONE: settings of another cloud have no effect"}},
		{[]string{"DRONE_SCALEWAY_ZONEE=hush"}, []string{"name=DRONE_SCALEWAY_ZONEE: unknown setting; did you mean DRONE_SCALEWAY_ZONE?"}},
	} {
		if got := warnings(tt.set...); !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("%v:\n got %q\nwant %q", tt.set, got, tt.want)
		}
	}
	for name, instead := range belongings {
		if known(name) {
			t.Errorf("%s is a setting, and is said to be none", name)
		}
		for setting := range strings.SplitSeq(instead, " and ") {
			if !known(setting) {
				t.Errorf("%s: %s is no setting", name, setting)
			}
		}
	}
}

func TestUnused(t *testing.T) {
	environ := guide("DRONE_HETZNERCLOUD_TYPE=cx43", "DRONE_SCALEWAY_SIZE=EM-A115X-SSD", "DRONE_SCALEWAY_DYNAMIC_IP=true", "DRONE_HETZNERCLOUD_IMAGE= ")
	for _, tt := range []struct {
		used []string
		want string // the names; empty: no warning
	}{
		{[]string{"packet"}, "DRONE_HETZNERCLOUD_TYPE,DRONE_SCALEWAY_SIZE,DRONE_SCALEWAY_DYNAMIC_IP"},
		{[]string{"packet", "scaleway-baremetal"}, "DRONE_HETZNERCLOUD_TYPE,DRONE_SCALEWAY_DYNAMIC_IP"},
		{[]string{"scaleway", "hetznercloud"}, ""},
	} {
		var pools []state.Pool
		for _, module := range tt.used {
			pools = append(pools, state.Pool{Candidates: []state.Candidate{{Provider: module}}})
		}
		var log bytes.Buffer
		warnOfUnused(slog.New(slog.NewTextHandler(&log, nil)), environ, pools)
		if got := log.String(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("pools of %v: %q, want %q", tt.used, got, tt.want)
		}
	}
}
