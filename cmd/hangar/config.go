package main

import (
	"fmt"
	"strings"
	"time"

	"hangar/reconciler/pools"
	"hangar/reconciler/terraform"
	"hangar/state"
)

// Config is every setting of the reconciler, each from one environment
// variable. The names are those of drone/autoscaler and of its Packet guide
// where it has one. The help tag is what `hangar serve --help` prints.
type Config struct {
	ServerProto string `env:"DRONE_SERVER_PROTO" envDefault:"https" help:"protocol of the Drone server: http or https"`
	ServerHost  string `env:"DRONE_SERVER_HOST" need:"the host name of your Drone server, such as drone.example.com" help:"host name of the Drone server, with its port if it is not the usual one"`
	ServerToken string `env:"DRONE_SERVER_TOKEN" need:"the token of a Drone admin, from the account page of your Drone server" help:"token of a Drone admin; the queue is read with it"`

	AgentToken       string            `env:"DRONE_AGENT_TOKEN" need:"the DRONE_RPC_SECRET of your Drone server" help:"the Drone server's DRONE_RPC_SECRET, given to the agents"`
	AgentConcurrency int               `env:"DRONE_AGENT_CONCURRENCY" envDefault:"2" help:"builds that one server runs at once"`
	AgentImage       string            `env:"DRONE_AGENT_IMAGE" envDefault:"drone/drone-runner-docker:1" help:"image of the agent"`
	AgentOS          string            `env:"DRONE_AGENT_OS" envDefault:"linux" help:"operating system that the agents offer"`
	AgentArch        string            `env:"DRONE_AGENT_ARCH" envDefault:"amd64" help:"architecture that the agents offer"`
	AgentVersion     string            `env:"DRONE_AGENT_VERSION" help:"variant of the architecture that the agents offer, such as v8"`
	AgentKernel      string            `env:"DRONE_AGENT_KERNEL" help:"kernel version that the agents offer"`
	AgentLabels      map[string]string `env:"DRONE_AGENT_LABELS" help:"labels that the agents offer: key:value,key:value"`
	AgentEnviron     []string          `env:"DRONE_AGENT_ENVIRON" help:"more environment of the agent: KEY=value,KEY=value; a name alone takes the value that it has for hangar"`
	AgentEnvFile     string            `env:"DRONE_AGENT_ENV_FILE" help:"file with more environment of the agent, a KEY=value a line"`
	AgentVolumes     []string          `env:"DRONE_AGENT_VOLUMES" help:"volumes of the agent: /host:/container,..."`
	AgentPorts       []string          `env:"DRONE_AGENT_PUBLISHED_PORTS" help:"ports of the agent that are published on its machine: 8080:80,127.0.0.1:9000:9000; port 3000 of the loopback is hangar's, for the agent's health"`
	AgentPrivateIP   bool              `env:"DRONE_AGENT_PRIVATE_IP" envDefault:"false" help:"reach machines at their private addresses"`
	AgentNamePrefix  string            `env:"DRONE_AGENT_NAME_PREFIX" envDefault:"agent-" help:"what server names begin with"`

	RunnerVolumes    string `env:"DRONE_RUNNER_VOLUMES" help:"volumes that the agents mount into every build: /host:/container,..."`
	RunnerDevices    string `env:"DRONE_RUNNER_DEVICES" help:"devices that the agents give to every build: /dev/kvm:/dev/kvm,..."`
	RunnerPrivileged string `env:"DRONE_RUNNER_PRIVILEGED" help:"images that the agents run privileged: plugins/docker,...; or DRONE_RUNNER_PRIVILEGED_IMAGES"`
	RunnerEnvFile    string `env:"DRONE_RUNNER_ENVFILE" help:"file with environment for every build, a path in the agent's container (DRONE_AGENT_VOLUMES puts it there); or DRONE_RUNNER_ENV_FILE"`

	SSH           bool          `env:"DRONE_AGENT_SSH" envDefault:"true" help:"reach machines over SSH: what is known of their agents, and whether they can be told to take no more builds, hangs on it"`
	SSHUser       string        `env:"DRONE_SSH_USER" envDefault:"root" help:"user to log in as; another one than root is made on the machine, with sudo"`
	SSHPort       int           `env:"DRONE_SSH_PORT" envDefault:"22" help:"port of the machines' SSH server"`
	SSHTimeout    time.Duration `env:"DRONE_SSH_TIMEOUT" envDefault:"10s" help:"how long a machine may take to answer"`
	SSHKeyFile    string        `env:"DRONE_SSH_KEY_FILE" help:"private key to log in with, instead of the one that hangar makes in the data folder"`
	SSHJump       string        `env:"DRONE_SSH_PROXY_JUMP" help:"bastion through which machines are reached: [user@]host[:port]"`
	SSHJumpKey    string        `env:"DRONE_SSH_PROXY_JUMP_KEY" help:"public host key of the bastion, such as ssh-ed25519 AAAA...; no other one is accepted"`
	CheckInterval time.Duration `env:"DRONE_INSTALL_CHECK_INTERVAL" envDefault:"5s" help:"how often a new machine is asked whether its agent runs"`
	CheckDeadline time.Duration `env:"DRONE_INSTALL_CHECK_DEADLINE" envDefault:"30m" help:"after which a new machine without a running agent is given up and replaced"`
	AgentGrace    time.Duration `env:"DRONE_AGENT_GRACE" envDefault:"2m" help:"for how long the queue must show no build on a machine that does not answer before it is destroyed, and for how long a working one may not answer before it is replaced"`
	TimeoutStop   time.Duration `env:"DRONE_TIMEOUT_STOP" envDefault:"1h" help:"after which a server that still waits for its builds is reported; it goes on waiting, since no build is killed"`

	PingerEnabled  bool          `env:"DRONE_PINGER_ENABLED" envDefault:"false" help:"watch the agents of running servers, and repair or replace what is gone"`
	PingerInterval time.Duration `env:"DRONE_PINGER_INTERVAL" envDefault:"10m" help:"how often"`
	ReaperEnabled  bool          `env:"DRONE_REAPER_ENABLED" envDefault:"false" help:"as in drone/autoscaler; servers in error are removed and replaced in any case"`
	ReaperInterval time.Duration `env:"DRONE_REAPER_INTERVAL" envDefault:"1h" help:"as in drone/autoscaler; DRONE_SWEEP_INTERVAL says how often machines are looked for"`

	GCEnabled  bool          `env:"DRONE_GC_ENABLED" envDefault:"false" help:"run the garbage collector drone/gc on the machines"`
	GCImage    string        `env:"DRONE_GC_IMAGE" envDefault:"drone/gc" help:"its image"`
	GCDebug    bool          `env:"DRONE_GC_DEBUG" envDefault:"false" help:"let it log more"`
	GCIgnore   []string      `env:"DRONE_GC_IGNORE_IMAGES" help:"images that it keeps, with globbing: plugins/*,..."`
	GCInterval time.Duration `env:"DRONE_GC_INTERVAL" envDefault:"30m" help:"how often it runs"`
	GCCache    string        `env:"DRONE_GC_CACHE" envDefault:"10gb" help:"size of all images above which it removes some"`

	WatchtowerEnabled  bool          `env:"DRONE_WATCHTOWER_ENABLED" envDefault:"false" help:"run watchtower on the machines; it renews containers that are labelled for it, and never the agent, whose builds that would kill: a new agent comes with a new machine"`
	WatchtowerImage    string        `env:"DRONE_WATCHTOWER_IMAGE" envDefault:"webhippie/watchtower" help:"its image"`
	WatchtowerInterval int           `env:"DRONE_WATCHTOWER_INTERVAL" envDefault:"300" help:"seconds between two looks of it"`
	WatchtowerTimeout  time.Duration `env:"DRONE_WATCHTOWER_TIMEOUT" envDefault:"120m" help:"after which it kills a container that it stops"`
	WatchtowerAids     bool          `env:"DRONE_WATCHTOWER_SIGNAL_ENABLED" envDefault:"true" help:"let it renew the garbage collector"`
	WatchtowerSignal   string        `env:"DRONE_WATCHTOWER_STOP_SIGNAL" envDefault:"SIGHUP" help:"signal by which it stops the garbage collector"`

	PoolMin           int           `env:"DRONE_POOL_MIN" envDefault:"2" help:"servers that are always there"`
	PoolMax           int           `env:"DRONE_POOL_MAX" envDefault:"4" help:"servers, at most"`
	PoolMinAge        time.Duration `env:"DRONE_POOL_MIN_AGE" envDefault:"55m" help:"a server is not removed before this age"`
	PoolIdle          time.Duration `env:"DRONE_POOL_IDLE" envDefault:"10m" help:"nor before it has been idle for so long"`
	PoolBillingPeriod time.Duration `env:"DRONE_POOL_BILLING_PERIOD" envDefault:"0s" help:"nor outside the closing minutes of a paid period of this length; 0s: whenever. Where neither this nor DRONE_POOL_MIN_AGE nor DRONE_POOL_IDLE is set, servers that are billed by the hour (DRONE_PACKET_BILLING) leave in the closing minutes of a paid one, however short they were idle"`
	PoolCreateBudget  int           `env:"DRONE_POOL_CREATE_BUDGET" envDefault:"0" help:"creates within an hour that never served a build, at most; what stops an endless making and destroying; 0: three times DRONE_POOL_MAX"`
	CapacityBuffer    string        `env:"DRONE_CAPACITY_BUFFER" envDefault:"0" help:"builds for which there is to be room beyond the demand; auto: as many as came in nine of ten spans as long as a server takes, learned from the last hour and the last servers"`

	PoolsFile string `env:"DRONE_POOLS_FILE" help:"file with several pools, in HCL; it is read again when it changes, and at SIGHUP. What it does not say of a pool is as the settings say"`

	Instance      string        `env:"DRONE_INSTANCE" help:"name of this installation, a tag of its machines; made at the first start and kept in the data folder"`
	Interval      time.Duration `env:"DRONE_INTERVAL" envDefault:"10s" help:"how often the queue is read"`
	WebhookSecret string        `env:"DRONE_WEBHOOK_SECRET" help:"secret of Drone's global webhook (DRONE_WEBHOOK_SECRET there), whose events at POST /hook have the queue read at once"`

	PacketAPIKey        string        `env:"DRONE_PACKET_APIKEY" need:"the API key of your Equinix Metal project or user" help:"API key of Equinix Metal (Packet); needed by the module packet"`
	PacketProjectID     string        `env:"DRONE_PACKET_PROJECT_ID" need:"the id of the Equinix Metal project for the machines" help:"project for the machines; needed by the module packet"`
	PacketFacility      []string      `env:"DRONE_PACKET_FACILITY" help:"facilities, in order of preference (ewr1, unless DRONE_PACKET_METRO is set)"`
	PacketMetro         []string      `env:"DRONE_PACKET_METRO" help:"metros instead of facilities, in order of preference"`
	PacketPlan          []string      `env:"DRONE_PACKET_PLAN" envDefault:"baremetal_0" help:"plans, in order of preference; each is tried in one place before the next place"`
	PacketOS            string        `env:"DRONE_PACKET_OS" envDefault:"ubuntu_24_04" help:"operating system image"`
	PacketTags          []string      `env:"DRONE_PACKET_TAGS" help:"more tags of the machines"`
	PacketSSHKey        []string      `env:"DRONE_PACKET_SSHKEY" help:"ids of the project's SSH keys that are put on the machines"`
	PacketHostname      string        `env:"DRONE_PACKET_HOSTNAME" help:"what server names begin with, instead of DRONE_AGENT_NAME_PREFIX"`
	PacketBilling       string        `env:"DRONE_PACKET_BILLING" envDefault:"hourly" help:"billing cycle: hourly, daily, monthly, yearly"`
	PacketReservation   string        `env:"DRONE_PACKET_RESERVATION" help:"id of a hardware reservation, or next-available"`
	PacketUserData      string        `env:"DRONE_PACKET_USERDATA" help:"cloud-init of your own, a Go template, as text or base64"`
	PacketUserDataFile  string        `env:"DRONE_PACKET_USERDATA_FILE" help:"file with the same"`
	PacketCreateTimeout time.Duration `env:"DRONE_PACKET_CREATE_TIMEOUT" envDefault:"30m" help:"how long the provider waits for a new machine"`
	PacketEndpoint      string        `env:"DRONE_PACKET_ENDPOINT" help:"another base URL of the API, such as http://127.0.0.1:9000"`

	Clouds

	Data               string        `env:"DRONE_DATA" envDefault:"data" help:"data folder (/data in the image)"`
	DatabaseDriver     string        `env:"DRONE_DATABASE_DRIVER" envDefault:"sqlite3" help:"sqlite3, and nothing else"`
	DatabaseDatasource string        `env:"DRONE_DATABASE_DATASOURCE" help:"database file (database.sqlite in the data folder)"`
	DatabaseMaxIdle    int           `env:"DRONE_DATABASE_MAX_IDLE" envDefault:"0" help:"as in drone/autoscaler; no effect with sqlite"`
	DatabaseMaxLife    time.Duration `env:"DRONE_DATABASE_MAX_LIFETIME" envDefault:"0s" help:"as in drone/autoscaler; no effect with sqlite"`
	Keep               time.Duration `env:"DRONE_KEEP" envDefault:"720h" help:"how long the records of servers that are gone are kept"`

	HTTPProto string `env:"DRONE_HTTP_PROTO" envDefault:"http" help:"as in drone/autoscaler: http or https, and without effect; the settings of TLS decide"`
	HTTPHost  string `env:"DRONE_HTTP_HOST" help:"public host name of hangar, which DRONE_TLS_AUTOCERT needs; it does not choose the address to listen on"`
	HTTPPort  string `env:"DRONE_HTTP_PORT" help:"port to listen on, or address and port (:8080, with TLS :443)"`
	HTTPRoot  string `env:"DRONE_HTTP_ROOT" envDefault:"/" help:"path below which everything is served"`

	TLSAutocert bool   `env:"DRONE_TLS_AUTOCERT" envDefault:"false" help:"serve HTTPS with certificates for DRONE_HTTP_HOST from Let's Encrypt, whose terms are accepted by that; port 443 of that host must lead here, and port 80 should"`
	TLSCert     string `env:"DRONE_TLS_CERT" help:"serve HTTPS with the certificate in this file (PEM, with the chain); read again when it changes"`
	TLSKey      string `env:"DRONE_TLS_KEY" help:"file with its key"`

	UIUsername string `env:"DRONE_UI_USERNAME" help:"user name by which the pages can be read, not used; the admins of Drone log in to them with their token in any case"`
	UIPassword string `env:"DRONE_UI_PASSWORD" help:"password of that user"`
	UIRealm    string `env:"DRONE_UI_REALM" envDefault:"Autoscaler" help:"what browsers call the pages when they ask for the password"`

	PrometheusToken string `env:"DRONE_PROMETHEUS_AUTH_TOKEN" help:"token that GET /metrics wants; without one it wants the token of a Drone admin, unlike drone/autoscaler, which lets everybody read then"`

	TerraformBinary     string   `env:"DRONE_TERRAFORM_BINARY" help:"terraform (1.7 or newer) or tofu (1.8 or newer); found on PATH, else installed"`
	TerraformVersion    string   `env:"DRONE_TERRAFORM_VERSION" envDefault:"1.11.4" help:"version of terraform that is installed where none is found"`
	TerraformMirror     string   `env:"DRONE_TERRAFORM_MIRROR" help:"folder with a filesystem mirror of providers; nothing is downloaded then"`
	TerraformStackSize  int      `env:"DRONE_TERRAFORM_STACK_SIZE" envDefault:"100" help:"servers in one Terraform state, at most; more than 25 only where many are made at once"`
	TerraformMaxApplies int      `env:"DRONE_TERRAFORM_MAX_APPLIES" envDefault:"0" help:"applies at once that create, and as many that destroy; 0: by the memory that is free"`
	TerraformApproval   string   `env:"DRONE_TERRAFORM_APPROVAL" envDefault:"auto" help:"which plans wait for the approval of an admin: auto (none), destroys (those that destroy servers) or all (those that create or destroy any)"`
	TerraformEnv        []string `env:"DRONE_TERRAFORM_ENV" help:"names of environment variables passed on to terraform"`

	TerraformModule   string            `env:"DRONE_TERRAFORM_MODULE" help:"module that makes the servers: packet, hetznercloud, digitalocean, vultr, vultr-instance, scaleway, scaleway-baremetal, openstack or latitude, or the folder of one of your own, which begins with ./ or /. Unless set, the one whose credentials are set"`
	TerraformSettings map[string]string `env:"DRONE_TERRAFORM_SETTINGS" help:"settings of the module, but of packet: name:value,name:value; a pools file has them in any type"`

	TerraformCheck        string        `env:"DRONE_TERRAFORM_CHECK" help:"command for /bin/sh -c that gets the JSON of each plan to create or destroy, and refuses it by an exit code other than 0"`
	TerraformCheckTimeout time.Duration `env:"DRONE_TERRAFORM_CHECK_TIMEOUT" envDefault:"1m" help:"after which the command, and all that it has started, is killed, and the plan is refused"`

	TerraformSettle time.Duration `env:"DRONE_TERRAFORM_SETTLE" envDefault:"60s" help:"for how long after a create that terraform lost its machine may yet appear; then it is given up, and another name is tried"`
	TerraformRetry  time.Duration `env:"DRONE_TERRAFORM_RETRY" envDefault:"10s" help:"pause after a first failure of a stack or a candidate; twice as long after each further one, at most 15m"`

	SweepInterval time.Duration `env:"DRONE_SWEEP_INTERVAL" envDefault:"10m" help:"how often the provider's whole list of machines is compared with the records"`
	SweepConfirm  time.Duration `env:"DRONE_SWEEP_CONFIRM" envDefault:"1m" help:"after how long a second sweep must show the same before a machine that nobody knows is removed, or one that is gone is given up"`
	StateKeep     StateKeep     `env:"DRONE_STATE_KEEP" envDefault:"100,2160h" help:"how many states of a stack are kept, and for how long: a number, a duration, or both; the newest one always"`

	EventsKeep time.Duration `env:"DRONE_EVENTS_KEEP" envDefault:"720h" help:"how long events are kept: what happened, and who ordered it"`

	SlackWebhook  string `env:"DRONE_SLACK_WEBHOOK" help:"incoming webhook of a Slack channel that is told of servers, and of plans that wait; a URL"`
	SlackCreate   bool   `env:"DRONE_SLACK_CREATE" envDefault:"true" help:"tell Slack when a server runs"`
	SlackDestroy  bool   `env:"DRONE_SLACK_DESTROY" envDefault:"true" help:"tell Slack when a server was destroyed"`
	SlackError    bool   `env:"DRONE_SLACK_ERROR" envDefault:"true" help:"tell Slack when a server is in error"`
	SlackApproval bool   `env:"DRONE_SLACK_APPROVAL" envDefault:"true" help:"tell Slack when a plan waits for approval"`
	NotifyWebhook string `env:"DRONE_NOTIFY_WEBHOOK" help:"URL to which all news is posted as JSON; see Notifications"`
	NotifySecret  string `env:"DRONE_NOTIFY_SECRET" help:"key by which these posts are signed: whsec_ and 24 to 64 bytes in base64"`

	ShutdownGrace time.Duration `env:"DRONE_SHUTDOWN_GRACE" envDefault:"10m" help:"how long a stopping hangar waits for applies in flight"`
	LogsDebug     bool          `env:"DRONE_LOGS_DEBUG" envDefault:"false" help:"log more, such as every request to hangar (in drone/autoscaler the default is true)"`
	LogsTrace     bool          `env:"DRONE_LOGS_TRACE" envDefault:"false" help:"log still more: every question that is put to Drone, never with its headers"`
	LogsPretty    bool          `env:"DRONE_LOGS_PRETTY" envDefault:"false" help:"log text for people; a line of JSON per entry, unless set"`
}

// StateKeep is how many state versions of a stack are kept, and for how long.
// A zero field sets no bound.
type StateKeep struct {
	Count int
	Age   time.Duration
}

// ServerURL is the base URL of the Drone server.
func (c Config) ServerURL() string { return c.ServerProto + "://" + c.ServerHost }

// secrets are the values that must not be seen anywhere. Values of the agents'
// environment are among them where they are long enough to be one.
func (c Config) secrets(environ map[string]string, agent []string) []string {
	secrets := []string{c.ServerToken, c.AgentToken, c.PacketAPIKey, c.UIPassword, c.SlackWebhook, c.NotifyWebhook, c.NotifySecret, c.PrometheusToken, c.WebhookSecret}
	for _, name := range c.TerraformEnv {
		secrets = append(secrets, environ[name])
	}
	for _, account := range c.accounts(environ) {
		for name, value := range account.env {
			if state.SecretName(name) {
				secrets = append(secrets, value)
			}
		}
	}
	for _, variable := range agent {
		if _, value, _ := strings.Cut(variable, "="); len(value) >= 12 {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// mistakes returns what is wrong with settings that were each well formed, a
// line each.
func (c Config) mistakes() []string {
	var found []string
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	oneOf := func(name, got string, want ...string) {
		for _, w := range want {
			if got == w {
				return
			}
		}
		wrong(true, "%s=%s: want %s", name, got, either(want))
	}
	atLeast := func(name string, got, least int) {
		wrong(got < least, "%s=%d: want %d or more", name, got, least)
	}
	notNegative := func(name string, got time.Duration) {
		wrong(got < 0, "%s=%s: want a duration that is not negative", name, got)
	}

	oneOf("DRONE_SERVER_PROTO", c.ServerProto, "http", "https")
	wrong(!isHost(c.ServerHost), "DRONE_SERVER_HOST=%s: want a host name only, such as drone.example.com; the protocol belongs in DRONE_SERVER_PROTO", c.ServerHost)
	atLeast("DRONE_AGENT_CONCURRENCY", c.AgentConcurrency, 1)

	atLeast("DRONE_POOL_MIN", c.PoolMin, 0)
	atLeast("DRONE_POOL_MAX", c.PoolMax, 1)
	wrong(c.PoolMin > c.PoolMax, "DRONE_POOL_MIN=%d is above DRONE_POOL_MAX=%d", c.PoolMin, c.PoolMax)
	if _, _, err := pools.ParseBuffer(c.CapacityBuffer); err != nil {
		wrong(true, "DRONE_CAPACITY_BUFFER=%s: %v", c.CapacityBuffer, err)
	}
	notNegative("DRONE_POOL_MIN_AGE", c.PoolMinAge)
	notNegative("DRONE_POOL_IDLE", c.PoolIdle)
	notNegative("DRONE_POOL_BILLING_PERIOD", c.PoolBillingPeriod)
	notNegative("DRONE_SHUTDOWN_GRACE", c.ShutdownGrace)
	atLeast("DRONE_POOL_CREATE_BUDGET", c.PoolCreateBudget, 0)
	wrong(c.TerraformSettle < time.Second, "DRONE_TERRAFORM_SETTLE=%s: want 1s or more; machines have been seen to appear 40s after their create was cut off", c.TerraformSettle)
	wrong(c.TerraformRetry < 100*time.Millisecond, "DRONE_TERRAFORM_RETRY=%s: want 100ms or more", c.TerraformRetry)
	wrong(c.SweepInterval < time.Second, "DRONE_SWEEP_INTERVAL=%s: want 1s or more", c.SweepInterval)
	wrong(c.SweepConfirm < 100*time.Millisecond, "DRONE_SWEEP_CONFIRM=%s: want 100ms or more", c.SweepConfirm)
	wrong(c.Interval < 100*time.Millisecond, "DRONE_INTERVAL=%s: want 100ms or more", c.Interval)
	wrong(c.EventsKeep < 24*time.Hour, "DRONE_EVENTS_KEEP=%s: want 24h or more, since for so long news waits for a target that does not answer", c.EventsKeep)
	wrong(c.Keep < 24*time.Hour, "DRONE_KEEP=%s: want 24h or more, since what a day has cost is counted from the records", c.Keep)

	wrong(len(c.TerraformSettings) > 0 && c.TerraformModule == "packet", "DRONE_TERRAFORM_SETTINGS=...: are those of another module; the module packet has DRONE_PACKET_*")
	wrong(c.OceanFirewall != "", "DRONE_DIGITALOCEAN_FIREWALL=%s: a firewall is attached by a tag: give it one at DigitalOcean, name the tag in DRONE_DIGITALOCEAN_TAGS, and unset this", c.OceanFirewall)
	wrong(c.ScalewayAccessKey != "" && c.ScalewaySecretKey == "", "DRONE_SCALEWAY_SECRET_KEY=: want the secret of the key in DRONE_SCALEWAY_ACCESS_KEY")
	wrong(len(c.PacketFacility) > 0 && len(c.PacketMetro) > 0, "DRONE_PACKET_METRO=%s: stands instead of DRONE_PACKET_FACILITY=%s; set one of them", list(c.PacketMetro), list(c.PacketFacility))
	oneOf("DRONE_PACKET_BILLING", c.PacketBilling, "hourly", "daily", "monthly", "yearly")
	wrong(c.PacketEndpoint != "" && !isURL(c.PacketEndpoint), "DRONE_PACKET_ENDPOINT=%s: want a URL, such as http://127.0.0.1:9000", c.PacketEndpoint)
	wrong(c.PacketUserData != "" && c.PacketUserDataFile != "", "DRONE_PACKET_USERDATA_FILE=%s: stands instead of DRONE_PACKET_USERDATA; set one of them", c.PacketUserDataFile)
	wrong(c.PacketCreateTimeout < time.Minute, "DRONE_PACKET_CREATE_TIMEOUT=%s: want 1m or more", c.PacketCreateTimeout)
	for _, f := range c.PacketFacility {
		wrong(!isCode(f), "DRONE_PACKET_FACILITY=%s: want codes in lower case, such as ewr1", f)
	}
	for _, m := range c.PacketMetro {
		wrong(!isCode(m), "DRONE_PACKET_METRO=%s: want codes in lower case, such as ny", m)
	}
	for name, places := range map[string][]string{"DRONE_PACKET_FACILITY": c.PacketFacility, "DRONE_PACKET_METRO": c.PacketMetro, "DRONE_PACKET_PLAN": c.PacketPlan} {
		wrong(twice(places), "%s=%s: names one twice", name, list(places))
	}
	for _, tag := range c.PacketTags {
		wrong(tag == "hangar" || strings.HasPrefix(tag, "hangar-"), "DRONE_PACKET_TAGS=%s: hangar finds its machines by such tags; choose another one", tag)
	}
	for _, variable := range c.AgentEnviron {
		name, _, found := strings.Cut(variable, "=")
		wrong(!found || name == "", "DRONE_AGENT_ENVIRON=%s: want KEY=value, or the name of a variable that hangar has", name)
	}
	found = append(found, c.machineMistakes()...)
	found = append(found, c.notifyMistakes()...)
	wrong(strings.Contains(c.PacketEndpoint, "/metal"), "DRONE_PACKET_ENDPOINT=%s: want the base URL only; the provider adds /metal/v1", c.PacketEndpoint)
	wrong(!isVersion(c.TerraformVersion), "DRONE_TERRAFORM_VERSION=%s: want a version such as 1.11.4", c.TerraformVersion)
	wrong(len(c.PacketPlan) == 0, "DRONE_PACKET_PLAN=,: want at least one plan, such as c3.small.x86")
	wrong(c.PacketReservation != "" && !isName(c.PacketReservation), "DRONE_PACKET_RESERVATION=%s: want the id of a reservation, or next-available", c.PacketReservation)
	wrong(c.PacketCreateTimeout%time.Second != 0, "DRONE_PACKET_CREATE_TIMEOUT=%s: want whole seconds", c.PacketCreateTimeout)
	wrong(c.Instance != "" && !isName(c.Instance), "DRONE_INSTANCE=%s: want lower case letters, digits and hyphens, since it is a tag of the machines", c.Instance)
	if err := hostName(c.namePrefix()); err != nil {
		wrong(true, "%s=%s: %v", c.namePrefixName(), c.namePrefix(), err)
	}

	oneOf("DRONE_DATABASE_DRIVER", c.DatabaseDriver, "sqlite3")
	found = append(found, c.frontMistakes()...)
	wrong(!isHeader(c.PrometheusToken), "DRONE_PROMETHEUS_AUTH_TOKEN=%s: want letters, digits and signs without spaces, since it is sent in a header", state.Masked)
	oneOf("DRONE_TERRAFORM_APPROVAL", c.TerraformApproval, string(state.ApproveAuto), string(state.ApproveDestroys), string(state.ApproveAll))
	wrong(c.TerraformCheckTimeout < time.Second, "DRONE_TERRAFORM_CHECK_TIMEOUT=%s: want 1s or more", c.TerraformCheckTimeout)
	if err := terraform.MayPass(c.TerraformEnv...); err != nil {
		wrong(true, "DRONE_TERRAFORM_ENV=%s: %v", list(c.TerraformEnv), err)
	}
	atLeast("DRONE_TERRAFORM_STACK_SIZE", c.TerraformStackSize, 1)
	atLeast("DRONE_TERRAFORM_MAX_APPLIES", c.TerraformMaxApplies, 0)
	return found
}

// namePrefix is what the names of new servers begin with.
func (c Config) namePrefix() string {
	if c.PacketHostname != "" {
		return c.PacketHostname
	}
	return c.AgentNamePrefix
}

func (c Config) namePrefixName() string {
	if c.PacketHostname != "" {
		return "DRONE_PACKET_HOSTNAME"
	}
	return "DRONE_AGENT_NAME_PREFIX"
}
