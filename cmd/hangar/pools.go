package main

import (
	"hangar/state"
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
