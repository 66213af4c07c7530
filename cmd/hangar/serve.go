package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"hangar/reconciler"
	"hangar/reconciler/agent"
	"hangar/reconciler/api"
	"hangar/reconciler/drone"
	"hangar/reconciler/metrics"
	"hangar/reconciler/notify"
	"hangar/reconciler/pools"
	"hangar/reconciler/terraform"
	"hangar/state"
	"hangar/state/sqlite"
)

type serveCommand struct{}

// Help is the reference of all settings.
func (serveCommand) Help() string {
	return "Every setting is an environment variable; their names are those of drone/autoscaler where it has one.\n\n" + settingsTable()
}

func (serveCommand) Run(p *program) error {
	cfg, err := parseConfig(p.environ)
	if err != nil {
		return err
	}
	log := newLog(p.stderr, cfg)
	warnOfUnknown(log, p.environ)
	for _, name := range cfg.TerraformEnv {
		if _, set := p.environ[name]; !set {
			log.Warn("DRONE_TERRAFORM_ENV names a variable that is not set", "name", name)
		}
	}
	s, err := open(p.ctx, cfg, p.environ, log)
	if err != nil {
		return err
	}
	defer s.close()
	warnOfUnused(log, p.environ, s.pools.At(time.Now()).Pools)
	return s.run(p.ctx)
}

// service is a running hangar: its parts, wired.
type service struct {
	cfg        Config
	log        *slog.Logger
	store      *sqlite.Store
	reconciler *reconciler.Reconciler
	converger  *reconciler.Converger
	sweeper    *reconciler.Sweeper
	keeper     *reconciler.Keeper
	sampler    *reconciler.Sampler
	pools      *pools.Source
	env        atomic.Pointer[map[string][]string] // see moduleEnv
	adopted    chan struct{}                       // pools were, which terraform is to be prepared for
	runner     *terraform.Runner
	hup        chan os.Signal
	notifier   *notify.Notifier
	agents     *reconciler.Agents // nil without SSH
	machines   *machines          // nil without SSH
	listener   net.Listener
	front      *front // nil: plain HTTP
	handler    http.Handler
	pages      *api.Pages
	close      func()
}

// The parts fit each other's needs.
var (
	_ reconciler.Records        = (*sqlite.Store)(nil)
	_ reconciler.ConvergerStore = (*sqlite.Store)(nil)
	_ reconciler.Archive        = (*sqlite.Store)(nil)
	_ reconciler.Folders        = (*terraform.Runner)(nil)
	_ reconciler.Terraform      = (*terraform.Runner)(nil)
	_ reconciler.SweepStore     = (*sqlite.Store)(nil)
	_ reconciler.AgentStore     = (*sqlite.Store)(nil)
	_ reconciler.Machines       = (*machines)(nil)
	_ reconciler.Asker          = (*terraform.Runner)(nil)
	_ reconciler.Queue          = (*drone.Client)(nil)
	_ api.Control               = (*reconciler.Reconciler)(nil)
	_ metrics.Store             = (*sqlite.Store)(nil)
	_ api.PageStore             = pageStore{}
	_ reconciler.SampleStore    = (*sqlite.Store)(nil)
)

// open takes the data folder, opens the store, finds terraform and listens.
// Nothing runs yet.
func open(ctx context.Context, cfg Config, environ map[string]string, log *slog.Logger) (_ *service, err error) {
	agents, err := cfg.agents()
	if err != nil {
		return nil, err
	}
	poolSource, err := cfg.pools(environ, agents, log)
	if err != nil {
		return nil, err
	}
	front, err := cfg.front(log)
	if err != nil {
		return nil, err
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return nil, err
	}
	closers := []func(){lock.release}
	closeAll := func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()

	if err := unfinishedRestore(cfg.Data); err != nil {
		return nil, err
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	closers = append(closers, func() { store.Close() })
	instance, err := store.Instance(ctx, cfg.Instance)
	if err != nil {
		return nil, err
	}
	s := &service{cfg: cfg, log: log, store: store, pools: poolSource, close: closeAll, hup: make(chan os.Signal, 1), adopted: make(chan struct{}, 1)}
	// From now on a SIGHUP does not end hangar, whatever is under way.
	signal.Notify(s.hup, syscall.SIGHUP)
	closers = append(closers, func() { signal.Stop(s.hup) })
	if cfg.SSH {
		keys, err := agent.LoadKeys(cfg.sshFolder(), cfg.SSHKeyFile)
		if err != nil {
			return nil, err
		}
		hostKey := func(server string) (string, string, error) {
			private, public, err := keys.HostKey(server)
			return string(private), public, err
		}
		if err := agents.enter(cfg.sampleServer(), keys.AuthorizedKey(), hostKey); err != nil {
			return nil, err
		}
		client, err := newClient(cfg, keys)
		if err != nil {
			return nil, err
		}
		closers = append(closers, client.Close)
		s.machines = &machines{client, cfg.private(), cfg.secrets(environ, agents.environ)}
	}
	runner, err := newRunner(ctx, cfg, environ, filepath.Join(cfg.Data, "terraform"), instance, agents, func() map[string][]string { return *s.env.Load() })
	if err != nil {
		return nil, err
	}
	s.runner = runner
	poolSource.Adopt = func(set *pools.Set) error { return s.adopt(context.WithoutCancel(ctx), environ, runner, set) }
	if err := poolSource.Adopt(poolSource.Set()); err != nil {
		return nil, err
	}
	if ended, err := runner.EndOrphans(); err != nil {
		log.Warn("provider processes that an earlier hangar left behind could not be ended", "error", err)
	} else if ended > 0 {
		log.Info("provider processes that an earlier hangar left behind were ended", "processes", ended)
	}
	listener, err := net.Listen("tcp", cfg.listen())
	if err != nil {
		return nil, fmt.Errorf("listen: %w; set DRONE_HTTP_PORT to a free port", err)
	}
	closers = append(closers, func() { listener.Close() })
	if front != nil {
		if err := front.tell(cfg.Data); err != nil {
			return nil, err
		}
	}
	if err := lock.tell(baseURL(cfg, listener.Addr())); err != nil {
		return nil, err
	}

	s.listener, s.front = listener, front
	queue := drone.New(cfg.ServerURL(), cfg.ServerToken)
	if cfg.LogsTrace {
		queue.HTTP.Transport = traced{queue.HTTP.Transport, log}
	}
	s.reconciler = reconciler.New(queue, store, poolSource)
	poolSource.Changed = s.reconciler.Poke
	s.reconciler.StackSize, s.reconciler.Interval, s.reconciler.Log = cfg.TerraformStackSize, cfg.Interval, log
	s.converger = reconciler.NewConverger(store, runner, queue)
	s.converger.Log, s.converger.Applies = log, cfg.TerraformMaxApplies
	if s.converger.Applies == 0 {
		s.converger.Applies = appliesByMemory()
	}
	s.converger.Instance, s.converger.Settle, s.converger.Retry = instance, cfg.TerraformSettle, cfg.TerraformRetry
	s.converger.Approval = state.Approval(cfg.TerraformApproval)
	if s.converger.Check, err = newCheck(cfg, environ, agents.environ); err != nil {
		return nil, err
	}
	s.sweeper = newSweeper(cfg, store, runner, poolSource, instance)
	s.sweeper.Log = log
	s.reconciler.Committed, s.converger.Finished = s.converger.Poke, s.reconciler.Poke
	s.converger.Unclear, s.sweeper.Look = s.sweeper.Poke, func() { s.converger.Poke(); s.reconciler.Poke() }
	s.reconciler.SSH, s.reconciler.Overdue, s.converger.SSH = cfg.SSH, cfg.TimeoutStop, cfg.SSH
	if cfg.SSH {
		s.attend()
	}
	if s.notifier, err = newNotifier(cfg, store, log); err != nil {
		return nil, err
	}
	if err := s.notifier.Begin(ctx); err != nil {
		return nil, err
	}
	s.announce()
	measured := s.measure(poolSource, runner)
	s.keeper = &reconciler.Keeper{
		Archive: store, Folders: runner,
		Keep: cfg.Keep, KeepStates: cfg.StateKeep.Count, KeepStatesFor: cfg.StateKeep.Age, KeepEvents: cfg.EventsKeep, Every: time.Hour, Now: time.Now, Log: log,
	}
	s.handler = s.rest(queue, measured).Handler()
	log.Info("starting", "release", Version, "instance", instance, "terraform", runner.Binary.Path, "version", runner.Binary.Version,
		"applies", s.converger.Applies, "pools", summary(poolSource), "server", cfg.ServerURL())
	if !cfg.SSH {
		log.Warn("DRONE_AGENT_SSH=false: agents are drained by watching the queue, which is best effort: nothing can stop an agent from taking one more build")
	}
	return s, nil
}

// sshFolder is where the installation's keys are.
func (c Config) sshFolder() string { return filepath.Join(c.Data, "ssh") }

// run serves until ctx ends. Then it starts nothing new and waits for the
// applies in flight, as long as the grace lasts; REST answers meanwhile.
func (s *service) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer s.serveOn(s.listener, fail)()
	s.log.Info("serving", "address", s.listener.Addr().String(), "proto", s.cfg.scheme())

	loops, loopCtx := errgroup.WithContext(ctx)
	loops.Go(func() error { return s.reconciler.Run(loopCtx) })
	loops.Go(func() error { return s.converger.Run(loopCtx) })
	loops.Go(func() error { return s.sweeper.Run(loopCtx) })
	loops.Go(func() error { return s.keeper.Run(loopCtx) })
	loops.Go(func() error { return s.pools.Run(loopCtx) })
	loops.Go(func() error { return s.hangUp(loopCtx) })
	loops.Go(func() error { return s.prepare(loopCtx) })
	loops.Go(func() error { return s.notifier.Run(loopCtx) })
	if s.agents != nil {
		loops.Go(func() error { return s.agents.Run(loopCtx) })
	}
	ended := make(chan error, 1)
	go func() { ended <- loops.Wait() }()

	select {
	case err := <-ended:
		if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
		s.sampler.Flush()
		if err := s.notifier.Gather(context.WithoutCancel(ctx)); err != nil {
			s.log.Warn("the last events could not be gathered; they are at the next start", "error", err)
		}
		if err == nil {
			s.log.Info("stopped")
		}
		return err
	case <-after(ctx, s.cfg.ShutdownGrace):
		return errors.New("applies were still in flight when DRONE_SHUTDOWN_GRACE was over; what they leave is judged at the next start")
	}
}

// hangUp reads the pools again whenever a SIGHUP asks for it.
func (s *service) hangUp(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hup:
		}
		if err := s.pools.Reload(); err != nil {
			s.log.Error("SIGHUP: the pools are not in order; they stay as they were", "error", err)
			continue
		}
		s.log.Info("SIGHUP: the pools were read again", "pools", summary(s.pools))
	}
}

// summary is the pools in a few words: their names and sizes.
func summary(s *pools.Source) string {
	var words []string
	for _, p := range s.At(time.Now()).Pools {
		words = append(words, fmt.Sprintf("%s %d to %d", p.Name, p.Min, p.Max))
	}
	return strings.Join(words, ", ")
}

// after returns a channel that closes so long after ctx ended.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(over) }) })
	return over
}
