package pools

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is a log that may be read while it is written.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *told) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *told) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// watched is a source over a file, and its log.
func watched(t *testing.T, text string) (*Source, *told) {
	t.Helper()
	log := &told{}
	s := &Source{
		Path: filepath.Join(t.TempDir(), "pools.hcl"), Environment: environment(),
		Every: 5 * time.Millisecond, Changed: func() {}, Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	write(t, s.Path, text)
	return s, log
}

// write replaces a file as an editor does.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func names(s *Source) string {
	var list []string
	for _, p := range s.At(time.Now()).Pools {
		list = append(list, p.Name)
	}
	return strings.Join(list, " ")
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": did not come about")
		}
	}
}

// The file is read again when it changes, but counts only when it is in order.
func TestChangesCountWhenTheyAreInOrder(t *testing.T) {
	s, log := watched(t, `pool "a" {}`)
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 10)
	s.Changed = func() { changed <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	if names(s) != "a" {
		t.Fatal(names(s))
	}
	write(t, s.Path, "pool \"a\" {}\npool \"b\" {}")
	<-changed
	if names(s) != "a b" {
		t.Error(names(s))
	}
	for _, bad := range []string{`pool "c" { max = 0 }`, `pool "c" {`} {
		before := log.count("not in order")
		write(t, s.Path, bad)
		until(t, "a mistake is told", func() bool { return log.count("not in order") > before })
		time.Sleep(10 * s.Every)
		if n := log.count("not in order"); n != before+1 {
			t.Errorf("told %d times", n-before)
		}
	}
	if err := os.Remove(s.Path); err != nil {
		t.Fatal(err)
	}
	until(t, "that it is gone is told", func() bool { return log.count("no such file") == 1 })
	if names(s) != "a b" {
		t.Error(names(s))
	}
	write(t, s.Path, `pool "d" {}`)
	<-changed
	if names(s) != "d" {
		t.Error(names(s))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A reload that somebody asks for looks into the folders of modules, too.
func TestReload(t *testing.T) {
	s, _ := watched(t, "pool \"a\" {\n module = \"./hall\"\n settings = { size = 1 }\n}")
	folder := mine(t, filepath.Dir(s.Path), "hall")
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	var installed []string
	s.Adopt = func(set *Set) error {
		if len(installed) == 2 {
			return errors.New("no space left")
		}
		installed = append(installed, set.Modules[0].Folder())
		return nil
	}
	first := s.At(time.Now()).Pools[0].Candidates[0].Module
	for i, more := range []string{"", "\n", "\n\n"} {
		if err := os.WriteFile(filepath.Join(folder, "more.tf"), []byte(`variable "x" { default = 1 }`+more), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(); (err != nil) != (i == 2) {
			t.Fatal(err)
		}
	}
	now := s.At(time.Now()).Pools[0].Candidates[0].Module
	if len(installed) != 2 || now != installed[1] || now == first || installed[0] == installed[1] {
		t.Errorf("%s, then %v, now %s", first, installed, now)
	}
	if err := os.Remove(filepath.Join(folder, "main.tf")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "module hall") {
		t.Errorf("%v", err)
	}
	if s.At(time.Now()).Pools[0].Candidates[0].Module != now {
		t.Error("a module that is not in order counts")
	}
}

// What fails for a passing reason is tried again, and told once.
func TestPassingFailureIsTriedAgain(t *testing.T) {
	s, log := watched(t, `pool "a" {}`)
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	full := true
	s.Adopt = func(*Set) error {
		mu.Lock()
		defer mu.Unlock()
		if full {
			return errors.New("no space left")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	write(t, s.Path, `pool "b" {}`)
	until(t, "it is told", func() bool { return log.count("no space left") == 1 })
	time.Sleep(10 * s.Every)
	mu.Lock()
	full = false
	mu.Unlock()
	until(t, "it counts", func() bool { return names(s) == "b" })
	if n := log.count("no space left"); n != 1 {
		t.Errorf("told %d times", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	s := &Source{Environment: environment(), Changed: func() {}}
	if err := s.Load(); err != nil || names(s) != "default" {
		t.Errorf("%v", err)
	}
	s.Environment.Module = "nothing"
	if err := s.Reload(); err == nil || names(s) != "default" {
		t.Errorf("%v", err)
	}
	s.Environment.Usable = func(string) error { return errors.New("no key") }
	s.Environment.Module = "packet"
	if err := s.Reload(); err == nil || err.Error() != "no key" {
		t.Errorf("%v", err)
	}
}
