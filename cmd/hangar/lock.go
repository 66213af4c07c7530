package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gofrs/flock"
)

// dataLock is the hold on a data folder: no two processes reconcile the same
// records. Its file tells who has it and where that one answers.
type dataLock struct {
	path string
	lock *flock.Flock
}

func openLock(data string) *dataLock {
	path := filepath.Join(data, "hangar.lock")
	return &dataLock{path, flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))}
}

// lockData takes the data folder for this process.
func lockData(data string) (*dataLock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w; %s", err, writable(data, err))
	}
	l := openLock(data)
	held, err := l.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w; %s", err, writable(data, err))
	}
	if !held {
		holder, _ := os.ReadFile(l.path)
		return nil, fmt.Errorf("the data folder %s is in use by %s; end it first, or set DRONE_DATA to another folder", data, strings.TrimSpace(string(holder)))
	}
	if err := l.tell(""); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// writable says what to do about a data folder that cannot be written. That of
// drone/autoscaler, or of hangar run as root, belongs to root.
func writable(data string, err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf("hangar runs as user %d: give it the folder that is mounted at %s (on its host: chown -R %d FOLDER), run hangar as the owner, or set DRONE_DATA to another folder", os.Getuid(), data, os.Getuid())
	}
	return "set DRONE_DATA to a folder that can be written"
}

// tell writes down who holds the folder, and, once that is known, where it
// answers.
func (l *dataLock) tell(url string) error {
	holder := fmt.Sprintf("process %d", os.Getpid())
	if url != "" {
		holder += " at " + url
	}
	if err := os.WriteFile(l.path, []byte(holder+"\n"), 0o600); err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	return nil
}

func (l *dataLock) release() { l.lock.Unlock() }

var holderURL = regexp.MustCompile(`^process \d+ at (\S+)`)

// runningServer returns the base URL of the hangar that holds a data folder;
// empty: none does. One that does not serve yet is an error.
func runningServer(data string) (url string, err error) {
	l := openLock(data)
	if _, err := os.Stat(l.path); err != nil {
		return "", nil
	}
	free, err := l.lock.TryRLock()
	if err != nil {
		return "", fmt.Errorf("look whether hangar runs: %w", err)
	}
	if free {
		l.release()
		return "", nil
	}
	holder, err := os.ReadFile(l.path)
	if err != nil {
		return "", fmt.Errorf("look where hangar answers: %w", err)
	}
	m := holderURL.FindStringSubmatch(string(holder))
	if m == nil {
		return "", fmt.Errorf("the data folder %s is in use by %s, which does not answer yet: try again", data, strings.TrimSpace(string(holder)))
	}
	return m[1], nil
}

// baseURL is where a hangar that listens at addr is asked from this machine.
func baseURL(cfg Config, addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return cfg.scheme() + "://" + net.JoinHostPort(host, port) + strings.TrimSuffix(cfg.HTTPRoot, "/")
}
