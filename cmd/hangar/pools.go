package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hangar/reconciler/pools"
	"hangar/reconciler/terraform"
	"hangar/state"
	"hangar/state/sqlite"
)

// poolsEvery is how often the pools file is looked at for changes.
const poolsEvery = 2 * time.Second

// pools reads which pools there are. What is wrong with them is a ConfigError.
func (c Config) pools(environ map[string]string, a *agents, log *slog.Logger) (*pools.Source, error) {
	s := &pools.Source{Path: c.PoolsFile, Environment: c.poolEnvironment(environ, a), Changed: func() {}, Every: poolsEvery, Log: log}
	if err := s.Load(); err != nil {
		if mistakes, ok := errors.AsType[pools.Mistakes](err); ok {
			return nil, ConfigError(mistakes)
		}
		name := "DRONE_POOLS_FILE=" + c.PoolsFile
		if c.PoolsFile == "" {
			name = "DRONE_TERRAFORM_MODULE=" + c.TerraformModule
		}
		return nil, ConfigError{fmt.Sprintf("%s: %v", name, err)}
	}
	a.pool = func(name string) state.Pool { return s.At(time.Now()).Pool(name) }
	return s, nil
}

// poolEnvironment is what the settings tell of pools.
func (c Config) poolEnvironment(environ map[string]string, a *agents) pools.Environment {
	module := c.TerraformModule
	if module != "packet" && strings.HasPrefix(module, ".") { // from where hangar was started, not from the pools file
		if folder, err := filepath.Abs(module); err == nil {
			module = folder
		}
	}
	settings := map[string]map[string]any{"packet": c.packetSettings()}
	candidates := map[string][]map[string]any{"packet": c.packetPlaces()}
	for name, account := range c.accounts(environ) {
		settings[name], candidates[name] = account.settings, account.places
	}
	if own := filepath.Base(module); module != "packet" {
		if settings[own] == nil {
			settings[own] = map[string]any{}
		}
		for name, value := range c.TerraformSettings {
			settings[own][name] = value
		}
	}
	buffer, learn, _ := pools.ParseBuffer(c.CapacityBuffer) // it was read when the settings were
	return pools.Environment{
		Pool: state.Pool{
			Name: "default", Min: c.PoolMin, Max: c.PoolMax, Buffer: buffer, LearnBuffer: learn,
			Concurrency: c.AgentConcurrency, NamePrefix: c.namePrefix(),
			Platform: c.platform(), Labels: c.AgentLabels,
			CreateBudget: c.PoolCreateBudget, MaxUnavailable: 1,
			MinAge: c.PoolMinAge, Idle: c.PoolIdle, BillingPeriod: c.PoolBillingPeriod,
		},
		Module: module, Settings: settings, Candidates: candidates,
		Usable: func(module string) error {
			var missing []error
			for name, value := range map[string]string{"DRONE_PACKET_APIKEY": c.PacketAPIKey, "DRONE_PACKET_PROJECT_ID": c.PacketProjectID} {
				if module == "packet" && value == "" {
					missing = append(missing, fmt.Errorf("module packet needs %s: %s", name, needOf(name)))
				}
			}
			return errors.Join(append(missing, usable(module, environ))...)
		},
		Billed: billed(environ),
		Env:    c.TerraformEnv,
		Has: func(name string) error {
			if _, set := environ[name]; !set {
				return fmt.Errorf("env: hangar has no variable %s that it could pass on", name)
			}
			return terraform.MayPass(name)
		},
		Agent: a.digest,
	}
}

// packetSettings are what all places of the module packet have in common.
func (c Config) packetSettings() map[string]any {
	settings := map[string]any{
		"image": c.PacketOS, "billing_cycle": c.PacketBilling, "create_timeout": c.PacketCreateTimeout.String(),
	}
	if c.PacketProjectID != "" {
		settings["project_id"] = c.PacketProjectID
	}
	if len(c.PacketSSHKey) > 0 {
		keys := []any{}
		for _, id := range c.PacketSSHKey {
			keys = append(keys, id)
		}
		settings["project_ssh_key_ids"] = keys
	}
	if c.PacketReservation != "" {
		settings["hardware_reservation_id"] = c.PacketReservation
	}
	return settings
}

// packetPlaces are the places and plans in order of preference: for each place in
// turn, each plan in turn.
func (c Config) packetPlaces() (list []map[string]any) {
	setting, places := "facility", c.PacketFacility
	if len(c.PacketMetro) > 0 {
		setting, places = "metro", c.PacketMetro
	} else if len(places) == 0 {
		places = []string{"ewr1"}
	}
	for _, place := range places {
		for _, plan := range c.PacketPlan {
			list = append(list, map[string]any{setting: place, "plan": plan})
		}
	}
	return list
}

// moduleEnv are the names of the variables that the terraform of each module
// gets. Of a module that no pool names any more it is what it got before: its
// machines are still to be destroyed.
func moduleEnv(ctx context.Context, store *sqlite.Store, set *pools.Set) (map[string][]string, error) {
	env, err := store.ModuleEnv(ctx, set.Env)
	if err != nil {
		return nil, err
	}
	maps.Copy(env, set.Env)
	return env, nil
}

// adopt prepares for a set of pools that is about to count.
func (s *service) adopt(ctx context.Context, environ map[string]string, runner *terraform.Runner, set *pools.Set) error {
	env, err := moduleEnv(ctx, s.store, set)
	if err != nil {
		return err
	}
	for _, m := range set.Modules {
		if m.Census != nil && m.Census.ByName() {
			s.log.Info("the provider of a module can list nothing: its machines are looked for one by one, by the names in the records; those of lost records are not found", "module", m.Name)
		}
		if m.Census == nil {
			s.log.Warn("a module has no census: machines that Terraform forgets cannot be found, and a destruction is believed, not verified", "module", m.Name)
		}
	}
	stacks, err := s.store.Stacks(ctx)
	if err != nil {
		return err
	}
	for module, names := range env {
		live := slices.ContainsFunc(stacks, func(stack state.Stack) bool { return stack.Provider == module && stack.Emptied.IsZero() })
		for _, name := range names {
			if _, has := environ[name]; live && !has {
				s.log.Warn("a module has machines, and a variable that its terraform had is not set any more: they may not be destroyed without it", "module", module, "name", name)
			}
		}
	}
	if err := s.store.Specify(ctx, set.At(time.Now()).Pools); err != nil {
		return err
	}
	if err := runner.Install(set.Modules...); err != nil {
		return err
	}
	s.env.Store(&env)
	select {
	case s.adopted <- struct{}{}:
	default: // it is told already
	}
	return nil
}

// prepare has terraform ready for each module before the first stack needs it,
// whenever pools were adopted. What fails is told by the run that needs it.
func (s *service) prepare(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.adopted:
		}
		done := map[string]bool{}
		for _, p := range s.pools.At(time.Now()).Pools {
			for _, c := range p.Candidates {
				if done[c.Module] {
					continue
				}
				done[c.Module] = true
				if err := s.runner.Prepare(ctx, c); err != nil && ctx.Err() == nil {
					s.log.Warn("terraform could not be made ready ahead; the first run that needs it tries again", "module", c.Provider, "error", err)
				}
			}
		}
	}
}

// keys are the variables that the terraform of each module gets.
func (c Config) keys(environ map[string]string, env map[string][]string) map[string]map[string]string {
	keys := map[string]map[string]string{"packet": {"METAL_AUTH_TOKEN": c.PacketAPIKey}}
	for module, account := range c.accounts(environ) {
		keys[module] = account.env
	}
	for module, names := range env {
		if keys[module] == nil {
			keys[module] = map[string]string{}
		}
		for _, name := range names {
			if value, set := environ[name]; set {
				keys[module][name] = value
			}
		}
	}
	return keys
}

func (c Config) platform() state.Platform {
	return state.Platform{OS: c.AgentOS, Arch: c.AgentArch, Variant: c.AgentVersion, Kernel: c.AgentKernel}
}

// digest is of all that an agent on a server of the pool is told: servers with
// another one are outdated.
func (a *agents) digest(p state.Pool) string {
	text, err := json.Marshal([]any{a.of(p), a.template})
	var told any
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err == nil {
		text, err = json.Marshal(filled(told))
	}
	if err != nil {
		panic(err) // it is made of what JSON has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// filled leaves out what is empty, so that a field that a later release adds
// changes nothing where it is not used.
func filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if v[name] = filled(field); v[name] == nil {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = filled(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string, float64, bool:
		if v == "" || v == 0.0 || v == false {
			return nil
		}
	}
	return v
}
