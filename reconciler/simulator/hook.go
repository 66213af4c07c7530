package simulator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/99designs/httpsignatures-go"
)

// signer signs as Drone 2.25 does (plugin/webhook there).
var signer = httpsignatures.NewSigner(httpsignatures.AlgorithmHmacSha256, "date", "digest")

// PostEvents posts an event to endpoint, as a Drone server does at its global
// webhook, each time a build is made, begins to run or ends, until ctx ends. As
// there, answers are not looked at, and what cannot be sent is lost. The first
// event is the first of this world, even if that was before.
func (w *World) PostEvents(ctx context.Context, endpoint, secret string) {
	client := &http.Client{Timeout: time.Minute}
	for sent := 0; ; sent++ {
		for changed := w.Changed(); w.buildEvents() == sent; changed = w.Changed() {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
		if r, err := buildEvent(ctx, endpoint, secret); err == nil {
			if answer, err := client.Do(r); err == nil {
				answer.Body.Close()
			}
		}
	}
}

func (w *World) buildEvents() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

func buildEvent(ctx context.Context, endpoint, secret string) (*http.Request, error) {
	body := []byte(`{"event":"build","action":"updated"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make an event: %w", err)
	}
	sum := sha256.Sum256(body)
	r.Header.Set("X-Drone-Event", "build")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Digest", "SHA-256="+base64.StdEncoding.EncodeToString(sum[:]))
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return r, signer.SignRequest("hmac-key", secret, r)
}
