package drone

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/drone/drone-go/plugin/webhook"
)

// Hook answers the events that a Drone server posts to its global webhook
// (DRONE_WEBHOOK_ENDPOINT there). They are signed with secret (its
// DRONE_WEBHOOK_SECRET) over date and digest, as in
// https://tools.ietf.org/html/draft-cavage-http-signatures; what is not, is
// answered 400. An event of a build calls changed, and that is all that an event
// does: nothing in it is believed, so one that is sent again, or whose body was
// changed on its way, does no harm.
//
// Drone does not look at answers: it would never say that the secrets differ. So
// log is told when events begin to be refused.
func Hook(secret string, changed func(), log *slog.Logger) http.Handler {
	handler := webhook.Handler(listener(changed), secret, nil)
	var refusing atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &status{ResponseWriter: w, code: http.StatusOK}
		handler.ServeHTTP(answer, r)
		if refused := answer.code == http.StatusBadRequest; refusing.Swap(refused) != refused && refused {
			log.Warn("an event of Drone's webhook is refused: its signature or form is wrong; is DRONE_WEBHOOK_SECRET the same here and there?", "from", r.RemoteAddr)
		}
	})
}

// listener is called for every event of a build.
type listener func()

// Deliver is called with each event whose signature is right.
func (l listener) Deliver(_ context.Context, r *webhook.Request) error {
	if r.Event == webhook.EventBuild {
		l()
	}
	return nil
}

// status remembers the code of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
