package pools

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hangar/state"
)

// Source is where the pools come from while hangar runs: what was last found to
// be in order counts, whatever becomes of the file.
type Source struct {
	Path        string // of the pools file; empty: the environment alone describes the pool
	Environment Environment
	// Adopt is called with a set before it counts. It does not count when that
	// fails.
	Adopt   func(*Set) error
	Changed func() // called after another set has come to count
	Every   time.Duration
	Log     *slog.Logger

	mu   sync.Mutex // one reading at a time
	text []byte     // of the pools that count
	now  atomic.Pointer[Set]
}

// At returns the pools at an instant; after Load.
func (s *Source) At(t time.Time) state.Roster { return s.now.Load().At(t) }

// Set returns the pools that count.
func (s *Source) Set() *Set { return s.now.Load() }

// Load reads the pools for the first time: what is wrong with them is returned,
// and nothing counts.
func (s *Source) Load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Path == "" {
		set, err := s.Environment.One()
		if err != nil {
			return err
		}
		return s.count(set)
	}
	text, err := os.ReadFile(s.Path)
	if err != nil {
		return fmt.Errorf("read the pools: %w", err)
	}
	return s.read(text)
}

// Reload reads the pools again, the folders of modules too. When something is
// wrong with them that is returned, and the old ones go on counting.
func (s *Source) Reload() error {
	if err := s.Load(); err != nil {
		return err
	}
	s.Changed()
	return nil
}

// Run reads the file again when it changes, until ctx ends. A file that is wrong
// or gone is told once; the old pools go on counting.
func (s *Source) Run(ctx context.Context) error {
	if s.Path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := s.look()
		switch {
		case err != nil && err.Error() != told:
			s.Log.Error("the pools file is not in order; the pools stay as they were", "error", err)
			told = err.Error()
		case err == nil && changed:
			s.Log.Info("the pools were read again", "file", s.Path)
			s.Changed()
		}
		if err == nil {
			told = ""
		}
	}
}

// look reads the file if it is another one than before.
func (s *Source) look() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := os.ReadFile(s.Path)
	if err != nil {
		return false, err
	}
	if bytes.Equal(text, s.text) {
		return false, nil
	}
	return true, s.read(text)
}

func (s *Source) read(text []byte) error {
	set, err := Parse(text, s.Path, s.Environment)
	if err == nil {
		err = s.count(set)
	}
	if err != nil {
		return err // it is tried again: what it names may come yet
	}
	s.text = text
	return nil
}

func (s *Source) count(set *Set) error {
	if s.Adopt != nil {
		if err := s.Adopt(set); err != nil {
			return err
		}
	}
	s.now.Store(set)
	return nil
}
