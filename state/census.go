package state

// Question is what a census asks a provider: which devices carry a tag.
type Question struct {
	Module   string         // folder of the module's content-addressed copy
	Settings map[string]any // of the module; those that its census takes are used
	Tag      string         // for example hangar-stack=default-k3v7q2mn
	// Names are those of the devices that are looked for one by one, where the
	// provider can list nothing.
	Names []string
	// Known are ids of devices that are told of whatever their tags. With any of
	// them the provider's whole list is read, which is slow where it is long.
	Known []string
}

// FoundState is what a census tells of a device's state, in terms that all
// providers share.
type FoundState string

// The states of a found device.
const (
	FoundBooting FoundState = "booting" // on its way to active; most providers refuse to destroy it
	FoundActive  FoundState = "active"
	FoundFailed  FoundState = "failed"  // it will never be active
	FoundLeaving FoundState = "leaving" // being destroyed
	FoundOther   FoundState = "other"   // it exists: switched off, for example
)

// Found is a device as a census tells of it. What its tags do not tell is
// empty.
type Found struct {
	ID       string     `json:"id"`
	Hostname string     `json:"hostname"` // empty where a census does not tell it
	Server   string     `json:"server"`   // of its tag hangar-server
	Stack    string     `json:"stack"`    // of its tag hangar-stack
	Instance string     `json:"instance"` // of its tag hangar-instance
	Address  string     `json:"address"`
	State    FoundState `json:"state"`
}
