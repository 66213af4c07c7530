package sqlite

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"time"

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
		} else if err := t.do("INSERT INTO settings (name, value) VALUES ('takeover', '')"); err != nil {
			return err
		}
		return t.do("INSERT INTO settings (name, value) VALUES ('instance', ?)", id)
	})
	return id, err
}

// KnownInstance returns the installation's id; empty: none was made yet.
func (s *Store) KnownInstance(ctx context.Context) (id string, err error) {
	err = s.read(ctx, "read the installation's id", func(t tx) error {
		id, _, err = one(t, plain[string], "SELECT value FROM settings WHERE name = 'instance'")
		return err
	})
	return id, err
}

// Takeover says whether these records were begun under a given id, and machines
// that sweeps find may have been there before: they are a person's to decide.
// Since is when a sweep first saw everything; zero: none has yet.
func (s *Store) Takeover(ctx context.Context) (yes bool, since time.Time, err error) {
	err = s.read(ctx, "read whether machines are taken over", func(t tx) error {
		value, found, err := one(t, plain[string], "SELECT value FROM settings WHERE name = 'takeover'")
		if yes = found; err != nil || value == "" {
			return err
		}
		us, err := strconv.ParseInt(value, 10, 64)
		since = instant(us)
		return err
	})
	return yes, since, err
}

// Held returns the ids of the devices that were ever held for a person's
// decision, also those that have not been seen since.
func (s *Store) Held(ctx context.Context) (devices []string, err error) {
	err = s.read(ctx, "list held devices", func(t tx) error {
		devices, err = all(t, plain[string], "SELECT DISTINCT device FROM findings WHERE held = 1")
		return err
	})
	return devices, err
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

// SetPaused records that the person of that login paused, or ended a pause.
func (s *Store) SetPaused(ctx context.Context, yes bool, by string, at time.Time) error {
	return s.write(ctx, "record the pause", func(t tx) error {
		statement, kind := "DELETE FROM settings WHERE name = 'paused'", state.PauseEnded
		if yes {
			statement, kind = "INSERT INTO settings (name, value) VALUES ('paused', 'by an admin') ON CONFLICT DO NOTHING", state.PauseBegan
		}
		if changed, err := t.exec(statement); err != nil || changed == 0 {
			return err
		}
		return note(t, occurrence{kind: kind, who: by, at: at})
	})
}
