package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"hangar/reconciler/simulator"
)

// benched is a hangar serve that is measured, with its world.
type benched struct {
	simulation
	asker
	dir     string // its data folder
	mirror  string
	environ map[string]string

	command *exec.Cmd
	log     bytes.Buffer
	close   []func() error
}

// world makes a world for a hangar, in which builds run for an hour.
func (b *bench) world() (*benched, error) {
	w, closeWorld, err := simulateCommand{BootTime: b.BootTime, BuildTime: time.Hour, Drone: "127.0.0.1:0", API: "127.0.0.1:0"}.world(&program{ctx: b.ctx})
	if err != nil {
		return nil, err
	}
	s := &benched{simulation: w, close: []func() error{func() error { closeWorld(); return nil }}}
	if s.dir, err = os.MkdirTemp(b.dir, "data-"); err != nil {
		return nil, errors.Join(err, s.end())
	}
	if s.mirror = b.Mirror; s.mirror == "" {
		s.mirror = filepath.Join(s.dir, "terraform", "simulated")
		if err := simulator.Mirror(s.mirror, simulator.Waits{}); err != nil {
			return nil, errors.Join(err, s.end())
		}
	}
	s.environ = maps.Clone(b.program.environ)
	maps.Copy(s.environ, w.environ())
	maps.Copy(s.environ, map[string]string{
		"DRONE_DATA": s.dir, "DRONE_DATABASE_DATASOURCE": "", "DRONE_HTTP_PORT": "127.0.0.1:0", "DRONE_TERRAFORM_MIRROR": s.mirror,
		"DRONE_PACKET_PLAN": "c3.small.x86", "DRONE_INSTALL_CHECK_INTERVAL": "200ms", "DRONE_AGENT_CONCURRENCY": "1",
		"DRONE_POOL_MIN": "0", "DRONE_POOL_MAX": "100000", "DRONE_WEBHOOK_SECRET": "bench",
	})
	return s, nil
}

// serve starts hangar in the world, with some settings changed, and waits until
// it answers.
func (b *bench) serve(s *benched, more map[string]string) error {
	maps.Copy(s.environ, more)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.command = exec.Command(self, "serve")
	s.command.Args[0] = "hangar"
	for _, name := range slices.Sorted(maps.Keys(s.environ)) {
		s.command.Env = append(s.command.Env, name+"="+s.environ[name])
	}
	s.command.Stderr = &s.log
	if err := s.command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.command.Wait() }()
	s.close = append(s.close, func() error {
		_ = s.command.Process.Signal(os.Interrupt) // it may have ended
		if err := <-ended; err != nil {
			return fmt.Errorf("hangar serve: %w\n%s", err, s.log.Bytes())
		}
		return nil
	})
	err = eventually(b.ctx, "hangar serves", time.Minute, func() (bool, error) {
		select {
		case err := <-ended:
			ended <- err
			return false, errors.New("hangar serve has ended")
		default:
		}
		s.asker, err = newAsker(&program{ctx: b.ctx, environ: s.environ})
		return err == nil, nil
	})
	if err == nil {
		go s.PostEvents(b.ctx, s.url+"/hook", "bench")
	}
	return err
}

// end stops hangar, then its world.
func (s *benched) end() (err error) {
	for _, f := range slices.Backward(s.close) {
		err = errors.Join(err, f())
	}
	return err
}

// run makes a world with a hangar for as long as something is measured.
func (b *bench) run(more map[string]string, prepare func(*benched), measure func(*benched) error) (err error) {
	s, err := b.world()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if prepare != nil {
		prepare(s)
	}
	if err := b.serve(s, more); err != nil {
		return err
	}
	return measure(s)
}
