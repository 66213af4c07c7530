package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

type healthCommand struct{}

func (healthCommand) Help() string {
	return "Asks GET /healthz of the hangar that works on the data folder (DRONE_DATA), and needs no token. It is the health check of the image."
}

// healthTime bounds how long the answer may take.
const healthTime = 5 * time.Second

func (healthCommand) Run(p *program) error {
	cfg, err := parseSettings(p.environ, func(name string) bool { return name == "DRONE_DATA" })
	if err != nil {
		return err
	}
	url, err := runningServer(cfg.Data)
	if err == nil && url == "" {
		err = errNotRunning(cfg)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, healthTime)
	defer cancel()
	answer, err := askServer(ctx, cfg, http.MethodGet, url+"/healthz")
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "hangar is well")
	return answer.Close()
}
