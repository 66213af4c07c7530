package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"hangar/reconciler/history"
)

type stateCommand struct {
	List     stateListCommand     `cmd:"" help:"List the stacks, or the resources in the state of one."`
	Versions stateVersionsCommand `cmd:"" help:"List the recorded states of a stack."`
	Show     stateShowCommand     `cmd:"" help:"Show a recorded state: resources, attributes and outputs."`
	Diff     stateDiffCommand     `cmd:"" help:"Show what changed between two recorded states of a stack."`
	Export   stateExportCommand   `cmd:"" help:"Write all that is recorded of a stack to a file: states, runs, plans, decisions, events."`
}

// Help teaches by an example.
func (stateCommand) Help() string {
	return `Every Terraform state that a run left is kept. These commands read them from the records, beside a running server or without one; they need no setting but DRONE_DATA or DRONE_DATABASE_DATASOURCE, and change nothing. Secrets are never shown; export alone has a flag for them.

    hangar state list                            # which stacks there are
    hangar state versions default-k3v7q2mn       # what was recorded of one, and by which run
    hangar state diff default-k3v7q2mn           # what its last run changed
    hangar state diff default-k3v7q2mn 3         # what changed since serial 3
    hangar state show default-k3v7q2mn 3 --json | jq '.resources[].address'`
}

type stateListCommand struct {
	Stack  string `arg:"" optional:"" help:"List the resources in this stack's state."`
	Serial *int64 `arg:"" optional:"" help:"Which of its recorded states; the newest, unless set."`
	printing
}

func (stateListCommand) Help() string {
	return `Without a stack: all stacks, with the serial of the newest recorded state, how many states are recorded, and how many devices the newest one shows. With one: the addresses of its resources, as terraform state list tells them.

    hangar state list default-k3v7q2mn`
}

func (c stateListCommand) Run(p *program) error {
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	if c.Stack != "" {
		return c.resources(p, h)
	}
	stacks, err := h.list(p.ctx)
	if err != nil {
		return err
	}
	return c.print(p.stdout, stacks, func(w io.Writer) {
		fmt.Fprintln(w, "STACK\tPOOL\tCANDIDATE\tSERIAL\tVERSIONS\tDEVICES\tSINCE")
		for _, s := range stacks {
			serial := "-"
			if s.Serial != nil {
				serial = fmt.Sprint(*s.Serial)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", s.Name, s.Pool, s.Candidate, serial, s.Versions, s.Devices, stamp(s.Since))
		}
	})
}

func (c stateListCommand) resources(p *program, h recordedStates) error {
	shown, err := h.Show(p.ctx, c.Stack, c.Serial)
	if err != nil {
		return err
	}
	labels := []string{}
	for _, r := range shown.Resources {
		labels = append(labels, r.Label())
	}
	return c.print(p.stdout, labels, func(w io.Writer) {
		for _, label := range labels {
			fmt.Fprintln(w, label)
		}
	})
}

type stateVersionsCommand struct {
	Stack string `arg:"" help:"Name of the stack."`
	printing
}

func (stateVersionsCommand) Help() string {
	return `Newest first. The SHA-256 is that of the state file as it was after the run; --json tells all of it.

    hangar state versions default-k3v7q2mn`
}

func (c stateVersionsCommand) Run(p *program) error {
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	versions, err := h.History.Versions(p.ctx, c.Stack)
	if err != nil {
		return err
	}
	return c.print(p.stdout, versions, func(w io.Writer) {
		fmt.Fprintln(w, "SERIAL\tLINEAGE\tSHA-256\tSIZE\tRUN\tDECISION\tTIME")
		for _, v := range versions {
			decision := "-"
			if v.Decision > 0 {
				decision = fmt.Sprint(v.Decision)
			}
			fmt.Fprintf(w, "%d\t%s\t%.12s\t%d\t%d\t%s\t%s\n", v.Serial, v.Lineage, v.SHA256, v.Size, v.Run, decision, stamp(v.At))
		}
	})
}

type stateShowCommand struct {
	Stack   string `arg:"" help:"Name of the stack."`
	Serial  *int64 `arg:"" optional:"" help:"Which of its recorded states; the newest, unless set."`
	Address string `placeholder:"ADDR" help:"Show this resource only, named as state list names it."`
	printing
}

func (stateShowCommand) Help() string {
	return `What is null is left out; of a secret only that it is there is told.

    hangar state show default-k3v7q2mn --address 'module.devices.equinix_metal_device.server["agent-7h2k9mqx"]'`
}

func (c stateShowCommand) Run(p *program) error {
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	shown, err := h.Show(p.ctx, c.Stack, c.Serial)
	if err != nil {
		return err
	}
	v := shown.Version
	if c.Address != "" {
		found := shown.Find(c.Address)
		if len(found) == 0 {
			var known []string
			for _, r := range shown.Resources {
				known = append(known, r.Address)
			}
			return fmt.Errorf("serial %d of stack %s has no resource %s; it has %s", v.Serial, v.Stack, c.Address, history.Some(known))
		}
		shown.Resources, shown.Outputs = found, map[string]any{}
	}
	return c.print(p.stdout, shown, func(w io.Writer) {
		fmt.Fprintf(w, "# Stack %s, %s, lineage %s\n\n%s", v.Stack, told(v), v.Lineage, shown.Text())
	})
}

type stateDiffCommand struct {
	Stack string `arg:"" help:"Name of the stack."`
	Old   *int64 `arg:"" optional:"" help:"Serial to compare from; the one before the newest, unless set."`
	New   *int64 `arg:"" optional:"" help:"Serial to compare to; the newest, unless set."`
	printing
}

func (stateDiffCommand) Help() string {
	return `Without a serial: the newest recorded state against the one before it, which is what the last run changed. With one: the newest against that one, which is what changed since. With two: the second against the first. The first state of a stack is compared with an empty one. Of a secret only that it changed is told.

    hangar state diff default-k3v7q2mn 3 5`
}

func (c stateDiffCommand) Run(p *program) error {
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	answer, err := h.Diff(p.ctx, c.Stack, c.Old, c.New)
	if err != nil {
		return err
	}
	return c.print(p.stdout, answer, func(w io.Writer) {
		from := "nothing"
		if answer.Old != nil {
			from = told(*answer.Old)
		}
		fmt.Fprintf(w, "Stack %s: from %s to %s\n", c.Stack, from, told(answer.New))
		if answer.Old != nil && answer.Old.Lineage != answer.New.Lineage {
			fmt.Fprintf(w, "The state began anew in between: its lineage was %s, and is %s.\n", answer.Old.Lineage, answer.New.Lineage)
		}
		fmt.Fprintf(w, "\n%s", answer.Difference.Text())
	})
}

// printing is how an answer is printed.
type printing struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// print prints the answer as JSON, or as the text that is written, its columns
// set apart by tabs.
func (o printing) print(out io.Writer, answer any, text func(io.Writer)) error {
	if o.JSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(answer)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}
