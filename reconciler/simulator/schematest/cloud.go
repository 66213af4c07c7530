// Package schematest serves, to real terraform, the schemas of real providers,
// with a cloud behind them that a test holds: what is created is there for every
// later terraform, until it is destroyed. It is for tests only.
//
// The schemas in schemas/ are those of the real providers, as
// `terraform providers schema -json` printed them, cut down to what the modules
// use.
package schematest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"hangar/reconciler/simulator/plugin"
)

// Cloud holds what providers have made.
type Cloud struct {
	server *httptest.Server

	mu     sync.Mutex
	serial int
	things []*thing
	faults map[string]fault // by type of resource
}

// thing is one resource.
type thing struct {
	kind  string // its type
	id    string
	state plugin.Object // all that the provider knows of it
}

// fault is how the creates of a type fail.
type fault struct {
	text  string
	after bool // the thing is there all the same
}

// request is what a provider asks of the cloud.
type request struct {
	Kind  string        `json:"kind"` // type of the resource
	ID    string        `json:"id,omitempty"`
	State plugin.Object `json:"state,omitempty"`
}

// answer is what it gets.
type answer struct {
	Serial int             `json:"serial,omitempty"`
	States []plugin.Object `json:"states"` // of all of the type, or of the one with the id
	Error  string          `json:"error,omitempty"`
}

// New makes a cloud that is there until the test ends.
func New(t testing.TB) *Cloud {
	c := &Cloud{faults: map[string]fault{}}
	mux := http.NewServeMux()
	for path, do := range map[string]func(request) answer{"/draw": c.draw, "/keep": c.keep, "/find": c.find, "/drop": c.drop} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var ask request
			if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			_ = json.NewEncoder(w).Encode(do(ask)) // who asked has gone
		})
	}
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	return c
}

// Fail lets the creates of a type of resource fail with a text, until it is
// empty. With after, the provider fails when the thing is there already.
func (c *Cloud) Fail(kind, text string, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults[kind] = (fault{text, after}); text == "" {
		delete(c.faults, kind)
	}
}

// All returns what is known of the things of a type, in order of creation.
func (c *Cloud) All(kind string) []plugin.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(request{Kind: kind}).States
}

// draw gives a number to a thing that is about to be made.
func (c *Cloud) draw(r request) answer {
	if f, ok := c.faults[r.Kind]; ok && !f.after {
		return answer{Error: f.text}
	}
	c.serial++
	return answer{Serial: c.serial}
}

// keep makes a thing, or changes what is known of it.
func (c *Cloud) keep(r request) answer {
	for _, t := range c.things {
		if t.kind == r.Kind && t.id == r.ID {
			t.state = r.State
			return answer{}
		}
	}
	c.things = append(c.things, &thing{r.Kind, r.ID, r.State})
	return answer{Error: c.faults[r.Kind].text}
}

func (c *Cloud) find(r request) answer {
	found := answer{States: []plugin.Object{}}
	for _, t := range c.things {
		if t.kind == r.Kind && (r.ID == "" || r.ID == t.id) {
			found.States = append(found.States, maps.Clone(t.state))
		}
	}
	return found
}

func (c *Cloud) drop(r request) answer {
	before := len(c.things)
	c.things = slices.DeleteFunc(c.things, func(t *thing) bool { return t.kind == r.Kind && t.id == r.ID })
	if len(c.things) == before {
		return answer{Error: fmt.Sprintf("there is no %s %s", r.Kind, r.ID)}
	}
	return answer{}
}
