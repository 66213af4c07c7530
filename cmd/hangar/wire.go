package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hangar/reconciler"
	"hangar/reconciler/agent"
	"hangar/reconciler/api"
	"hangar/reconciler/check"
	"hangar/reconciler/drone"
	"hangar/reconciler/history"
	"hangar/reconciler/metrics"
	"hangar/reconciler/terraform"
	"hangar/state"
	"hangar/state/sqlite"
)

// attend wires the loop that looks after the runners on the machines.
func (s *service) attend() {
	a := reconciler.NewAgents(s.store, s.machines)
	a.Check, a.Deadline, a.Private, a.Log = s.cfg.CheckInterval, s.cfg.CheckDeadline, s.cfg.private(), s.log
	a.AtOnce, a.Grace, s.reconciler.Grace = s.machines.Limit, s.cfg.AgentGrace, s.cfg.AgentGrace
	if a.Ping = 0; s.cfg.PingerEnabled {
		a.Ping = s.cfg.PingerInterval
	}
	s.agents, a.Changed = a, s.reconciler.Poke
	s.reconciler.Committed = func() { s.converger.Poke(); a.Poke() }
	s.converger.Finished = func() { s.reconciler.Poke(); a.Poke() }
}

// measure lets the loops and terraform tell the metrics what happens.
func (s *service) measure(from reconciler.Pools, runner *terraform.Runner) *metrics.Metrics {
	m := metrics.New(s.store, from)
	m.Processes, m.Log, runner.Ran = runner.Processes, s.log, m.Ran
	s.sampler = &reconciler.Sampler{Store: s.store, Every: time.Minute, Wait: m.Oldest, Log: s.log}
	s.reconciler.QueueRead, s.reconciler.Ended = m.QueueRead, m.Ended
	s.reconciler.Decided = func(stages []state.Stage, servers []state.Server, d state.Decision) {
		m.Decided(stages, servers, d)
		s.sampler.Decided(d)
	}
	s.converger.Guarded, s.converger.Ended, s.converger.Looked = m.Guarded, m.Ended, m.Looked
	s.sweeper.Made = m.Made
	return m
}

// pageStore is the records, with the samples that are not recorded yet.
type pageStore struct {
	*sqlite.Store
	sampler *reconciler.Sampler
}

// Samples returns the most that was sampled in each span.
func (p pageStore) Samples(ctx context.Context, since time.Time, step time.Duration) ([]state.Sample, error) {
	return p.sampler.Samples(ctx, since, step)
}

// rest makes what answers over HTTP.
func (s *service) rest(queue *drone.Client, measured *metrics.Metrics) *api.API {
	rest := api.New(s.store, s.reconciler, s.sweeper, queue)
	rest.Root, rest.Health, rest.Log = s.cfg.HTTPRoot, s.reconciler.Health, s.log
	rest.Version = api.Version{Source: source, Version: Version, Commit: Commit}
	rest.Metrics, rest.MetricsToken = measured.Handler(), s.cfg.PrometheusToken
	if s.cfg.WebhookSecret != "" {
		rest.Hook = drone.Hook(s.cfg.WebhookSecret, s.reconciler.Poke, s.log)
	}
	if s.machines != nil {
		rest.Machines = logReader{*s.machines}
	}
	s.pages = &api.Pages{
		Store: pageStore{s.store, s.sampler}, Pools: s.pools, States: stateTeller{history.History{Store: s.store}}, Unread: measured.Unread, Wait: measured.Oldest,
		Username: s.cfg.UIUsername, Password: s.cfg.UIPassword, Realm: s.cfg.UIRealm,
	}
	rest.Pages, s.notifier.Gathered = s.pages, rest.EventsRecorded
	return rest
}

// newCheck makes what is asked about plans; nil when nobody is.
func newCheck(cfg Config, environ map[string]string, agent []string) (reconciler.Check, error) {
	if cfg.TerraformCheck == "" {
		return nil, nil
	}
	env, err := terraform.Environment(func(name string) (string, bool) { v, ok := environ[name]; return v, ok }, nil)
	if err != nil {
		return nil, err
	}
	secrets := cfg.secrets(environ, agent)
	c := check.New(cfg.TerraformCheck, env)
	c.Timeout, c.Mask = cfg.TerraformCheckTimeout, func(text string) string { return mask(text, secrets) }
	if err := c.Possible(); err != nil {
		return nil, ConfigError{"DRONE_TERRAFORM_CHECK: " + err.Error()}
	}
	return c, nil
}

// newClient makes what reaches the machines over SSH.
func newClient(cfg Config, keys *agent.Keys) (*agent.Client, error) {
	c := agent.New(keys)
	c.User, c.Port, c.Timeout = cfg.SSHUser, cfg.SSHPort, cfg.SSHTimeout
	c.ProxyJump, c.ProxyJumpKey = cfg.SSHJump, cfg.SSHJumpKey
	if err := c.Check(); err != nil {
		return nil, ConfigError{"DRONE_SSH_*: " + err.Error()}
	}
	return c, nil
}

func newSweeper(cfg Config, store *sqlite.Store, runner *terraform.Runner, pools reconciler.Pools, instance string) *reconciler.Sweeper {
	s := reconciler.NewSweeper(store, runner, pools, instance)
	s.Interval, s.Confirm = cfg.SweepInterval, cfg.SweepConfirm
	return s
}

// openStore opens the records; a database of drone/autoscaler in their place
// is kept aside.
func openStore(ctx context.Context, cfg Config, log *slog.Logger) (*sqlite.Store, error) {
	path := cfg.databasePath()
	servers, aside, err := sqlite.SetAside(ctx, path)
	if err != nil {
		return nil, err
	}
	if aside != "" {
		log.Warn("a database of drone/autoscaler was found and is kept aside, untouched; hangar never touches its machines: remove them yourself when their builds are done",
			"kept", aside, "running", strings.Join(servers, ", "))
	}
	return sqlite.Open(ctx, path)
}

// databasePath is the file of the records. The options after a question mark
// that drone/autoscaler's image sets are not needed.
func (c Config) databasePath() string {
	path, _, _ := strings.Cut(strings.TrimPrefix(c.DatabaseDatasource, "file:"), "?")
	if path == "" {
		return filepath.Join(c.Data, "database.sqlite")
	}
	return path
}

// newRunner finds terraform, or installs it below dir, and gives it what it
// needs to work in the data folder.
func newRunner(ctx context.Context, cfg Config, environ map[string]string, dir, instance string, a *agents, moduleEnv func() map[string][]string) (*terraform.Runner, error) {
	if cfg.TerraformMirror != "" {
		if info, err := os.Stat(cfg.TerraformMirror); err != nil || !info.IsDir() {
			return nil, ConfigError{fmt.Sprintf("DRONE_TERRAFORM_MIRROR=%s: there is no such folder; terraform providers mirror makes one", cfg.TerraformMirror)}
		}
	}
	binary, err := terraform.Find(ctx, terraform.FindOptions{
		Binary: cfg.TerraformBinary, Version: cfg.TerraformVersion, Dir: dir,
	})
	if err != nil {
		return nil, err
	}
	env, err := terraform.Environment(func(name string) (string, bool) { v, ok := environ[name]; return v, ok }, nil)
	if err != nil {
		return nil, err
	}
	r, err := terraform.New(cfg.Data, binary)
	if err != nil {
		return nil, err
	}
	r.Mirror, r.Env, r.Instance, r.ExtraTags = cfg.TerraformMirror, env, instance, map[string][]string{"packet": cfg.PacketTags}
	r.Keys = func() map[string]map[string]string { return cfg.keys(environ, moduleEnv()) }
	r.UserData, r.Secrets = a.userData, cfg.secrets(environ, a.environ)
	if cfg.PacketEndpoint != "" {
		r.Provider = map[string]map[string]any{"packet": {"endpoint": cfg.PacketEndpoint}}
	}
	return r, nil
}
