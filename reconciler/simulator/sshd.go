package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// portKeeper is the address at which ServeSSH holds its port. No device has
// it: they begin at 127.1.0.2.
const portKeeper = "127.1.0.1"

// ServeSSH lets every active device answer SSH at its address, on one port,
// until ctx is done; with port 0, on one that is free. It returns when the
// port is known, and a function that waits for the end and says which
// addresses could not be listened at.
func (w *World) ServeSSH(ctx context.Context, port int) (wait func() error, err error) {
	keeper, err := net.Listen("tcp4", net.JoinHostPort(portKeeper, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("serve SSH: %w", err)
	}
	port = keeper.Addr().(*net.TCPAddr).Port
	w.mu.Lock()
	w.sshPort = port
	w.mu.Unlock()
	s := &sshd{world: w, port: port, doors: map[string]*door{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx)
		s.tasks.Wait()
		keeper.Close() // last, so that no other world gets a port that is still in use
	}()
	return func() error {
		<-done
		return errors.Join(s.errs...)
	}, nil
}

// SSHPort is the port on which machines answer SSH; zero: they do not.
func (w *World) SSHPort() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sshPort
}

// sshd is the SSH servers of all machines.
type sshd struct {
	world *World
	port  int
	tasks sync.WaitGroup
	doors map[string]*door // by device id

	mu   sync.Mutex // guards what follows
	errs []error
}

func (s *sshd) fail(device, what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, fmt.Errorf("device %s: %s: %w", device, what, err))
}

// door is where one device answers.
type door struct {
	device *Device
	login  *login
	close  func() // the door, and then everything that came in by it
}

// run opens and closes doors as devices come and go.
func (s *sshd) run(ctx context.Context) {
	for {
		changed := s.world.Changed()
		s.follow(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// follow opens the doors of the devices that answer, and closes the others.
func (s *sshd) follow(ctx context.Context) {
	open := map[string]*Device{}
	s.world.do(func(time.Time) {
		for _, d := range s.world.devices {
			if d.answers() {
				open[d.ID] = d
			}
		}
	})
	for id, door := range s.doors {
		if open[id] == nil {
			door.close()
			delete(s.doors, id)
		}
	}
	for id, d := range open {
		if s.doors[id] == nil {
			s.doors[id] = s.open(ctx, d)
		}
	}
}

// open lets a device answer. One whose user data brings no host key never
// does.
func (s *sshd) open(ctx context.Context, d *Device) *door {
	inside, cancel := context.WithCancel(ctx)
	door := &door{device: d, close: cancel}
	var userData, address string
	s.world.do(func(time.Time) { userData, address = d.UserData, d.Address })
	var err error
	if door.login, err = readLogin(userData); err != nil {
		s.fail(d.ID, "read its user data", err)
		return door
	}
	if door.login.hostKey == nil {
		return door
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(address, strconv.Itoa(s.port)))
	if err != nil {
		s.fail(d.ID, "serve SSH", err)
		return door
	}
	context.AfterFunc(inside, func() { l.Close() })
	door.close = func() {
		l.Close() // before its connections: who loses one finds it closed
		cancel()
	}
	s.tasks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					s.fail(d.ID, "serve SSH", err)
				}
				return
			}
			s.tasks.Go(func() { s.meet(inside, conn, door) })
		}
	})
	return door
}

// meet lets the faults of connections happen to one, and serves it otherwise.
func (s *sshd) meet(ctx context.Context, conn net.Conn, door *door) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var slow time.Duration
	var fault error
	s.world.do(func(time.Time) { slow, fault = s.world.contact(door.device) })
	switch fault {
	case errReset:
		conn.(*net.TCPConn).SetLinger(0)
		return
	case errTimeout:
		<-ctx.Done()
		return
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return
	}
	s.serve(ctx, conn, door, fault == errHostKey)
}
