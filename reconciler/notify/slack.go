package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"hangar/state"
)

// Slack is a channel of Slack, by its incoming webhook, that is told of the
// events of these kinds: events of servers, and plans that wait. See
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
func Slack(url string, only ...state.EventKind) Target {
	return Target{Name: "slack", URL: url, Only: append([]state.EventKind{}, only...), Message: slackMessage}
}

// A message of Slack, as far as it is used here.
type (
	slackPost struct {
		Text        string            `json:"text"`
		Attachments []slackAttachment `json:"attachments"`
	}
	slackAttachment struct {
		Color  string       `json:"color"`
		Fields []slackField `json:"fields"`
	}
	slackField struct {
		Title string `json:"title"`
		Value string `json:"value"`
	}
)

func slackMessage(e state.Event, _ time.Time) ([]byte, http.Header, error) {
	post := slackPost{}
	var a slackAttachment
	field := func(title, value string) {
		if value != "" {
			a.Fields = append(a.Fields, slackField{title, slackText(value)})
		}
	}
	field("Name", e.Server)
	field("Pool", e.Pool)
	switch e.Kind {
	case state.ServerCreated:
		post.Text, a.Color = "Server "+e.Server+" is running", "good"
		field("Size", e.Size)
		field("Region", e.Region)
	case state.ServerDestroyed:
		post.Text, a.Color = "Server "+e.Server+" was destroyed", "#9e9e9e"
		field("Size", e.Size)
		field("Region", e.Region)
		field("Uptime", uptime(e))
	case state.ServerError:
		post.Text, a.Color = "Server "+e.Server+" went wrong", "danger"
		field("Error", cmp.Or(e.Error, e.Reason))
	case state.RunWaits:
		post.Text, a.Color = fmt.Sprintf("Run %d waits for your approval", e.Run), "warning"
		field("Stack", e.Stack)
		field("What", e.Reason)
	default:
		return nil, nil, fmt.Errorf("there is no message of Slack for %s", e.Kind)
	}
	post.Text = slackText(post.Text)
	post.Attachments = []slackAttachment{a}
	body, err := json.Marshal(post)
	return body, http.Header{}, err
}

// uptime is how long a server ran, or had been there when it never ran.
func uptime(e state.Event) string {
	since := e.Started
	if since.IsZero() {
		since = e.Created
	}
	if since.IsZero() {
		return ""
	}
	return e.At.Sub(since).Round(time.Second).String()
}

// slackEscapes are the characters that Slack gives a meaning.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackText is a text as Slack takes it, not endless: errors of terraform can
// be.
func slackText(text string) string {
	const most = 2000
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + " ..."
	}
	return slackEscapes.Replace(text)
}
