package templates

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// container is one that is started on a server.
type container struct {
	Name, Image string
	Args        []string // options of docker run, as the shell reads them
}

const (
	dockerSocket = "/var/run/docker.sock"
	byWatchtower = "com.centurylinklabs.watchtower." // its labels begin so
)

// newContainer begins with what all have.
func newContainer(name, image string) *container {
	c := &container{Name: name, Image: image, Args: []string{"--restart=always"}}
	c.option("--name", name)
	return c
}

func (c *container) option(flag, value string) { c.Args = append(c.Args, flag+" "+shell(value)) }

func (c *container) env(name, value string) { c.option("--env", name+"="+value) }

// runner is the agent's container. Its environment is in a file, so that no
// list of processes shows the secret.
func (a Agent) runner() (*container, error) {
	c := newContainer("agent", a.Image)
	c.option("--env-file", envFile)
	c.option("--label", "io.drone.agent.name="+a.Name)
	c.option("--label", "io.drone.agent.capacity="+strconv.Itoa(a.Capacity))
	if a.Watchtower.Enabled {
		c.option("--label", byWatchtower+"enable=false")
	}
	if !slices.ContainsFunc(a.Volumes, mountsDocker) {
		c.option("--volume", dockerSocket+":"+dockerSocket)
	}
	for _, v := range a.Volumes {
		c.option("--volume", v)
	}
	health, err := a.healthPort()
	if err != nil {
		return nil, err
	}
	for _, p := range append(health, a.Ports...) {
		c.option("--publish", p)
	}
	return c, nil
}

// mountsDocker tells a volume that is the runner's way to Docker.
func mountsDocker(volume string) bool {
	_, target, _ := strings.Cut(volume, ":")
	target, _, _ = strings.Cut(target, ":")
	return target == dockerSocket
}

// aids are the containers beside the agent.
func (a Agent) aids() []*container {
	var all []*container
	if gc := a.GC; gc.Enabled {
		c := newContainer("drone-gc", gc.Image)
		c.option("--volume", dockerSocket+":"+dockerSocket)
		c.env("GC_CACHE", gc.Cache)
		c.env("GC_DEBUG", strconv.FormatBool(gc.Debug))
		c.env("GC_INTERVAL", gc.Interval.String())
		if len(gc.Ignore) > 0 {
			c.env("GC_IGNORE_IMAGES", strings.Join(gc.Ignore, ","))
		}
		if a.Watchtower.Enabled {
			c.option("--label", byWatchtower+"enable="+strconv.FormatBool(a.Watchtower.Aids))
			c.option("--label", byWatchtower+"stop-signal="+a.Watchtower.Signal)
		}
		all = append(all, c)
	}
	if w := a.Watchtower; w.Enabled {
		c := newContainer("watchtower", w.Image)
		c.option("--volume", dockerSocket+":"+dockerSocket)
		c.env("WATCHTOWER_POLL_INTERVAL", strconv.Itoa(w.Interval))
		c.env("WATCHTOWER_TIMEOUT", w.Timeout.String())
		c.env("WATCHTOWER_CLEANUP", "true")
		c.env("WATCHTOWER_LABEL_ENABLE", "true")
		all = append(all, c)
	}
	return all
}

// check refuses what would not be one argument on one line.
func (c *container) check() error {
	if c.Image == "" || strings.HasPrefix(c.Image, "-") || strings.ContainsAny(c.Image, " \t") {
		return fmt.Errorf("image of %s: %q is not the name of one", c.Name, c.Image)
	}
	for _, s := range append(c.Args, c.Image) {
		if err := checkText(s); err != nil {
			return fmt.Errorf("argument %q of docker run has %w", s, err)
		}
	}
	return nil
}

// healthAddress is where hangar asks on the machine itself for the runner's
// health: http://127.0.0.1:3000/healthz.
const healthAddress, healthPort = "127.0.0.1", 3000

// healthPort publishes the runner's port on the machine's loopback, unless the
// agent's ports do that already.
func (a Agent) healthPort() ([]string, error) {
	inside, err := a.listens()
	if err != nil {
		return nil, err
	}
	for _, spec := range a.Ports {
		p, err := parsePort(spec)
		if err != nil {
			return nil, err
		}
		target, taken := p.at(healthAddress, healthPort)
		switch {
		case taken && target == inside:
			return nil, nil
		case taken:
			return nil, fmt.Errorf("published port %q: hangar asks at port %d of the machine for the agent's health; choose another one", spec, healthPort)
		}
	}
	return []string{fmt.Sprintf("%s:%d:%d", healthAddress, healthPort, inside)}, nil
}

// listens is the port of the runner inside its container.
func (a Agent) listens() (int, error) {
	port := healthPort
	for _, e := range a.Environ {
		value, found := strings.CutPrefix(e, "DRONE_HTTP_BIND=")
		if !found {
			continue
		}
		var err error
		port, err = strconv.Atoi(strings.TrimPrefix(value, ":"))
		if err != nil || !strings.HasPrefix(value, ":") {
			return 0, fmt.Errorf("DRONE_HTTP_BIND=%s: hangar asks from outside the container for the agent's health; want a port such as :3000", value)
		}
	}
	return port, nil
}

// port is a published one: a range on the machine and one in the container.
// Docker chooses the machine's when first is 0.
type port struct {
	address             string
	first, last, inside int
	udp                 bool
}

var portForm = regexp.MustCompile(`^(?:(\[[0-9A-Fa-f:.]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(?:(\d+)(?:-(\d+))?)?:)?(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?$`)

// CheckPort says what is wrong with a published port.
func CheckPort(spec string) error {
	_, err := parsePort(spec)
	return err
}

func parsePort(spec string) (port, error) {
	m := portForm.FindStringSubmatch(spec)
	if m == nil {
		return port{}, fmt.Errorf("published port %q: want [address:]port:port, such as 8080:80", spec)
	}
	var numbers [4]int
	for i, s := range m[2:6] {
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 65535 {
			return port{}, fmt.Errorf("published port %q: %s is not a port", spec, s)
		}
		numbers[i] = n
	}
	first, last, inside, insideLast := numbers[0], numbers[1], numbers[2], numbers[3]
	if last == 0 {
		last = first
	}
	if insideLast == 0 {
		insideLast = inside
	}
	if first > 0 && (last < first || last-first != insideLast-inside) || insideLast < inside {
		return port{}, fmt.Errorf("published port %q: %w", spec, errors.New("the two ranges do not fit each other"))
	}
	return port{address: m[1], first: first, last: last, inside: inside, udp: m[6] == "udp" || m[6] == "sctp"}, nil
}

// at returns the container's port that is reached at a TCP port of the machine.
func (p port) at(address string, n int) (inside int, taken bool) {
	if p.udp || n < p.first || n > p.last || p.address != "" && p.address != "0.0.0.0" && p.address != address {
		return 0, false
	}
	return p.inside + n - p.first, true
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shell quotes an argument for sh, where that is needed.
func shell(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
