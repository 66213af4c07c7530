package main

import (
	"log/slog"

	"hangar/reconciler/notify"
	"hangar/state"
	"hangar/state/sqlite"
)

var _ notify.Store = (*sqlite.Store)(nil)

// notifyMistakes returns what is wrong with the settings of notifications. Their
// values are secrets and are not shown.
func (c Config) notifyMistakes() (found []string) {
	for _, s := range []struct{ name, url, example string }{
		{"DRONE_SLACK_WEBHOOK", c.SlackWebhook, "https://hooks.slack.com/services/..."},
		{"DRONE_NOTIFY_WEBHOOK", c.NotifyWebhook, "https://example.com/hangar"},
	} {
		if s.url != "" && !isURL(s.url) {
			found = append(found, s.name+": want a URL, such as "+s.example)
		}
	}
	if c.NotifySecret == "" {
		return found
	}
	if c.NotifyWebhook == "" {
		found = append(found, "DRONE_NOTIFY_SECRET: belongs to DRONE_NOTIFY_WEBHOOK, which is not set")
	}
	if err := notify.CheckSecret(c.NotifySecret); err != nil {
		found = append(found, "DRONE_NOTIFY_SECRET: "+err.Error())
	}
	return found
}

// newNotifier makes what gathers the log of events and tells the world outside.
func newNotifier(cfg Config, store *sqlite.Store, log *slog.Logger) (*notify.Notifier, error) {
	n := notify.New(store)
	n.Log, n.Watch.Overdue = log, cfg.TimeoutStop
	if cfg.SlackWebhook != "" {
		var kinds []state.EventKind
		for kind, wanted := range map[state.EventKind]bool{
			state.ServerCreated: cfg.SlackCreate, state.ServerDestroyed: cfg.SlackDestroy, state.ServerError: cfg.SlackError, state.RunWaits: cfg.SlackApproval,
		} {
			if wanted {
				kinds = append(kinds, kind)
			}
		}
		n.Targets = append(n.Targets, notify.Slack(cfg.SlackWebhook, kinds...))
	}
	if cfg.NotifyWebhook != "" {
		webhook, err := notify.Webhook(cfg.NotifyWebhook, cfg.NotifySecret)
		if err != nil {
			return nil, err
		}
		n.Targets = append(n.Targets, webhook)
	}
	return n, nil
}

// announce has the loops wake the notifier when they have recorded something.
func (s *service) announce() {
	for _, hook := range []*func(){&s.reconciler.Committed, &s.converger.Finished, &s.sweeper.Look} {
		before := *hook
		*hook = func() { before(); s.notifier.Poke() }
	}
}
