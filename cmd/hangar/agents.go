package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/joho/godotenv"

	"hangar/state"
	"hangar/templates"
)

// agents is what hangar serve puts on every machine.
type agents struct {
	environ []string // the agent's own, KEY=value

	agent  templates.Agent // of every machine, without what is one machine's own
	render func(templates.Agent) ([]byte, error)
	own    string // the setting with the user's own template, if there is one

	template string                       // the user's own
	pool     func(name string) state.Pool // as it is now; the zero Pool when there is none of that name

	// How hangar enters the machines. Without hostKey it does not.
	authorizedKey string
	hostKey       func(server string) (private, public string, err error)
}

// agents reads the files that the settings name. What cannot be read or
// rendered is told now, not when machines are needed.
func (c Config) agents() (*agents, error) {
	var wrong ConfigError
	a := &agents{environ: slices.Clone(c.AgentEnviron), render: templates.CloudInit, pool: func(string) state.Pool { return state.Pool{} }}
	if c.AgentEnvFile != "" {
		more, err := godotenv.Read(c.AgentEnvFile)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("DRONE_AGENT_ENV_FILE=%s: %v", c.AgentEnvFile, err))
		}
		for _, name := range slices.Sorted(maps.Keys(more)) {
			a.environ = append(a.environ, name+"="+more[name])
		}
	}
	name := "DRONE_AGENT_*"
	if text, set, err := c.ownUserData(); set != "" {
		a.own, a.template, name = set, text, set
		if err == nil {
			a.render, err = templates.Custom(text)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", set, err))
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	a.agent = c.agent()
	a.agent.Environ = a.environ
	if _, err := a.userData(c.sampleServer()); err != nil {
		return nil, ConfigError{fmt.Sprintf("%s: no cloud-init can be rendered: %v", name, err)}
	}
	return a, nil
}

// agent is what the settings alone tell of all agents.
func (c Config) agent() templates.Agent {
	pl := c.platform()
	return templates.Agent{
		Image: c.AgentImage, Proto: c.ServerProto, Host: c.ServerHost, Secret: c.AgentToken,
		OS: pl.OS, Arch: pl.Arch, Variant: pl.Variant, Kernel: pl.Kernel,
		Labels: c.AgentLabels, Volumes: c.AgentVolumes, Ports: c.AgentPorts,
		RunnerVolumes: c.RunnerVolumes, RunnerDevices: c.RunnerDevices, RunnerPrivileged: c.RunnerPrivileged, RunnerEnvFile: c.RunnerEnvFile,
		GC: templates.GC{
			Enabled: c.GCEnabled, Image: c.GCImage, Debug: c.GCDebug, Ignore: c.GCIgnore, Interval: c.GCInterval, Cache: c.GCCache,
		},
		Watchtower: templates.Watchtower{
			Enabled: c.WatchtowerEnabled, Image: c.WatchtowerImage, Aids: c.WatchtowerAids, Signal: c.WatchtowerSignal,
			Interval: c.WatchtowerInterval, Timeout: c.WatchtowerTimeout,
		},
		SSHUser: c.SSHUser, SSHPort: c.SSHPort,
	}
}

// sampleServer is one to try the user data with.
func (c Config) sampleServer() state.Server {
	return state.Server{Name: c.namePrefix() + "aaaaaaaa", Capacity: 1}
}

// of is the agent of a pool's servers. A pool that there is not is as the
// environment says.
func (a *agents) of(p state.Pool) templates.Agent {
	agent := a.agent
	if p.Name != "" {
		agent.OS, agent.Arch, agent.Variant, agent.Kernel = p.Platform.OS, p.Platform.Arch, p.Platform.Variant, p.Platform.Kernel
		agent.Labels = p.Labels
	}
	return agent
}

// userData renders what a server is born with.
func (a *agents) userData(s state.Server) ([]byte, error) {
	agent := a.of(a.pool(s.Pool))
	agent.Name, agent.Capacity = s.Name, s.Capacity
	if a.hostKey != nil {
		var err error
		agent.AuthorizedKey = a.authorizedKey
		if agent.HostKeyPrivate, agent.HostKeyPublic, err = a.hostKey(s.Name); err != nil {
			return nil, err
		}
	}
	return a.render(agent)
}

// enter makes machines let hangar in. A template of the user's own that leaves
// out a key makes machines that hangar could not enter, which is told now.
func (a *agents) enter(sample state.Server, authorizedKey string, hostKey func(server string) (private, public string, err error)) error {
	a.authorizedKey, a.hostKey = authorizedKey, hostKey
	if a.own == "" {
		return nil
	}
	first, err := a.userData(sample)
	if err != nil {
		return ConfigError{fmt.Sprintf("%s: no cloud-init can be rendered: %v", a.own, err)}
	}
	var wrong ConfigError
	for _, field := range []string{"AuthorizedKey", "HostKeyPrivate"} {
		other := *a
		switch field {
		case "AuthorizedKey":
			other.authorizedKey = "another key"
		case "HostKeyPrivate":
			other.hostKey = func(server string) (string, string, error) {
				_, public, err := hostKey(server)
				return "another key", public, err
			}
		}
		if second, err := other.userData(sample); err == nil && bytes.Equal(first, second) {
			wrong = append(wrong, fmt.Sprintf("%s: .%s is not in it, and hangar could not enter the machines over SSH; put it there, or set DRONE_AGENT_SSH=false", a.own, field))
		}
	}
	if wrong != nil {
		return wrong
	}
	return nil
}

// ownUserData returns the user's template and the name of the setting that it
// comes from; an empty name when there is none.
func (c Config) ownUserData() (text, name string, err error) {
	for _, own := range []struct{ provider, text, file string }{
		{"PACKET", c.PacketUserData, c.PacketUserDataFile},
		{"HETZNERCLOUD", c.HetznerData, c.HetznerDataFile},
		{"DIGITALOCEAN", c.OceanData, c.OceanDataFile},
		{"SCALEWAY", c.ScalewayData, c.ScalewayDataFile},
		{"OPENSTACK", c.OpenStackData, c.OpenStackDataFile},
	} {
		name := "DRONE_" + own.provider + "_USERDATA"
		switch {
		case own.file != "":
			bytes, err := os.ReadFile(own.file)
			return string(bytes), name + "_FILE", err
		case own.text != "":
			return own.text, name, nil
		}
	}
	return "", "", nil
}
