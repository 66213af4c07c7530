package session

import (
	"crypto/rand"
	"sync"
	"time"
)

// Invitation is a way in without a password, for one login, once.
type Invitation struct {
	Login string
	Ends  time.Time

	mu    sync.Mutex
	token string // empty: it was taken
}

// Invite returns an invitation, and the token by which it is taken: a secret of
// 128 bits or more.
func Invite(login string, ends time.Time) (i *Invitation, token string) {
	token = rand.Text()
	return &Invitation{Login: login, Ends: ends, token: token}, token
}

// Take takes the invitation, if the token is its own, it was not taken before
// and has not ended.
func (i *Invitation) Take(token string, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.token == "" || !now.Before(i.Ends) || !Same(token, i.token) {
		return false
	}
	i.token = ""
	return true
}
