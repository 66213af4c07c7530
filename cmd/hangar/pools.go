package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

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
		MinAge: c.PoolMinAge, Idle: c.PoolIdle, BillingPeriod: c.PoolBillingPeriod,
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

// userData returns what renders a server's cloud-init.
func (c Config) userData() (func(state.Server) ([]byte, error), error) {
	environ := append([]string{}, c.AgentEnviron...)
	if c.AgentEnvFile != "" {
		more, err := godotenv.Read(c.AgentEnvFile)
		if err != nil {
			return nil, ConfigError{fmt.Sprintf("DRONE_AGENT_ENV_FILE=%s: %v", c.AgentEnvFile, err)}
		}
		for _, name := range slices.Sorted(maps.Keys(more)) {
			environ = append(environ, name+"="+more[name])
		}
	}
	own := c.PacketUserData
	if c.PacketUserDataFile != "" {
		text, err := os.ReadFile(c.PacketUserDataFile)
		if err != nil {
			return nil, ConfigError{fmt.Sprintf("DRONE_PACKET_USERDATA_FILE=%s: %v", c.PacketUserDataFile, err)}
		}
		own = string(text)
	}
	render := templates.CloudInit
	if own != "" {
		custom, err := templates.Custom(own)
		if err != nil {
			return nil, ConfigError{fmt.Sprintf("DRONE_PACKET_USERDATA: %v", err)}
		}
		render = custom
	}
	pl := c.platform()
	made := func(s state.Server) ([]byte, error) {
		return render(templates.Agent{
			Name: s.Name, Image: c.AgentImage, Proto: c.ServerProto, Host: c.ServerHost, Secret: c.AgentToken,
			Capacity: s.Capacity, OS: pl.OS, Arch: pl.Arch, Variant: pl.Variant, Kernel: pl.Kernel,
			Labels: c.AgentLabels, Environ: environ, Volumes: c.AgentVolumes,
		})
	}
	// What cannot be rendered is told now, not when machines are needed.
	if _, err := made(state.Server{Name: c.namePrefix() + "aaaaaaaa", Capacity: 1}); err != nil {
		return nil, ConfigError{fmt.Sprintf("the cloud-init of the agents cannot be rendered from DRONE_AGENT_* and DRONE_PACKET_USERDATA: %v", strings.TrimSpace(err.Error()))}
	}
	return made, nil
}
