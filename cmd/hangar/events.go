package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hangar/reconciler/api"
	"hangar/state"
	"hangar/state/sqlite"
)

var _ api.EventStore = (*sqlite.Store)(nil)

type eventsCommand struct {
	Follow bool     `short:"f" help:"Tell what happens from now on, or since --since, as it happens."`
	Since  *int64   `placeholder:"SEQ" help:"Tell only what came after this event."`
	Server string   `help:"Only of this server."`
	Stack  string   `help:"Only of this stack."`
	Kind   []string `help:"Only of these kinds, such as server.error; run stands for all that begin with run."`
	JSON   bool     `name:"json" help:"Print an object of JSON a line."`
}

func (eventsCommand) Help() string {
	return `Asks the running hangar serve for its log of events; needs DRONE_DATA and DRONE_SERVER_TOKEN. Where none runs, the log is read from the data folder. DRONE_EVENTS_KEEP says for how long events are kept. --follow goes on when hangar is started again.

    hangar events --kind order --kind pause        # who gave orders
    hangar events --server agent-k3v7q2mn          # the life of a server
    hangar events --follow --json | jq 'select(.event == "server.error")'`
}

// Run tells what happened.
func (c eventsCommand) Run(p *program) error {
	a, err := newAsker(p)
	switch {
	case state.CodeOf(err) == state.Unavailable && !c.Follow:
		err = c.read(p, a.cfg)
	case err != nil:
		return err
	case c.Follow:
		err = c.follow(p, a.cfg)
	default:
		err = c.list(p, a.cfg)
	}
	if p.ctx.Err() != nil {
		return nil
	}
	return err
}

// read prints the log of a hangar that does not run.
func (c *eventsCommand) read(p *program, cfg Config) error {
	store, err := sqlite.OpenReadOnly(p.ctx, cfg.databasePath())
	if err != nil {
		return fmt.Errorf("no hangar serve is running on the data folder %s, and its records cannot be read: %w", cfg.Data, err)
	}
	defer store.Close()
	fmt.Fprintf(p.stderr, "no hangar serve is running on %s: this is what its log holds\n", cfg.Data)
	filter := state.EventFilter{Server: c.Server, Stack: c.Stack, Limit: 500}
	for _, kind := range c.Kind {
		filter.Kinds = append(filter.Kinds, state.EventKind(kind))
	}
	if c.Since != nil {
		filter.After = *c.Since
	}
	for {
		events, read, err := store.Events(p.ctx, filter)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			text, err := json.Marshal(e)
			if err == nil {
				err = c.print(p.stdout, text)
			}
			if err != nil {
				return err
			}
		}
		filter.After = read
	}
}

// list prints page after page.
func (c *eventsCommand) list(p *program, cfg Config) error {
	for {
		answer, err := c.ask(p.ctx, cfg, "/api/events", "limit", "500")
		if err != nil {
			return err
		}
		var page []json.RawMessage
		err = json.NewDecoder(answer).Decode(&page)
		answer.Close()
		if err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
		for _, event := range page {
			if err := c.print(p.stdout, event); err != nil {
				return err
			}
		}
		if len(page) < 500 {
			return nil
		}
	}
}

// follow prints what a stream tells, and asks for the next one where it ends.
// Once it has followed a hangar it waits for one that has ended: nothing that
// happens meanwhile is missed.
func (c *eventsCommand) follow(p *program, cfg Config) error {
	followed, told := false, false
	for {
		answer, err := c.ask(p.ctx, cfg, "/api/events/stream")
		if err != nil && !followed {
			return err
		}
		if err != nil {
			if !told && p.ctx.Err() == nil {
				fmt.Fprintln(p.stderr, "waiting for hangar:", err)
			}
			told = true
			if sleep(p.ctx, time.Second) {
				continue
			}
			return nil
		}
		followed, told = true, false
		lines := bufio.NewReader(answer)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // the stream has its time, and hangar may have ended: the next question tells
			}
			if id, found := strings.CutPrefix(line, "id: "); found && c.Since == nil {
				if seq, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64); err == nil {
					c.Since = &seq // from where to go on, should nothing come
				}
			}
			if data, found := strings.CutPrefix(line, "data: "); found {
				if err := c.print(p.stdout, json.RawMessage(data)); err != nil {
					answer.Close()
					return err
				}
			}
		}
		answer.Close()
		if !sleep(p.ctx, time.Second) {
			return nil
		}
	}
}

// sleep says whether so long has passed and ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// ask asks the running hangar for what comes after c.Since.
func (c *eventsCommand) ask(ctx context.Context, cfg Config, path string, more ...string) (io.ReadCloser, error) {
	base, err := runningServer(cfg.Data)
	if err != nil {
		return nil, err
	}
	if base == "" {
		return nil, errNotRunning(cfg)
	}
	query := url.Values{}
	for name, value := range map[string]string{"server": c.Server, "stack": c.Stack} {
		if value != "" {
			query.Set(name, value)
		}
	}
	query["kind"] = c.Kind
	if c.Since != nil {
		query.Set("since", strconv.FormatInt(*c.Since, 10))
	}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return askServer(ctx, cfg, http.MethodGet, base+path+"?"+query.Encode())
}

// print prints an event as a line, and remembers its place.
func (c *eventsCommand) print(out io.Writer, event json.RawMessage) error {
	var e state.Event
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	c.Since = &e.Seq
	if c.JSON {
		_, err := fmt.Fprintln(out, strings.TrimSpace(string(event)))
		return err
	}
	_, err := fmt.Fprintln(out, eventLine(e))
	return err
}

// eventLine tells an event to a person.
func eventLine(e state.Event) string {
	words := []string{fmt.Sprintf("%-6d %s  %-16s", e.Seq, e.At.Local().Format(time.DateTime), e.Kind)}
	about := cmp.Or(e.Server, e.Stack, e.Device, e.Pool)
	if e.Run > 0 {
		about += fmt.Sprintf(" run %d", e.Run)
	}
	if e.Decision > 0 && e.Run == 0 {
		about = fmt.Sprintf("%d", e.Decision)
	}
	if about != "" {
		words = append(words, about)
	}
	if e.Phase != "" {
		words = append(words, string(e.Phase))
	}
	if e.By != "" {
		words = append(words, "by "+e.By)
	}
	line := strings.Join(words, " ")
	for _, why := range []string{e.Reason, e.Error} {
		if why != "" && why != e.Server {
			line += ": " + strings.ReplaceAll(why, "\n", " ")
		}
	}
	return line
}
