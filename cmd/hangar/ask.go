package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"hangar/state"
)

// asker asks a running server, by the few settings that lead to it.
type asker struct {
	cfg Config
	url string
}

func newAsker(p *program) (asker, error) {
	cfg, err := parseSettings(p.environ, func(name string) bool { return name == "DRONE_DATA" || name == "DRONE_SERVER_TOKEN" })
	if err != nil {
		return asker{}, err
	}
	url, err := runningServer(cfg.Data)
	if err == nil && url == "" {
		err = errNotRunning(cfg)
	}
	return asker{cfg, url}, err
}

func errNotRunning(cfg Config) error {
	return state.Errorf(state.Unavailable, "no hangar serve is running on the data folder %s: start it, or set DRONE_DATA to its data folder; hangar check looks for what may be wrong", cfg.Data)
}

// get reads what a route answers.
func (a asker) get(ctx context.Context, path string, into any) error {
	answer, err := askServer(ctx, a.cfg, http.MethodGet, a.url+path)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", a.url+path, err)
	}
	return nil
}
