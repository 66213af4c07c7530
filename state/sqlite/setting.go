package sqlite

import (
	"context"
	"crypto/rand"
	"strings"

	"hangar/state"
)

// Instance returns the installation's id, by which its machines are tagged. At
// the first call it is want or, when want is empty, made at random; it is kept
// from then on. Another want than the kept one is Invalid. Where it is want,
// there may be machines of an installation whose records are lost: see Takeover.
func (s *Store) Instance(ctx context.Context, want string) (id string, err error) {
	err = s.write(ctx, "read the installation's id", func(t tx) error {
		kept, found, err := one(t, plain[string], "SELECT value FROM settings WHERE name = 'instance'")
		if err != nil {
			return err
		}
		if id = kept; found {
			if want != "" && want != kept {
				return state.Errorf(state.Invalid,
					"DRONE_INSTANCE=%s, but the database %s belongs to the installation %s: leave DRONE_INSTANCE empty, or use another data folder to take over the machines of %s",
					want, s.path, kept, want)
			}
			return nil
		}
		if id = want; id == "" {
			id = strings.ToLower(rand.Text()[:8]) // 40 bits
		} else if err := t.do("INSERT INTO settings (name, value) VALUES ('takeover', 'not swept yet')"); err != nil {
			return err
		}
		return t.do("INSERT INTO settings (name, value) VALUES ('instance', ?)", id)
	})
	return id, err
}

// Takeover says whether these records were begun under a given id and no sweep
// has seen all devices since: what it finds was there before, and is a person's
// to decide.
func (s *Store) Takeover(ctx context.Context) (yes bool, err error) {
	err = s.read(ctx, "read whether a sweep is the first one", func(t tx) error {
		n, err := t.count("SELECT count(*) FROM settings WHERE name = 'takeover'")
		yes = n > 0
		return err
	})
	return yes, err
}

// Paused says whether an admin has paused the making and removing of servers.
func (s *Store) Paused(ctx context.Context) (yes bool, err error) {
	err = s.read(ctx, "read the pause", func(t tx) error {
		yes, err = paused(t)
		return err
	})
	return yes, err
}

func paused(t tx) (bool, error) {
	n, err := t.count("SELECT count(*) FROM settings WHERE name = 'paused'")
	return n > 0, err
}

// SetPaused records a pause or its end.
func (s *Store) SetPaused(ctx context.Context, yes bool) error {
	return s.write(ctx, "record the pause", func(t tx) error {
		if !yes {
			return t.do("DELETE FROM settings WHERE name = 'paused'")
		}
		return t.do("INSERT INTO settings (name, value) VALUES ('paused', 'by an admin') ON CONFLICT DO NOTHING")
	})
}
