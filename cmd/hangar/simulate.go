package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/term"

	"hangar/reconciler/session"
	"hangar/reconciler/simulator"
)

type simulateCommand struct {
	Builds    int           `default:"6" help:"Builds that arrive at the start."`
	BuildTime time.Duration `default:"2s" help:"How long a build runs."`
	BootTime  time.Duration `default:"3s" help:"How long a machine boots."`
	Max       int           `default:"4" help:"Servers, at most."`
	Min       int           `default:"1" help:"Servers that are always there."`
	HTTP      string        `name:"http" default:"127.0.0.1:8080" env:"HANGAR_SIMULATE_HTTP" placeholder:"ADDR" help:"Where hangar listens (127.0.0.1:8080, in the image :8080); port 0 takes a free one."`
	Data      string        `placeholder:"DIR" help:"Data folder; a temporary one that is removed at the end, unless set."`
	Provider  string        `enum:"simulated,real" default:"simulated" help:"simulated: a provider inside hangar, nothing is downloaded. real: equinix/equinix, from --mirror or the registry."`
	Mirror    string        `placeholder:"DIR" help:"Filesystem mirror that holds the real provider."`
	Exit      bool          `help:"End when every build has ended and the pool is back at its minimum, and print a line of JSON."`
	Within    time.Duration `default:"10m" placeholder:"D" help:"With --exit: give up after so long."`
	World     bool          `help:"Serve only the simulated Drone and API, for a hangar serve elsewhere."`
	Drone     string        `default:"127.0.0.1:0" placeholder:"ADDR" help:"Where the simulated Drone listens."`
	SSH       int           `name:"ssh" default:"0" placeholder:"PORT" help:"Port at which the simulated machines answer SSH, each at an address of its own; 0 takes a free one."`
	Webhook   string        `placeholder:"URL" help:"With --world: where the simulated Drone posts its events, such as http://127.0.0.1:8080/hook, signed with DRONE_WEBHOOK_SECRET."`
	API       string        `name:"api" default:"127.0.0.1:0" placeholder:"ADDR" help:"Where the simulated Metal API listens."`
}

// Help tells what happens in a simulation.
func (simulateCommand) Help() string {
	return "Real terraform, plans, states and records; a Drone server, a Metal API, machines and a provider that are simulated inside this program. DRONE_SERVER_TOKEN, DRONE_AGENT_TOKEN, DRONE_PACKET_APIKEY and DRONE_PACKET_PROJECT_ID are taken from the environment where they are set, and made up otherwise; so are all settings that have no flag here."
}

// simulation is a world with its addresses.
type simulation struct {
	*simulator.World
	drone, metal string // addresses
	ssh          int    // port of the machines' SSH servers
}

func (c simulateCommand) Run(p *program) error {
	var wrong ConfigError
	for name, n := range map[string]int{"--builds": c.Builds, "--min": c.Min} {
		if n < 0 {
			wrong = append(wrong, fmt.Sprintf("%s=%d: want 0 or more", name, n))
		}
	}
	if c.Min > c.Max {
		wrong = append(wrong, fmt.Sprintf("--min=%d is above --max=%d", c.Min, c.Max))
	}
	if c.Mirror != "" && c.Provider != "real" {
		wrong = append(wrong, "--mirror="+c.Mirror+": goes with --provider real only")
	}
	secret := p.environ["DRONE_WEBHOOK_SECRET"]
	if c.Webhook != "" && (!c.World || secret == "") {
		wrong = append(wrong, "--webhook="+c.Webhook+": goes with --world only, and with DRONE_WEBHOOK_SECRET in the environment")
	}
	if wrong != nil {
		return wrong
	}
	world, closeWorld, err := c.world(p)
	if err != nil {
		return err
	}
	defer closeWorld()
	if c.World {
		printWorld(p.stdout, world, p.environ)
		if c.Webhook != "" {
			go world.PostEvents(p.ctx, c.Webhook, secret)
		}
		world.Enqueue(c.Builds)
		<-p.ctx.Done()
		return nil
	}
	return c.simulate(p, world)
}

// world starts the world and its two servers.
func (c simulateCommand) world(p *program) (simulation, func(), error) {
	w := simulation{World: simulator.New(simulator.Config{
		ServerToken: p.environ["DRONE_SERVER_TOKEN"], RPCSecret: p.environ["DRONE_AGENT_TOKEN"],
		APIKey: p.environ["DRONE_PACKET_APIKEY"], ProjectID: p.environ["DRONE_PACKET_PROJECT_ID"],
		BootTime: c.BootTime, BuildTime: c.BuildTime,
	})}
	// Time goes on in the world while hangar waits for its applies to end.
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.ctx))
	closers := []func(){cancel}
	closeAll := func() {
		for _, c := range closers {
			c()
		}
	}
	for _, part := range []struct {
		flag, address string
		handler       http.Handler
		at            *string
	}{{"--drone", c.Drone, w.World.Drone(), &w.drone}, {"--api", c.API, w.Metal(), &w.metal}} {
		l, err := net.Listen("tcp", part.address)
		if err != nil {
			closeAll()
			return simulation{}, nil, fmt.Errorf("%s: %w", part.flag, err)
		}
		server := &http.Server{Handler: part.handler, ReadHeaderTimeout: 10 * time.Second}
		go server.Serve(l)
		closers = append(closers, func() { server.Close() })
		*part.at = l.Addr().String()
	}
	go w.World.Run(ctx)
	wait, err := w.ServeSSH(ctx, c.SSH)
	if err != nil {
		closeAll()
		return simulation{}, nil, fmt.Errorf("--ssh: %w", err)
	}
	closers = append(closers, func() { wait() }) // after time has ended
	w.ssh = w.SSHPort()
	return w, closeAll, nil
}

// environ is the environment in which hangar serve works with this world.
func (w simulation) environ() map[string]string {
	c := w.Config()
	return map[string]string{
		"DRONE_SERVER_PROTO": "http", "DRONE_SERVER_HOST": w.drone, "DRONE_SERVER_TOKEN": c.ServerToken,
		"DRONE_AGENT_TOKEN": c.RPCSecret, "DRONE_PACKET_APIKEY": c.APIKey, "DRONE_PACKET_PROJECT_ID": c.ProjectID,
		"DRONE_PACKET_ENDPOINT": "http://" + w.metal, "DRONE_SSH_PORT": strconv.Itoa(w.ssh),
	}
}

// printWorld prints what hangar serve needs, to be pasted into a shell, but for
// what the user's environment says already.
func printWorld(out io.Writer, w simulation, user map[string]string) {
	env := w.environ()
	for _, s := range settings() {
		if value, set := env[s.name]; set && user[s.name] != value {
			fmt.Fprintf(out, "export %s=%s\n", s.name, value)
		}
	}
}

// invited is how long the way in to the page that is printed can be used.
const invited = 15 * time.Minute

// simulate runs hangar in the world.
func (c simulateCommand) simulate(p *program, world simulation) (err error) {
	data := c.Data
	if data == "" {
		if data, err = os.MkdirTemp("", "hangar-simulate-"); err != nil {
			return fmt.Errorf("make a data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	environ, err := c.environ(p.environ, world, data)
	if err != nil {
		return err
	}
	cfg, err := parseConfig(environ)
	if err != nil {
		return err
	}
	out, err := c.output(p, data, cfg)
	if err != nil {
		return err
	}
	s, err := open(p.ctx, cfg, environ, out.log)
	if err != nil {
		return err
	}
	defer s.close()
	url := baseURL(cfg, s.listener.Addr())
	token := cfg.ServerToken
	if p.environ["DRONE_SERVER_TOKEN"] == token { // perhaps a real one
		token = "$DRONE_SERVER_TOKEN"
	}
	invitation, once := session.Invite("root", time.Now().Add(invited))
	s.pages.Invitation = invitation
	fmt.Fprintf(p.stderr, "Its page, by a way in that works once, within %s:\n  %s/ui/login?once=%s\nLater, and for REST, with the admin's token:\n  TOKEN=%s\n  curl -H \"Authorization: Bearer $TOKEN\" %s/api/servers\n", invited, url, once, token, url)

	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.run(ctx) }()
	go world.PostEvents(ctx, url+"/hook", cfg.WebhookSecret)
	began := time.Now()
	world.Enqueue(c.Builds)
	drawn := make(chan struct{})
	go func() { defer close(drawn); out.draw(ctx, world, s.store, began) }()

	var verdict error
	var r *result
	if c.Exit {
		r, verdict = c.untilDone(ctx, world, s, began, served)
	} else {
		select {
		case <-ctx.Done():
		case verdict = <-served:
			served <- nil
		}
	}
	cancel()
	<-drawn
	if r != nil {
		verdict = r.print(p.stdout)
	}
	return errors.Join(verdict, <-served)
}

// environ completes the user's environment by what the world and the flags
// say. What they do not say is quick, so that something is to be seen.
func (c simulateCommand) environ(user map[string]string, world simulation, data string) (map[string]string, error) {
	env := map[string]string{
		"DRONE_LOGS_PRETTY": "true", "DRONE_POOL_MIN_AGE": "0s", "DRONE_POOL_IDLE": "2s", "DRONE_POOL_BILLING_PERIOD": "0s",
		"DRONE_INTERVAL": "500ms", "DRONE_PACKET_PLAN": "c3.small.x86",
		"DRONE_INSTALL_CHECK_INTERVAL": "200ms", "DRONE_TERRAFORM_SETTLE": "10s",
	}
	for name, value := range user {
		env[name] = value
	}
	for name, value := range world.environ() {
		env[name] = value
	}
	env["DRONE_DATA"], env["DRONE_HTTP_PORT"] = data, c.HTTP
	env["DRONE_WEBHOOK_SECRET"] = cmp.Or(env["DRONE_WEBHOOK_SECRET"], rand.Text())
	env["DRONE_POOL_MIN"], env["DRONE_POOL_MAX"] = fmt.Sprint(c.Min), fmt.Sprint(c.Max)
	env["DRONE_DATABASE_DATASOURCE"] = ""
	if c.Provider == "real" {
		if c.Mirror != "" {
			env["DRONE_TERRAFORM_MIRROR"] = c.Mirror
		}
		return env, nil
	}
	mirror := filepath.Join(data, "terraform", "simulated")
	if err := simulator.Mirror(mirror, simulator.Waits{FirstPoll: time.Second, NextPoll: 500 * time.Millisecond}); err != nil {
		return nil, fmt.Errorf("lay out the simulated provider: %w", err)
	}
	env["DRONE_TERRAFORM_MIRROR"] = mirror
	return env, nil
}

// output is where a simulation is seen: a picture on a terminal, with the log
// in a file; elsewhere the log, line by line.
type output struct {
	log  *slog.Logger
	draw func(ctx context.Context, world simulation, store records, began time.Time)
}

func (c simulateCommand) output(p *program, data string, cfg Config) (output, error) {
	if f, ok := p.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if err := os.MkdirAll(data, 0o700); err != nil {
			return output{}, fmt.Errorf("make the data folder: %w", err)
		}
		file, err := os.OpenFile(filepath.Join(data, "hangar.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return output{}, fmt.Errorf("open the log: %w", err)
		}
		picture := &display{out: f, width: func() int { w, _, _ := term.GetSize(int(f.Fd())); return w }}
		return output{newLog(file, cfg), picture.run}, nil
	}
	return output{newLog(p.stderr, cfg), func(context.Context, simulation, records, time.Time) {}}, nil
}
