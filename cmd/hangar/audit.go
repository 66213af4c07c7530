package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"hangar/state"
)

type auditCommand struct {
	Adopt   bool `xor:"what" help:"Take over the machines that are held for a decision: those of an installation whose records are lost."`
	Destroy bool `xor:"what" help:"Remove them instead, each when no build is on it."`
	JSON    bool `name:"json" help:"Print JSON."`
}

func (auditCommand) Help() string {
	return "Takes the same environment as hangar serve. A running server is asked to look now; without one the look is made here, on a copy of the records, and changes nothing.\n\n" +
		"Exit code 0: nothing found. 2: something was found. 1: the provider could not be looked at.\n\n" +
		"After a lost volume: start hangar serve with an empty data folder and DRONE_INSTANCE set to the old installation's id (the tag hangar-instance of its machines). hangar audit then shows the old machines, and --adopt or --destroy says what becomes of them."
}

// exitStatus ends the program with a code, and without a word.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Run shows how the provider's machines differ from the records.
func (c auditCommand) Run(p *program) error {
	cfg, err := parseConfig(p.environ)
	if err != nil {
		// Not with the code of a mistake in the settings, which is that of a finding.
		return errors.New(err.Error())
	}
	audit, err := c.look(p, cfg)
	if err != nil {
		return err
	}
	if err := c.print(p.stdout, audit); err != nil {
		return err
	}
	switch {
	case audit.Error != "":
		return exitStatus(1)
	case len(audit.Findings) > 0:
		return exitStatus(2)
	}
	return nil
}

func (c auditCommand) look(p *program, cfg Config) (state.Audit, error) {
	url, err := runningServer(cfg.Data)
	if err != nil {
		return state.Audit{}, err
	}
	action := ""
	switch {
	case c.Adopt:
		action = "adopt"
	case c.Destroy:
		action = "destroy"
	}
	if url == "" && action != "" {
		return state.Audit{}, errors.New("no hangar serve is running on the data folder " + cfg.Data + ": start it first; it is what takes machines over or removes them")
	}
	if url == "" {
		return auditHere(p, cfg)
	}
	if action != "" { // shown before anything is done
		before, err := askAudit(p.ctx, cfg, url, "")
		if err != nil {
			return before, err
		}
		if !c.JSON {
			if err := c.print(p.stdout, before); err != nil {
				return before, err
			}
			fmt.Fprintf(p.stdout, "\nAfter --%s:\n", action)
		}
	}
	return askAudit(p.ctx, cfg, url, action)
}

// askAudit has a running server look, and do what is asked.
func askAudit(ctx context.Context, cfg Config, url, action string) (audit state.Audit, err error) {
	if action != "" {
		action = "?action=" + action
	}
	answer, err := askServer(ctx, cfg, http.MethodPost, url+"/api/audit"+action)
	if err != nil {
		return audit, err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(&audit); err != nil {
		return audit, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return audit, nil
}

// askServer sends a request to a running server, as its admin, and returns the
// answer. One that is an error is told in the server's words.
func askServer(ctx context.Context, cfg Config, method, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+cfg.ServerToken)
	client, err := localClient(cfg.Data, url)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the running hangar: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("ask the running hangar: %w", err)
	}
	var failure struct{ Message string }
	_ = json.Unmarshal(body, &failure) // the status tells, when this does not
	return nil, fmt.Errorf("the running hangar says: %s", cmp.Or(failure.Message, answer.Status))
}

// auditHere makes a real sweep on a copy of the records, in a folder that is
// removed at the end.
func auditHere(p *program, cfg Config) (audit state.Audit, err error) {
	scratch, err := os.MkdirTemp("", "hangar-audit-")
	if err != nil {
		return audit, fmt.Errorf("make a folder to look from: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if !exists(cfg.databasePath()) && cfg.Instance == "" {
		return audit, fmt.Errorf("there are no records at %s, so that it is not known whose machines to look for: set DRONE_DATA to the data folder of hangar serve, or DRONE_INSTANCE to the tag hangar-instance of the machines", cfg.databasePath())
	}
	store, err := copyRecords(p.ctx, p.stderr, cfg.databasePath(), filepath.Join(scratch, "database.sqlite"))
	if err != nil {
		return audit, err
	}
	defer store.Close()
	instance, err := store.Instance(p.ctx, cfg.Instance)
	if err != nil {
		return audit, err
	}
	quiet := slog.New(slog.DiscardHandler)
	none := &agents{} // nothing is made here
	poolSource, err := cfg.pools(p.environ, none, quiet)
	if err != nil {
		return audit, err
	}
	env, err := moduleEnv(p.ctx, store, poolSource.Set())
	if err != nil {
		return audit, err
	}
	runner, err := newRunner(p.ctx, cfg, p.environ, cfg.installed(scratch), instance, none, func() map[string][]string { return env })
	if err != nil {
		return audit, err
	}
	aside, err := runner.Scratch(p.ctx, scratch)
	if err != nil {
		return audit, err
	}
	if err := aside.Install(poolSource.Set().Modules...); err != nil {
		return audit, err
	}
	sweeper := newSweeper(cfg, store, aside, poolSource, instance)
	sweeper.Log = quiet
	return sweeper.Sweep(p.ctx)
}

// print shows an audit as a person, or a program, reads it.
func (c auditCommand) print(out io.Writer, audit state.Audit) error {
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(audit)
	}
	if audit.Error != "" {
		fmt.Fprintf(out, "The provider could not be looked at: %s\n", audit.Error)
		audit.Findings = slices.DeleteFunc(audit.Findings, func(f state.Finding) bool { return f.Kind == state.Unreadable })
	} else {
		fmt.Fprintf(out, "%s of this installation at %s; %s\n", plural(audit.Devices, "machine"), audit.At.Local().Format(time.DateTime), plural(len(audit.Findings), "finding"))
	}
	for _, module := range audit.Blind {
		fmt.Fprintf(out, "The machines of module %s cannot be looked for: it has no census. What Terraform lost of them may be there, and be billed; look at the provider's own list.\n", module)
	}
	if len(audit.Findings) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nKIND\tDEVICE\tSERVER\tSTACK\tSINCE\tDETAIL\tACTION")
	for _, f := range audit.Findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Kind, cmp.Or(f.Device, "-"), cmp.Or(f.Server, "-"), cmp.Or(f.Stack, "-"),
			f.First.Local().Format(time.DateTime), f.Detail, f.Action)
	}
	return w.Flush()
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
