package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write golden files")

// guide is the environment of the Packet guide.
func guide(more ...string) map[string]string {
	env := map[string]string{
		"DRONE_POOL_MIN": "2", "DRONE_POOL_MAX": "4", "DRONE_SERVER_PROTO": "https", "DRONE_SERVER_HOST": "drone.company.com",
		"DRONE_SERVER_TOKEN": "server-token", "DRONE_AGENT_TOKEN": "agent-token", "DRONE_PACKET_APIKEY": "api-key", "DRONE_PACKET_PROJECT_ID": "5b590e4f-be96-4400-ae32-c315ee67964d",
	}
	for _, m := range more {
		name, value, _ := strings.Cut(m, "=")
		env[name] = value
	}
	return env
}

func TestDefaults(t *testing.T) {
	c, err := parseConfig(guide())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"url", c.ServerURL(), "https://drone.company.com"},
		{"concurrency", c.AgentConcurrency, 2},
		{"min age", c.PoolMinAge, 55 * time.Minute},
		{"idle", c.PoolIdle, 10 * time.Minute},
		{"billing period", c.PoolBillingPeriod, time.Duration(0)},
		{"interval", c.Interval, 10 * time.Second},
		{"plan", c.PacketPlan, []string{"baremetal_0"}},
		{"port", c.listen(), ":8080"},
		{"https", []any{c.secure(), c.HTTPProto, c.HTTPRoot}, []any{false, "http", "/"}},
		{"logs", []any{c.LogsDebug, c.LogsTrace, c.LogsPretty}, []any{false, false, false}},
		{"pages", []any{c.UIUsername, c.UIPassword, c.UIRealm}, []any{"", "", "Autoscaler"}},
		{"stack size", c.TerraformStackSize, 100},
		{"keep", c.Keep, 30 * 24 * time.Hour},
		{"grace", c.ShutdownGrace, 10 * time.Minute},
		{"database", c.databasePath(), "data/database.sqlite"},
		{"prefix", c.namePrefix(), "agent-"},
		{"ssh", []any{c.SSH, c.SSHUser, c.SSHPort, c.SSHTimeout}, []any{true, "root", 22, 10 * time.Second}},
		{"install check", []any{c.CheckInterval, c.CheckDeadline, c.TimeoutStop}, []any{5 * time.Second, 30 * time.Minute, time.Hour}},
		{"pinger, reaper", []any{c.PingerEnabled, c.PingerInterval, c.ReaperEnabled, c.ReaperInterval}, []any{false, 10 * time.Minute, false, time.Hour}},
		{"gc", []any{c.GCEnabled, c.GCImage, c.GCInterval, c.GCCache}, []any{false, "drone/gc", 30 * time.Minute, "10gb"}},
		{"slack", []any{c.SlackWebhook, c.SlackCreate, c.SlackDestroy, c.SlackError}, []any{"", true, true, true}},
		{"watchtower", []any{c.WatchtowerEnabled, c.WatchtowerImage, c.WatchtowerInterval, c.WatchtowerTimeout}, []any{false, "webhippie/watchtower", 300, 2 * time.Hour}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s = %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestValues(t *testing.T) {
	c, err := parseConfig(guide("DRONE_AGENT_LABELS=size:large, team : a", "DRONE_PACKET_FACILITY=ewr1, sjc1", "DRONE_PACKET_PLAN=a,b",
		"DRONE_DATABASE_DATASOURCE=/data/database.sqlite?cache=shared&mode=rwc&_busy_timeout=9999999", "DRONE_POOL_IDLE=", "DRONE_INTERVAL=1m30s"))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"size": "large", "team": "a"}; !reflect.DeepEqual(c.AgentLabels, want) {
		t.Errorf("labels %v, want %v", c.AgentLabels, want)
	}
	if want := []string{"ewr1", "sjc1"}; !reflect.DeepEqual(c.PacketFacility, want) {
		t.Errorf("facilities %v, want %v", c.PacketFacility, want)
	}
	if c.databasePath() != "/data/database.sqlite" || c.PoolIdle != 10*time.Minute || c.Interval != 90*time.Second {
		t.Errorf("database %s, idle %s, interval %s", c.databasePath(), c.PoolIdle, c.Interval)
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		set  string
		want string
	}{
		{"DRONE_POOL_MAX=two", "DRONE_POOL_MAX=two: not a whole number"},
		{"DRONE_POOL_MIN=5", "DRONE_POOL_MIN=5 is above DRONE_POOL_MAX=4"},
		{"DRONE_CAPACITY_BUFFER=-1", "DRONE_CAPACITY_BUFFER=-1: want a number of builds, 0 or more, or auto"},
		{"DRONE_CAPACITY_BUFFER=Auto", "DRONE_CAPACITY_BUFFER=Auto: want a number of builds, 0 or more, or auto"},
		{"DRONE_POOL_MIN=-1", "DRONE_POOL_MIN=-1: want 0 or more"},
		{"DRONE_SERVER_HOST=", "DRONE_SERVER_HOST is not set: the host name of your Drone server, such as drone.example.com"},
		{"DRONE_SERVER_HOST=https://drone.company.com", "DRONE_SERVER_HOST=https://drone.company.com: want a host name only"},
		{"DRONE_SERVER_PROTO=ftp", "DRONE_SERVER_PROTO=ftp: want http or https"},
		{"DRONE_SERVER_TOKEN=", "DRONE_SERVER_TOKEN is not set: the token of a Drone admin"},
		{"DRONE_AGENT_TOKEN=", "DRONE_AGENT_TOKEN is not set"},
		{"DRONE_AGENT_CONCURRENCY=0", "DRONE_AGENT_CONCURRENCY=0: want 1 or more"},
		{"DRONE_AGENT_LABELS=large", `DRONE_AGENT_LABELS=large: "large" is not of the form key:value`},
		{"DRONE_AGENT_NAME_PREFIX=my_agent-", "DRONE_AGENT_NAME_PREFIX=my_agent-: host name"},
		{"DRONE_PACKET_HOSTNAME=" + strings.Repeat("a", 60), "DRONE_PACKET_HOSTNAME=aaaa"},
		{"DRONE_PACKET_APIKEY=", "DRONE_PACKET_APIKEY is not set"},
		{"DRONE_PACKET_PROJECT_ID=", "DRONE_PACKET_PROJECT_ID is not set"},
		{"DRONE_PACKET_ENDPOINT=localhost", "DRONE_PACKET_ENDPOINT=localhost: want a URL"},
		{"DRONE_PACKET_FACILITY=EWR1", "DRONE_PACKET_FACILITY=EWR1: want codes in lower case"},
		{"DRONE_PACKET_METRO=new york", "DRONE_PACKET_METRO=new york: want codes in lower case"},
		{"DRONE_PACKET_PLAN=,", "DRONE_PACKET_PLAN=,: want at least one plan"},
		{"DRONE_PACKET_RESERVATION=any one", "DRONE_PACKET_RESERVATION=any one: want the id"},
		{"DRONE_PACKET_CREATE_TIMEOUT=90.5s", "DRONE_PACKET_CREATE_TIMEOUT=1m30.5s: want whole seconds"},
		{"DRONE_PACKET_CREATE_TIMEOUT=5s", "DRONE_PACKET_CREATE_TIMEOUT=5s: want 1m or more"},
		{"DRONE_INSTANCE=a b", "DRONE_INSTANCE=a b: want lower case letters"},
		{"DRONE_TERRAFORM_ENV=TF_LOG,AWS_PROFILE", "DRONE_TERRAFORM_ENV=TF_LOG,AWS_PROFILE: hangar sets TF_LOG itself"},
		{"DRONE_PROMETHEUS_AUTH_TOKEN=hush hush", "DRONE_PROMETHEUS_AUTH_TOKEN=(sensitive value): want letters"},
		{"DRONE_HTTP_ROOT=/:a", "DRONE_HTTP_ROOT=/:a: want a path"},
		{"DRONE_PACKET_FACILITY=ewr1,ewr1", "DRONE_PACKET_FACILITY=ewr1,ewr1: names one twice"},
		{"DRONE_PACKET_TAGS=ci,hangar-instance=x", "DRONE_PACKET_TAGS=hangar-instance=x: hangar finds its machines"},
		{"DRONE_PACKET_ENDPOINT=http://127.0.0.1:1/metal/v1", "DRONE_PACKET_ENDPOINT=http://127.0.0.1:1/metal/v1: want the base URL only"},
		{"DRONE_AGENT_ENVIRON=a", "DRONE_AGENT_ENVIRON=a: want KEY=value"},
		{"DRONE_AGENT_ENVIRON=NOT_SET_HERE,A=b", "DRONE_AGENT_ENVIRON=NOT_SET_HERE: want KEY=value, or the name"},
		{"DRONE_AGENT_IMAGE=--privileged", "DRONE_AGENT_IMAGE=--privileged: want the name of an image"},
		{"DRONE_AGENT_PUBLISHED_PORTS=80:80,http", `DRONE_AGENT_PUBLISHED_PORTS=80:80,http: published port "http": want`},
		{"DRONE_AGENT_SSH=maybe", "DRONE_AGENT_SSH=maybe: neither true nor false"},
		{"DRONE_SSH_USER=Root", "DRONE_SSH_USER=Root: want the name of a user"},
		{"DRONE_SSH_PORT=0", "DRONE_SSH_PORT=0: want a port"},
		{"DRONE_SSH_TIMEOUT=1ms", "DRONE_SSH_TIMEOUT=1ms: want 100ms or more"},
		{"DRONE_SSH_PROXY_JUMP=bastion.example.com", "DRONE_SSH_PROXY_JUMP=bastion.example.com: set DRONE_SSH_PROXY_JUMP_KEY"},
		{"DRONE_SSH_PROXY_JUMP_KEY=ssh-ed25519 AAAAC3Nz", "DRONE_SSH_PROXY_JUMP_KEY=ssh-ed25519 AAAAC3Nz: belongs to DRONE_SSH_PROXY_JUMP"},
		{"DRONE_INSTALL_CHECK_INTERVAL=0s", "DRONE_INSTALL_CHECK_INTERVAL=0s: want 100ms or more"},
		{"DRONE_INSTALL_CHECK_DEADLINE=3s", "DRONE_INSTALL_CHECK_DEADLINE=3s: want DRONE_INSTALL_CHECK_INTERVAL=5s or more"},
		{"DRONE_TIMEOUT_STOP=0s", "DRONE_TIMEOUT_STOP=0s: want 1s or more"},
		{"DRONE_PINGER_INTERVAL=0s", "DRONE_PINGER_INTERVAL=0s: want 100ms or more"},
		{"DRONE_REAPER_INTERVAL=0s", "DRONE_REAPER_INTERVAL=0s: want 100ms or more"},
		{"DRONE_ENABLE_PINGER=perhaps", "DRONE_PINGER_ENABLED=perhaps: neither true nor false"},
		{"DRONE_GC_INTERVAL=0s", "DRONE_GC_INTERVAL=0s: want 1s or more"},
		{"DRONE_GC_CACHE=much", "DRONE_GC_CACHE=much: want a size such as 10gb"},
		{"DRONE_GC_IMAGE=drone gc", "DRONE_GC_IMAGE=drone gc: want the name of an image"},
		{"DRONE_WATCHTOWER_INTERVAL=5m", "DRONE_WATCHTOWER_INTERVAL=5m: not a whole number"},
		{"DRONE_WATCHTOWER_INTERVAL=0", "DRONE_WATCHTOWER_INTERVAL=0: want 1 or more, in seconds"},
		{"DRONE_WATCHTOWER_TIMEOUT=0s", "DRONE_WATCHTOWER_TIMEOUT=0s: want 1s or more"},
		{"DRONE_WATCHTOWER_STOP_SIGNAL=nine", "DRONE_WATCHTOWER_STOP_SIGNAL=nine: want a signal"},
		{"DRONE_AGENT_LABELS=a:b,a:c", "DRONE_AGENT_LABELS=a:b,a:c: a is there twice"},
		{"DRONE_TERRAFORM_VERSION=banana", "DRONE_TERRAFORM_VERSION=banana: want a version"},
		{"DRONE_PACKET_BILLING=never", "DRONE_PACKET_BILLING=never: want hourly, daily, monthly or yearly"},
		{"DRONE_POOL_IDLE=10", "DRONE_POOL_IDLE=10: not a duration such as 30s, 10m or 1h30m"},
		{"DRONE_POOL_MIN_AGE=-1m", "DRONE_POOL_MIN_AGE=-1m0s: want a duration that is not negative"},
		{"DRONE_INTERVAL=1ms", "DRONE_INTERVAL=1ms: want 100ms or more"},
		{"DRONE_DATABASE_DRIVER=mysql", "DRONE_DATABASE_DRIVER=mysql: want sqlite3"},
		{"DRONE_HTTP_PORT=http", "DRONE_HTTP_PORT=http: want a port such as :8080"},
		{"DRONE_HTTP_PORT=:99999", "DRONE_HTTP_PORT=:99999: want a port"},
		{"DRONE_HTTP_PROTO=ftp", "DRONE_HTTP_PROTO=ftp: want http or https"},
		{"DRONE_TLS_CERT=/a", "DRONE_TLS_CERT=/a: set DRONE_TLS_KEY"},
		{"DRONE_TLS_KEY=/a", "DRONE_TLS_KEY=/a: belongs to DRONE_TLS_CERT, which is not set"},
		{"DRONE_TLS_AUTOCERT=true", "DRONE_TLS_AUTOCERT=true: set DRONE_HTTP_HOST to the public host name"},
		{"DRONE_UI_USERNAME=root", "DRONE_UI_USERNAME=root: set DRONE_UI_PASSWORD"},
		{"DRONE_UI_PASSWORD=correct-horse", "DRONE_UI_PASSWORD is set: set DRONE_UI_USERNAME"},
		{"DRONE_DATABASE_MAX_IDLE=none", "DRONE_DATABASE_MAX_IDLE=none: not a whole number"},
		{"DRONE_HTTP_ROOT=hangar", "DRONE_HTTP_ROOT=hangar: want a path that begins with /"},
		{"DRONE_TERRAFORM_STACK_SIZE=0", "DRONE_TERRAFORM_STACK_SIZE=0: want 1 or more"},
		{"DRONE_TERRAFORM_APPROVAL=some", "DRONE_TERRAFORM_APPROVAL=some: want auto, destroys or all"},
		{"DRONE_TERRAFORM_CHECK_TIMEOUT=10ms", "DRONE_TERRAFORM_CHECK_TIMEOUT=10ms: want 1s or more"},
		{"DRONE_SLACK_WEBHOOK=hooks.slack.com/credential", "DRONE_SLACK_WEBHOOK: want a URL"},
		{"DRONE_SLACK_ERROR=sometimes", "DRONE_SLACK_ERROR=sometimes: neither true nor false"},
		{"DRONE_NOTIFY_WEBHOOK=ftp://example.com/credential", "DRONE_NOTIFY_WEBHOOK: want a URL"},
		{"DRONE_NOTIFY_SECRET=whsec_Y3JlZGVudGlhbC1vZi10d2VudHktZm91ci1ieXRlcw==", "DRONE_NOTIFY_SECRET: belongs to DRONE_NOTIFY_WEBHOOK"},
		{"DRONE_LOGS_DEBUG=yes please", "DRONE_LOGS_DEBUG=yes please: neither true nor false"},
	} {
		t.Run(tt.set, func(t *testing.T) {
			_, err := parseConfig(guide(tt.set))
			var mistakes ConfigError
			if !errors.As(err, &mistakes) || len(mistakes) != 1 || !strings.HasPrefix(mistakes[0], tt.want) {
				t.Errorf("got %q, want one mistake: %s", err, tt.want)
			}
			if exitCode(fmt.Errorf("serve: %w", err)) != 2 {
				t.Error("the exit code is not 2")
			}
		})
	}
}

// What only the files tell that settings name is told together, too.
func TestMistakesInFiles(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "userdata")
	if err := os.WriteFile(bad, []byte("#cloud-config\n{{ .CACert }}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		set  []string
		want []string
	}{
		{[]string{"DRONE_AGENT_ENV_FILE=/no/such", "DRONE_PACKET_USERDATA_FILE=/none"}, []string{"DRONE_AGENT_ENV_FILE=/no/such: ", "DRONE_PACKET_USERDATA_FILE: "}},
		{[]string{"DRONE_PACKET_USERDATA_FILE=" + bad}, []string{"DRONE_PACKET_USERDATA_FILE: line 2:3: there is no field CACert"}},
		{[]string{"DRONE_PACKET_USERDATA={{ index .Volumes 0 }}"}, []string{"DRONE_PACKET_USERDATA: no cloud-init can be rendered: line 1:3: "}},
		{[]string{"DRONE_AGENT_PUBLISHED_PORTS=3000:80"}, []string{"DRONE_AGENT_*: no cloud-init can be rendered: "}},
		{[]string{"DRONE_PACKET_USERDATA={{ if }}"}, []string{"DRONE_PACKET_USERDATA: "}},
		{[]string{"DRONE_AGENT_ENVIRON=no name=1"}, []string{"DRONE_AGENT_*: no cloud-init can be rendered: "}},
	} {
		c, err := parseConfig(guide(tt.set...))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.agents()
		var mistakes ConfigError
		if !errors.As(err, &mistakes) || len(mistakes) != len(tt.want) {
			t.Errorf("%v: %v, want %d mistakes", tt.set, err, len(tt.want))
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(mistakes[i], want) {
				t.Errorf("%v: %q, want %q", tt.set, mistakes[i], want)
			}
		}
	}
}

// All mistakes are told together, and none twice.
func TestMistakesTogether(t *testing.T) {
	_, err := parseConfig(map[string]string{
		"DRONE_POOL_MAX": "two", "DRONE_POOL_MIN": "5", "DRONE_INTERVAL": "soon", "DRONE_PACKET_METRO": "ny", "DRONE_PACKET_FACILITY": "ewr1",
	})
	want := []string{
		"DRONE_AGENT_TOKEN is not set", "DRONE_INTERVAL=soon", "DRONE_PACKET_APIKEY is not set", "DRONE_PACKET_METRO=ny", "DRONE_PACKET_PROJECT_ID is not set",
		"DRONE_POOL_MAX=two", "DRONE_SERVER_HOST is not set", "DRONE_SERVER_TOKEN is not set",
	}
	var mistakes ConfigError
	if !errors.As(err, &mistakes) || len(mistakes) != len(want) {
		t.Fatalf("got %d mistakes, want %d:\n%v", len(mistakes), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(mistakes[i], want[i]) {
			t.Errorf("mistake %q, want %q", mistakes[i], want[i])
		}
	}
}

// Other names of a setting count where its own is not set.
func TestAliases(t *testing.T) {
	c, err := parseConfig(guide("DRONE_ENABLE_REAPER=true", "DRONE_RUNNER_PRIVILEGED_IMAGES=a", "DRONE_RUNNER_PRIVILEGED=b", "DRONE_RUNNER_ENV_FILE=/f", "DRONE_ENABLE_PINGER="))
	if err != nil || !c.ReaperEnabled || c.PingerEnabled || c.RunnerPrivileged != "b" || c.RunnerEnvFile != "/f" {
		t.Errorf("%v: reaper %t, pinger %t, privileged %q, file %q", err, c.ReaperEnabled, c.PingerEnabled, c.RunnerPrivileged, c.RunnerEnvFile)
	}
	for alias, name := range aliases {
		if aliases[name] != "" || !known(name) {
			t.Errorf("%s stands for %s, which is no setting", alias, name)
		}
	}
}

// The README's table of settings is the one that --help prints.
func TestReadmeSettings(t *testing.T) {
	const begin, end = "-run Readme -update -->\n", "<!-- end of settings -->"
	path := "../../README.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the README has no place for the table of settings")
	}
	table := "| variable | default | meaning |\n|---|---|---|\n"
	for _, s := range settings() {
		table += fmt.Sprintf("| `%s` | %s | %s |\n", s.name, s.shown(), s.help)
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Error("the README's table of settings is old: go test ./cmd/hangar -run Readme -update")
	}
}
