package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/joho/godotenv"

	"hangar/state"
	"hangar/templates"
	"hangar/tfmodules"
)

// pools makes the pool that the environment describes: default.
func (c Config) pools(module tfmodules.Module) []state.Pool {
	p := state.Pool{
		Name: "default", Min: c.PoolMin, Max: c.PoolMax, Buffer: c.CapacityBuffer,
		Concurrency: c.AgentConcurrency, NamePrefix: c.namePrefix(),
		Platform: c.platform(), Labels: c.AgentLabels,
		CreateBudget: c.createBudget(),
		MinAge:       c.PoolMinAge, Idle: c.PoolIdle, BillingPeriod: c.PoolBillingPeriod,
	}
	setting, places := "facility", c.PacketFacility
	if len(c.PacketMetro) > 0 {
		setting, places = "metro", c.PacketMetro
	} else if len(places) == 0 {
		places = []string{"ewr1"}
	}
	for _, place := range places {
		for _, plan := range c.PacketPlan {
			settings := map[string]any{
				setting: place, "plan": plan, "image": c.PacketOS, "project_id": c.PacketProjectID,
				"billing_cycle": c.PacketBilling, "create_timeout": c.PacketCreateTimeout.String(),
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
			p.Candidates = append(p.Candidates, state.Candidate{
				Name: place + "/" + plan, Provider: module.Name, Module: module.Folder(), Resource: module.Resource, Settings: settings,
			})
		}
	}
	return []state.Pool{p}
}

func (c Config) platform() state.Platform {
	return state.Platform{OS: c.AgentOS, Arch: c.AgentArch, Variant: c.AgentVersion, Kernel: c.AgentKernel}
}

// agents is what hangar serve puts on every machine.
type agents struct {
	environ  []string // the agent's own, KEY=value
	userData func(state.Server) ([]byte, error)
}

// agents reads the files that the settings name. What cannot be read or
// rendered is told now, not when machines are needed.
func (c Config) agents() (agents, error) {
	var wrong ConfigError
	a := agents{environ: slices.Clone(c.AgentEnviron)}
	if c.AgentEnvFile != "" {
		more, err := godotenv.Read(c.AgentEnvFile)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("DRONE_AGENT_ENV_FILE=%s: %v", c.AgentEnvFile, err))
		}
		for _, name := range slices.Sorted(maps.Keys(more)) {
			a.environ = append(a.environ, name+"="+more[name])
		}
	}
	render, name := templates.CloudInit, "DRONE_AGENT_*"
	if own, set, err := c.ownUserData(); set != "" {
		name = set
		if err == nil {
			render, err = templates.Custom(own)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", set, err))
		}
	}
	if wrong != nil {
		return agents{}, wrong
	}
	pl := c.platform()
	a.userData = func(s state.Server) ([]byte, error) {
		return render(templates.Agent{
			Name: s.Name, Image: c.AgentImage, Proto: c.ServerProto, Host: c.ServerHost, Secret: c.AgentToken,
			Capacity: s.Capacity, OS: pl.OS, Arch: pl.Arch, Variant: pl.Variant, Kernel: pl.Kernel,
			Labels: c.AgentLabels, Environ: a.environ, Volumes: c.AgentVolumes,
		})
	}
	if _, err := a.userData(state.Server{Name: c.namePrefix() + "aaaaaaaa", Capacity: 1}); err != nil {
		return agents{}, ConfigError{fmt.Sprintf("%s: no cloud-init can be rendered: %v", name, err)}
	}
	return a, nil
}

// ownUserData returns the user's template and the name of the setting that it
// comes from; an empty name when there is none.
func (c Config) ownUserData() (text, name string, err error) {
	switch {
	case c.PacketUserDataFile != "":
		bytes, err := os.ReadFile(c.PacketUserDataFile)
		return string(bytes), "DRONE_PACKET_USERDATA_FILE", err
	case c.PacketUserData != "":
		return c.PacketUserData, "DRONE_PACKET_USERDATA", nil
	}
	return "", "", nil
}
