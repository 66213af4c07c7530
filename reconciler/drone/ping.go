package drone

import (
	"context"
	"net/http"

	"hangar/state"
)

const maxPing = 1 << 20 // bytes

var pingDenied = map[int]error{
	http.StatusUnauthorized: state.Errorf(state.Unauthorized, "Drone refuses the agents' secret: set DRONE_AGENT_TOKEN to the DRONE_RPC_SECRET of the Drone server"),
	http.StatusForbidden:    state.Errorf(state.Forbidden, "Drone lets no agent in, because it has no secret: set DRONE_RPC_SECRET at the Drone server, and DRONE_AGENT_TOKEN to the same"),
}

// Ping shows Drone the secret of the agents as a starting runner does: POST
// /rpc/v2/ping with the header X-Drone-Token (client/http.go of
// drone/runner-go). It takes no work. The error is Unauthorized for another
// secret, Forbidden when Drone has none, and Unavailable when it does not
// answer.
func (c *Client) Ping(ctx context.Context, secret string) error {
	if !wellFormed(secret) {
		return pingDenied[http.StatusUnauthorized]
	}
	_, err := c.send(ctx, question{path: "/rpc/v2/ping", method: http.MethodPost, token: secret, header: "X-Drone-Token", limit: maxPing, denied: pingDenied})
	return err
}
