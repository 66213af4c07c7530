package tfmodules

import (
	"encoding/json"
	"hash/maphash"
	"strconv"

	"hangar/state"
)

// Secret stands where a secret was. Two of them are equal when their secrets
// were, which is all that is left of it: a hash that only this process can
// make, and that no way of printing shows.
type Secret struct{ hash uint64 }

var seed = maphash.MakeSeed()

func secretOf(v any) Secret {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // what was decoded from JSON can be encoded
	}
	return Secret{maphash.Bytes(seed, text)}
}

// String is the same for all secrets.
func (Secret) String() string { return state.Masked }

// GoString is String, so that %#v shows no more than %v.
func (s Secret) GoString() string { return s.String() }

// MarshalText makes JSON the same as String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// mark says which parts of a value are secret: all of it, or parts of what is
// below it, by attribute, key or index. A nil mark says none.
type mark struct {
	all   bool
	below map[string]*mark
}

// at is the mark of an attribute or element. Its name may tell a secret that
// nothing else does.
func (m *mark) at(name string) *mark {
	if m != nil && m.all || state.SecretName(name) {
		return &mark{all: true}
	}
	if m == nil {
		return nil
	}
	return m.below[name]
}

// marked reads the sensitive_attributes of an instance. What cannot be read
// marks more, never less.
func marked(raw json.RawMessage) *mark {
	root := &mark{}
	var paths [][]struct {
		Type  string          `json:"type"`  // get_attr, index
		Value json.RawMessage `json:"value"` // a name, or an index and its type
	}
	if raw == nil {
		return root
	}
	if json.Unmarshal(raw, &paths) != nil {
		root.all = true
	}
	for _, path := range paths {
		m := root
		for _, step := range path {
			key, ok := stepKey(step.Value)
			if !ok {
				break
			}
			if m.below == nil {
				m.below = map[string]*mark{}
			}
			if m.below[key] == nil {
				m.below[key] = &mark{}
			}
			m = m.below[key]
		}
		m.all = true
	}
	return root
}

func stepKey(raw json.RawMessage) (string, bool) {
	value, err := decode(raw)
	if index, ok := value.(map[string]any); ok {
		value = index["value"]
	}
	switch value := value.(type) {
	case string:
		return value, err == nil
	case json.Number:
		return value.String(), err == nil
	}
	return "", false
}

// hide puts a Secret in the place of what is marked or named like a secret.
// An absent value has no secret to tell.
func hide(value any, m *mark) any {
	switch {
	case value == nil:
		return nil
	case m != nil && m.all:
		return secretOf(value)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = hide(member, m.at(name))
		}
	case []any:
		if !m.fits(len(value)) {
			return secretOf(value)
		}
		for i, item := range value {
			value[i] = hide(item, m.at(strconv.Itoa(i)))
		}
	default:
		if !m.fits(0) {
			return secretOf(value)
		}
	}
	return value
}

// fits says whether all parts that are marked are indexes below n. Where they
// are not, the value is not of the shape that the mark was made for.
func (m *mark) fits(n int) bool {
	if m == nil {
		return true
	}
	for key := range m.below {
		if i, err := strconv.Atoi(key); err != nil || i < 0 || i >= n {
			return false
		}
	}
	return true
}
