package reconciler

import (
	"context"

	"hangar/state"
)

// news records what terraform tells of the servers of one run while it
// applies: how long it has been at it, which devices are there already, and
// which creates have failed, while their siblings still boot.
type news struct {
	*Converger
	ctx     context.Context
	run     state.Run
	stack   state.Stack
	backoff *state.Backoff // recorded at the first create that failed
}

// hear takes one event. What cannot be recorded now is when the run finishes.
func (n *news) hear(e state.ApplyEvent) {
	err := n.Store.Progress(n.ctx, e.Server, state.Progress{Action: e.Action, Elapsed: e.Elapsed}, n.Now())
	switch {
	case err != nil:
	case e.Action != "create":
	case e.Failed:
		err = n.failed(e)
	case e.Done && e.Device != nil:
		err = n.advance(state.Outcome{Server: e.Server, Phase: n.ready(), Device: e.Device, Reason: "its device is " + e.Device.State})
	case e.Done:
		err = n.advance(state.Outcome{Server: e.Server, Phase: state.Created, Device: &state.Device{ID: e.ID}, Reason: "its device exists"})
	}
	if err != nil {
		n.Log.Warn("news of a server could not be recorded", "server", e.Server, "error", err)
	}
}

func (n *news) advance(o state.Outcome) error {
	defer n.Finished()
	defer n.Poke()
	return n.Store.Advance(n.ctx, o, n.Now())
}

// failed takes a server whose create went wrong out of the capacity at once,
// and leaves its candidate alone, so that another one can be asked. Terraform
// says why only when all its siblings are done; until then it is not known
// whether its device exists, which is looked for meanwhile.
func (n *news) failed(e state.ApplyEvent) error {
	const why = "its create failed; terraform says why when its run ends"
	if n.backoff == nil {
		n.backoff = n.Converger.backoff(n.ctx, n.run.Pool, n.stack.Candidate, why)
		if err := n.Store.Commit(n.ctx, state.Changes{At: n.Now(), Backoff: n.backoff}); err != nil {
			return err
		}
	}
	return n.advance(state.Outcome{
		Server: e.Server, Phase: state.Failed, Doubt: n.Now().Add(n.Settle), Reason: "its create failed; its device is looked for", Error: why,
	})
}
