package notify

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"hangar/state"
)

// Target is where events are told, by a POST each.
type Target struct {
	Name string            // by which the store knows what it was told
	URL  string            // a credential
	Only []state.EventKind // nil: all news
	// Message is the body that tells of an event, and its headers, for a try at a
	// time.
	Message func(e state.Event, at time.Time) (body []byte, header http.Header, err error)
}

// Wants says whether the target is told of an event.
func (t Target) Wants(e state.Event) bool { return t.Only == nil || slices.Contains(t.Only, e.Kind) }

// Webhook is told of all news as JSON. With a secret, its messages are signed
// by the convention of https://www.standardwebhooks.com: whsec_ and the key in
// base64. Another secret is an error, which does not show it.
func Webhook(url, secret string) (Target, error) {
	t := Target{Name: "webhook", URL: url, Message: plain}
	if secret == "" {
		return t, nil
	}
	signer, err := newSigner(secret)
	if err != nil {
		return Target{}, err
	}
	t.Message = func(e state.Event, at time.Time) ([]byte, http.Header, error) {
		body, header, err := plain(e, at)
		if err != nil {
			return nil, nil, err
		}
		signature, err := signer.Sign(e.ID, at, body)
		header.Set(standardwebhooks.HeaderWebhookSignature, signature)
		return body, header, err
	}
	return t, nil
}

// CheckSecret says what is wrong with a webhook's secret, without showing it.
func CheckSecret(secret string) error {
	_, err := newSigner(secret)
	return err
}

func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	encoded, prefixed := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("want whsec_ and 24 to 64 bytes in base64; this makes one: echo whsec_$(openssl rand -base64 32)")
	}
	return standardwebhooks.NewWebhookRaw(key)
}

func plain(e state.Event, at time.Time) ([]byte, http.Header, error) {
	body, err := json.Marshal(e)
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, e.ID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	return body, header, err
}
