package sqlite

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"hangar/state"
)

// ModuleEnv records which variables the terraforms of modules get, by the
// module's name, and returns all that were ever recorded: the machines of a
// module that no pool names any more still have to be destroyed.
func (s *Store) ModuleEnv(ctx context.Context, env map[string][]string) (all map[string][]string, err error) {
	err = s.write(ctx, "record the variables of modules", func(t tx) error {
		all = map[string][]string{}
		kept, found, err := one(t, plain[string], "SELECT value FROM settings WHERE name = 'module_env'")
		if err == nil && found {
			err = json.Unmarshal([]byte(kept), &all)
		}
		if err != nil {
			return err
		}
		for module, names := range env {
			for _, name := range names {
				if !slices.Contains(all[module], name) {
					all[module] = append(all[module], name)
				}
			}
		}
		return t.do("INSERT INTO settings (name, value) VALUES ('module_env', ?) ON CONFLICT DO UPDATE SET value = excluded.value", asJSON{all})
	})
	return all, err
}

// Specify notes of servers of which it is not known what they were made of, but
// whose stack is as one of the pools' candidates would make it now, that they are
// up to date, and what they cost. An earlier release made them.
func (s *Store) Specify(ctx context.Context, pools []state.Pool) error {
	type unknown struct {
		server string
		state.Stack
	}
	return s.write(ctx, "note what servers were made of", func(t tx) error {
		servers, err := all(t, func(r row) (u unknown, err error) {
			err = r.Scan(&u.server, &u.Pool, &u.Candidate, &u.Module, asJSON{&u.Settings})
			return u, err
		}, `SELECT servers.name, servers.pool, candidate, module, settings FROM servers JOIN stacks ON stacks.name = servers.stack
			WHERE servers.spec = '' AND servers.phase <> 'stopped' AND servers.condemned = 0`)
		if err != nil {
			return err
		}
		for _, u := range servers {
			for _, k := range (state.Roster{Pools: pools}).Pool(u.Pool).Candidates {
				if k.Name != u.Candidate || k.Module != u.Module || !reflect.DeepEqual(k.Settings, u.Settings) {
					continue
				}
				if err := t.do("UPDATE servers SET spec = ?2, price = CASE price WHEN 0 THEN ?3 ELSE price END WHERE name = ?1", u.server, k.Spec, k.Price); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
