// Package session remembers who has logged in to the pages, in memory only, and
// slows down who tries passwords.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"
)

const (
	// Lasts is after how long a session ends.
	Lasts = 12 * time.Hour

	maxSessions = 1000 // at once; the one that ends first makes room
)

// Session is a login.
type Session struct {
	Login string
	CSRF  string // what a form must hold to be this session's
	Ends  time.Time

	asked time.Time // whether its owner still may
}

// Sessions are the logins that have not ended. Its methods may be called at any
// time.
type Sessions struct {
	Now func() time.Time

	mu   sync.Mutex
	open map[[sha256.Size]byte]Session // by the SHA-256 of the id, so that ids are not kept
}

// New returns no sessions.
func New() *Sessions {
	return &Sessions{Now: time.Now, open: make(map[[sha256.Size]byte]Session)}
}

// Begin begins a session and returns its id, a secret of 128 bits or more.
func (s *Sessions) Begin(login string) (id string) {
	id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	var first [sha256.Size]byte
	for key, session := range s.open {
		if !now.Before(session.Ends) {
			delete(s.open, key)
		} else if ends := s.open[first].Ends; ends.IsZero() || session.Ends.Before(ends) {
			first = key
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, first)
	}
	s.open[sha256.Sum256([]byte(id))] = Session{Login: login, CSRF: rand.Text(), Ends: now.Add(Lasts), asked: now}
	return id
}

// Find returns the session of that id, unless it has ended.
func (s *Sessions) Find(id string) (Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.open[sha256.Sum256([]byte(id))]
	return session, ok && s.Now().Before(session.Ends)
}

// Due says whether it is to be asked again if the owner of a session still may, a
// minute after that was last asked, and notes that it is.
func (s *Sessions) Due(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := sha256.Sum256([]byte(id)), s.Now()
	session, ok := s.open[key]
	if !ok || now.Sub(session.asked) < time.Minute {
		return false
	}
	session.asked = now
	s.open[key] = session
	return true
}

// End ends the session of that id.
func (s *Sessions) End(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(id)))
}

// Same says whether two secrets are the same, in a time that tells neither of
// them.
func Same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
