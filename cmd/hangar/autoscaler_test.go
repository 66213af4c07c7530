package main

import (
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/joho/godotenv"

	"hangar/reconciler/simulator"
	"hangar/reconciler/terraform"
	"hangar/state"
)

// autoscalerNames are the variables that drone/autoscaler reads (its
// config/config.go and load.go), but for those of other clouds.
func autoscalerNames(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/autoscaler.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

var row = regexp.MustCompile("(?m)^\\| (`[^|]+) \\| ([a-z ]+) \\|[^|]*\\|$")

// The README says of every variable of drone/autoscaler what becomes of it.
func TestReadmeComingFrom(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "### Coming from drone/autoscaler\n")
	if !ok {
		t.Fatal("the README has no section for those who come from drone/autoscaler")
	}
	section, _, _ = strings.Cut(section, "\n#")
	var named []string
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			name = strings.Trim(name, "`")
			named = append(named, name)
			if !slices.Contains([]string{"same", "better", "no effect"}, m[2]) {
				t.Errorf("%s is %q: want same, better or no effect", name, m[2])
			}
			if !known(name) {
				t.Errorf("%s is %s, and no setting", name, m[2])
			}
		}
	}
	slices.Sort(named)
	names := autoscalerNames(t)
	for _, name := range named {
		if !slices.Contains(names, name) {
			t.Errorf("the table names %s, which drone/autoscaler does not know", name)
		}
	}
	for _, name := range names {
		if !slices.Contains(named, name) {
			t.Errorf("the table does not name %s", name)
		}
	}
	if len(slices.Compact(slices.Clone(named))) < len(named) {
		t.Errorf("the table names one twice: %v", named)
	}
}

// An environment as a user of drone/autoscaler has it works without a change,
// and every variable in it does what it did there.
func TestAutoscalerEnvironment(t *testing.T) {
	needTerraform(t)
	environ, err := godotenv.Read("testdata/autoscaler.env")
	if err != nil {
		t.Fatal(err)
	}
	environ["HTTP_PROXY"], environ["PATH"] = "http://proxy.company.com", pathOf(t)
	for _, name := range autoscalerNames(t) {
		if alone := slices.Contains([]string{"DRONE_TLS_AUTOCERT", "DRONE_PACKET_USERDATA", "DRONE_PACKET_USERDATA_FILE", "DRONE_ENABLE_PINGER", "DRONE_ENABLE_REAPER"}, name); alone == (environ[name] != "") {
			t.Errorf("%s is in the file: %t", name, environ[name] != "")
		}
	}
	c, err := parseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	warnOfUnknown(newLog(log, Config{}), environ)
	if log.String() != "" {
		t.Errorf("warnings of variables of drone/autoscaler:\n%s", log)
	}
	if c.DatabaseDriver != "sqlite3" || c.databasePath() != "/data/database.sqlite" || c.listen() != ":8443" {
		t.Errorf("database %s, listens at %s", c.databasePath(), c.listen())
	}

	// The same, as far as it can be had here.
	mirror, data := t.TempDir()+"/mirror", t.TempDir()
	if err := simulator.Mirror(mirror, quick); err != nil {
		t.Fatal(err)
	}
	tls, _ := pair(t)
	for _, set := range append(tls, "DRONE_TERRAFORM_MIRROR="+mirror, "DRONE_DATA="+data, "DRONE_HTTP_PORT=127.0.0.1:0",
		"DRONE_DATABASE_DATASOURCE="+data+"/drone.sqlite?cache=shared&mode=rwc&_busy_timeout=9999999") {
		name, value, _ := strings.Cut(set, "=")
		environ[name] = value
	}
	if c, err = parseConfig(environ); err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), c, environ, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	runner := s.keeper.Folders.(*terraform.Runner)
	pools := s.pools.At(time.Now()).Pools
	if len(pools) != 1 || len(pools[0].Candidates) != 1 {
		t.Fatalf("pools %+v", pools)
	}
	pool, settings := pools[0], pools[0].Candidates[0].Settings
	userData, err := runner.UserData(state.Server{Name: "metal-b", Pool: pool.Name, Capacity: pool.Concurrency})
	if err != nil {
		t.Fatal(err)
	}
	born := func(line string) bool { return strings.Contains(string(userData), line) }
	found := func(path string) bool { _, err := os.Stat(path); return err == nil }
	logs := func(c Config, level slog.Level) bool { return newLog(log, c).Enabled(t.Context(), level) }
	plain, debug := c, c
	plain.PacketHostname, debug.LogsTrace = "", false

	checked := map[string]bool{}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"DRONE_POOL_MIN", pool.Min, 1},
		{"DRONE_POOL_MAX", pool.Max, 6},
		{"DRONE_POOL_MIN_AGE", pool.MinAge, 45 * time.Minute},
		{"DRONE_CAPACITY_BUFFER", pool.Buffer, 3},
		{"DRONE_INTERVAL", s.reconciler.Interval, time.Minute},
		{"DRONE_TIMEOUT_STOP", s.reconciler.Overdue, 2 * time.Hour},
		{"DRONE_SERVER_PROTO", born("DRONE_RPC_PROTO=https\n"), true},
		{"DRONE_SERVER_HOST", born("DRONE_RPC_HOST=drone.company.com\n"), true},
		{"DRONE_SERVER_TOKEN", slices.Contains(runner.Secrets, "633eb230f5"), true}, // it is used in TestServeTurnsStagesIntoDevicesAndBack
		{"DRONE_AGENT_TOKEN", born("DRONE_RPC_SECRET=f5064039f5\n"), true},
		{"DRONE_AGENT_IMAGE", born("drone/drone-runner-docker:1.8.3"), true},
		{"DRONE_AGENT_CONCURRENCY", born("DRONE_RUNNER_CAPACITY=4\n"), true},
		{"DRONE_AGENT_OS", pool.Platform.OS, "linux"},
		{"DRONE_AGENT_ARCH", pool.Platform.Arch, "arm64"},
		{"DRONE_AGENT_VERSION", pool.Platform.Variant, "v8"},
		{"DRONE_AGENT_KERNEL", pool.Platform.Kernel, "5.4"},
		{"DRONE_AGENT_LABELS", pool.Labels, map[string]string{"size": "large", "team": "a"}},
		{"DRONE_AGENT_LABELS", born("DRONE_RUNNER_LABELS=size:large,team:a\n"), true},
		{"DRONE_AGENT_ENVIRON", born("DRONE_TRACE=true\n") && born("HTTP_PROXY=http://proxy.company.com\n"), true},
		{"DRONE_AGENT_ENV_FILE", born("NO_PROXY=company.com\n"), true},
		{"DRONE_AGENT_VOLUMES", born("--volume /srv/cache:/cache "), true},
		{"DRONE_AGENT_PUBLISHED_PORTS", born("--publish 8080:80 "), true},
		{"DRONE_AGENT_NAME_PREFIX", plain.poolEnvironment(environ, &agents{}).Pool.NamePrefix, "builder-"},
		{"DRONE_RUNNER_VOLUMES", born("DRONE_RUNNER_VOLUMES=/srv/mirror:/mirror\n"), true},
		{"DRONE_RUNNER_DEVICES", born("DRONE_RUNNER_DEVICES=/dev/kvm:/dev/kvm\n"), true},
		{"DRONE_RUNNER_PRIVILEGED", born("DRONE_RUNNER_PRIVILEGED_IMAGES=plugins/docker\n"), true},
		{"DRONE_RUNNER_ENVFILE", born("DRONE_RUNNER_ENV_FILE=/etc/builds.env\n"), true},
		{"DRONE_PACKET_APIKEY", runner.Keys()["packet"]["METAL_AUTH_TOKEN"], "12345678"},
		{"DRONE_PACKET_PROJECT_ID", settings["project_id"], "5b590e4f-be96-4400-ae32-c315ee67964d"},
		{"DRONE_PACKET_FACILITY", settings["facility"], "sjc1"},
		{"DRONE_PACKET_PLAN", settings["plan"], "c2.large.arm"},
		{"DRONE_PACKET_OS", settings["image"], "ubuntu_22_04"},
		{"DRONE_PACKET_TAGS", runner.ExtraTags["packet"], []string{"drone", "agent", "prod"}},
		{"DRONE_PACKET_SSHKEY", settings["project_ssh_key_ids"], []any{"1ca7a1a3-3f23-4d0a-b6a1-6a1f0d9c3c3e"}},
		{"DRONE_PACKET_HOSTNAME", pool.NamePrefix, "metal-"},
		{"DRONE_INSTALL_CHECK_INTERVAL", s.agents.Check, 30 * time.Second},
		{"DRONE_INSTALL_CHECK_DEADLINE", s.agents.Deadline, 20 * time.Minute},
		{"DRONE_GC_ENABLED", born("--name drone-gc "), true},
		{"DRONE_GC_IMAGE", born("\n        example/gc"), true},
		{"DRONE_GC_DEBUG", born("GC_DEBUG=true "), true},
		{"DRONE_GC_IGNORE_IMAGES", born("'GC_IGNORE_IMAGES=plugins/*,golang' "), true},
		{"DRONE_GC_INTERVAL", born("GC_INTERVAL=5m0s "), true},
		{"DRONE_GC_CACHE", born("GC_CACHE=20gb "), true},
		{"DRONE_WATCHTOWER_ENABLED", born("--name watchtower "), true},
		{"DRONE_WATCHTOWER_IMAGE", born("\n        example/watchtower"), true},
		{"DRONE_WATCHTOWER_INTERVAL", born("WATCHTOWER_POLL_INTERVAL=600 "), true},
		{"DRONE_WATCHTOWER_TIMEOUT", born("WATCHTOWER_TIMEOUT=3h0m0s "), true},
		{"DRONE_WATCHTOWER_SIGNAL_ENABLED", born("watchtower.enable=true "), true},
		{"DRONE_WATCHTOWER_STOP_SIGNAL", born("watchtower.stop-signal=SIGTERM "), true},
		{"DRONE_PINGER_ENABLED", s.agents.Ping > 0, true},
		{"DRONE_PINGER_INTERVAL", s.agents.Ping, 5 * time.Minute},
		{"DRONE_REAPER_ENABLED", c.ReaperEnabled, true},
		{"DRONE_REAPER_INTERVAL", c.ReaperInterval, 30 * time.Minute},
		{"DRONE_LOGS_DEBUG", logs(debug, slog.LevelDebug), true},
		{"DRONE_LOGS_TRACE", []bool{logs(c, levelTrace), logs(debug, levelTrace)}, []bool{true, false}},
		{"DRONE_LOGS_PRETTY", reflect.TypeOf(newLog(log, c).Handler()), reflect.TypeFor[*slog.TextHandler]()},
		{"DRONE_HTTP_PROTO", c.HTTPProto, "https"},
		{"DRONE_HTTP_HOST", c.HTTPHost, "autoscaler.drone.company.com"}, // TestAutocertWiring
		{"DRONE_HTTP_PORT", strings.HasPrefix(s.listener.Addr().String(), "127.0.0.1:"), true},
		{"DRONE_HTTP_ROOT", strings.HasSuffix(baseURL(c, s.listener.Addr()), "/autoscaler"), true},
		{"DRONE_TLS_CERT", s.front != nil, true}, // TestDroneCommandLineOverTLS
		{"DRONE_TLS_KEY", s.front != nil, true},
		{"DRONE_PROMETHEUS_AUTH_TOKEN", slices.Contains(runner.Secrets, "b359e05e8"), true}, // TestMetrics
		{"DRONE_SLACK_WEBHOOK", slices.Contains(runner.Secrets, "https://hooks.slack.com/services/XXX/YYY/ZZZ"), true},
		{"DRONE_SLACK_CREATE", c.SlackCreate, false}, // what follows is tested with package notify
		{"DRONE_SLACK_DESTROY", c.SlackDestroy, false},
		{"DRONE_SLACK_ERROR", c.SlackError, true},
		{"DRONE_UI_USERNAME", c.UIUsername, "octocat"},
		{"DRONE_UI_PASSWORD", slices.Contains(runner.Secrets, "correct-horse"), true},
		{"DRONE_UI_REALM", c.UIRealm, "Builders"},
		{"DRONE_DATABASE_DRIVER", c.DatabaseDriver, "sqlite3"},
		{"DRONE_DATABASE_DATASOURCE", found(data + "/drone.sqlite"), true},
		{"DRONE_DATABASE_MAX_IDLE", c.DatabaseMaxIdle, 2},
		{"DRONE_DATABASE_MAX_LIFETIME", c.DatabaseMaxLife, time.Hour},
	} {
		checked[tt.name] = true
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	for name := range environ {
		if slices.Contains(autoscalerNames(t), name) && !checked[name] {
			t.Errorf("nothing is asserted of %s", name)
		}
	}
	if t.Failed() {
		t.Logf("user data:\n%s", userData)
	}
}
