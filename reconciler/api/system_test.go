package api

import (
	"net/http"
	"testing"
)

func TestReconcile(t *testing.T) {
	h := open(t, populated(), nil)
	if got := h.ask(t, "POST", "/api/reconcile", ""); got.status != 204 || h.world.pokes != 1 {
		t.Errorf("got %+v and %d pokes", got, h.world.pokes)
	}
}

// The hook wants no token, for its events are signed; without a secret, it says
// which setting is missing.
func TestHook(t *testing.T) {
	events := 0
	h := open(t, populated(), func(a *API) {
		a.Hook = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { events++; w.WriteHeader(http.StatusNoContent) })
	})
	if got := h.ask(t, "POST", "/hook", "{}", "Authorization", ""); got.status != 204 || events != 1 {
		t.Errorf("got %+v and %d events", got, events)
	}
	wantFailure(t, open(t, populated(), nil).ask(t, "POST", "/hook", "{}", "Authorization", ""), 404, "DRONE_WEBHOOK_SECRET")
}
