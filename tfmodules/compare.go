package tfmodules

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
)

// Difference is what changed from one state to another. Secrets stay hidden;
// of one that changed it tells that it did.
type Difference struct {
	Resources []ResourceChange  `json:"resources"` // by address
	Outputs   []AttributeChange `json:"outputs"`
}

// The actions of a ResourceChange.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// ResourceChange is a resource that is not the same in both states.
type ResourceChange struct {
	Action     string            `json:"action"` // Added, Removed, Changed
	Address    string            `json:"address"`
	Deposed    string            `json:"deposed,omitempty"`
	Attributes []AttributeChange `json:"attributes"` // of an added or removed one: all that are not null
}

// AttributeChange is a value that is not the same in both states.
type AttributeChange struct {
	Path string `json:"path"` // such as network[0].address; (status) for terraform's own mark, such as Tainted
	Old  any    `json:"old"`  // null: there was none
	New  any    `json:"new"`  // null: there is none
}

// Compare tells what changed from the old state to the new one. Both come from
// ReadState in the same process; the zero State has nothing in it. Lists of
// the same length are compared item by item, others as a whole.
func Compare(before, after State) Difference {
	d := Difference{Resources: []ResourceChange{}, Outputs: changes(nil, "", before.Outputs, after.Outputs)}
	type instance struct{ address, deposed string }
	index := func(s State) map[instance]Resource {
		m := map[instance]Resource{}
		for _, r := range s.Resources {
			m[instance{r.Address, r.Deposed}] = r
		}
		return m
	}
	olds, news := index(before), index(after)
	both := maps.Clone(olds)
	maps.Copy(both, news)
	for at := range both {
		old, was := olds[at]
		now, is := news[at]
		change := ResourceChange{Action: Changed, Address: at.address, Deposed: at.deposed, Attributes: []AttributeChange{}}
		switch {
		case !was:
			change.Action = Added
		case !is:
			change.Action = Removed
		}
		if old.Status != now.Status {
			change.Attributes = append(change.Attributes, AttributeChange{"(status)", orNull(old.Status), orNull(now.Status)})
		}
		change.Attributes = changes(change.Attributes, "", old.Attributes, now.Attributes)
		if change.Action != Changed || len(change.Attributes) > 0 {
			d.Resources = append(d.Resources, change)
		}
	}
	slices.SortFunc(d.Resources, func(a, b ResourceChange) int {
		return slices.Compare([]string{a.Address, a.Deposed}, []string{b.Address, b.Deposed})
	})
	return d
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// changes appends what differs between two objects to found.
func changes(found []AttributeChange, path string, before, after map[string]any) []AttributeChange {
	if found == nil {
		found = []AttributeChange{}
	}
	both := maps.Clone(before)
	if both == nil {
		both = map[string]any{}
	}
	maps.Copy(both, after)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		found = changed(found, member(path, name), before[name], after[name])
	}
	return found
}

func changed(found []AttributeChange, path string, before, after any) []AttributeChange {
	if reflect.DeepEqual(before, after) {
		return found
	}
	switch old := before.(type) {
	case map[string]any:
		if now, ok := after.(map[string]any); ok {
			return changes(found, path, old, now)
		}
	case []any:
		if now, ok := after.([]any); ok && len(now) == len(old) {
			for i := range old {
				found = changed(found, path+"["+strconv.Itoa(i)+"]", old[i], now[i])
			}
			return found
		}
	}
	return append(found, AttributeChange{path, before, after})
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// member is the path of an attribute or of a map's element.
func member(path, name string) string {
	switch {
	case !identifier.MatchString(name):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}
