package api

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/drone/drone-go/drone"

	"hangar/state"
)

// withToken shows a token as the drone command line does.
type withToken string

func (token withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

func (h *house) client(token string) drone.Client {
	return drone.NewClient(h.url+h.Root, &http.Client{Transport: withToken(token)})
}

func TestDroneServerList(t *testing.T) {
	empty, err := open(t, &world{}, nil).client(token).ServerList()
	if err != nil || empty == nil || len(empty) != 0 {
		t.Errorf("without servers: %v, %v, want an empty list", empty, err)
	}
	got, err := open(t, populated(), nil).client(token).ServerList()
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, s := range got {
		states = append(states, s.Name+" "+s.State)
	}
	want := []string{"agent-aaaaaaaa running", "agent-bbbbbbbb creating", "agent-cccccccc stopped"}
	if !reflect.DeepEqual(states, want) {
		t.Errorf("got %v, want %v", states, want)
	}
}

func TestDroneServerInfo(t *testing.T) {
	got, err := open(t, populated(), nil).client(token).Server("agent-aaaaaaaa")
	if err != nil {
		t.Fatal(err)
	}
	want := &drone.Server{ID: "d-1", Provider: "packet", State: "running", Name: "agent-aaaaaaaa", Image: "ubuntu_24_04", Region: "ewr1",
		Size: "c3.small.x86", Address: "203.0.113.7", Capacity: 2, Created: 1795447724, Updated: 1795447784, Started: 1795447784}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDroneServerCreate(t *testing.T) {
	h := open(t, &world{}, nil)
	made, err := h.client(token).ServerCreate()
	if err != nil {
		t.Fatal(err)
	}
	if made.Name == "" || made.State != drone.StatusPending || made.Capacity != 2 {
		t.Errorf("made %+v", made)
	}
	if found, err := h.client(token).Server(made.Name); err != nil || !reflect.DeepEqual(found, made) {
		t.Errorf("found %+v, %v, want %+v", found, err, made)
	}
}

// The command line deletes, then asks for what it deleted.
func TestDroneServerDestroy(t *testing.T) {
	for force, want := range map[bool]state.Phase{false: state.Shutdown, true: state.Stopping} {
		h := open(t, populated(), nil)
		if err := h.client(token).ServerDelete("agent-aaaaaaaa", force); err != nil {
			t.Fatal(err)
		}
		if got, err := h.client(token).Server("agent-aaaaaaaa"); err != nil || got.State != string(want) {
			t.Errorf("force %t: found %+v, %v, want state %s", force, got, err, want)
		}
		s, _ := h.world.server("agent-aaaaaaaa")
		if !s.Condemned || s.Forced != force {
			t.Errorf("force %t: %+v", force, s)
		}
	}
}

func TestDroneAutoscale(t *testing.T) {
	h := open(t, &world{}, func(a *API) {
		a.Version = Version{Source: "https://example.com/hangar", Version: "1.2.3", Commit: "0123abc"}
	})
	client := h.client(token)
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{{"pause", client.AutoscalePause, true}, {"pause again", client.AutoscalePause, true}, {"resume", client.AutoscaleResume, false}} {
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if h.world.paused != step.want {
			t.Errorf("%s: paused %t, want %t", step.name, h.world.paused, step.want)
		}
	}
	got, err := client.AutoscaleVersion()
	if want := (&drone.Version{Source: "https://example.com/hangar", Version: "1.2.3", Commit: "0123abc"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("version %+v, %v, want %+v", got, err, want)
	}
}

func TestDroneErrors(t *testing.T) {
	h := open(t, populated(), nil)
	_, missing := h.client(token).Server("agent-zzzzzzzz")
	_, stranger := h.client("stranger").ServerList()
	for want, err := range map[string]error{
		`client error 404: {"message":"there is no server agent-zzzzzzzz"}`: missing,
		`client error 404: {"message":"there is no server nobody"}`:         h.client(token).ServerDelete("nobody", true),
		`client error 401: {"message":"Drone does not know this token"}`:    stranger,
	} {
		if err == nil || strings.TrimSpace(err.Error()) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDroneUnderAnotherRoot(t *testing.T) {
	for _, root := range []string{"/hangar", "/hangar/", "hangar"} {
		h := open(t, populated(), func(a *API) { a.Root = root })
		h.Root = "/hangar"
		if got, err := h.client(token).ServerList(); err != nil || len(got) != 3 {
			t.Errorf("root %s: %v, %v", root, got, err)
		}
		if got := h.ask(t, "GET", "/api/servers", ""); got.status != 404 {
			t.Errorf("root %s: outside of it: %+v", root, got)
		}
	}
}
