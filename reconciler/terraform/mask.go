package terraform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"hangar/state"
)

// masker removes secrets from what is kept or shown.
type masker struct{ replacer *strings.Replacer }

// mask returns a masker for the runner's secrets. Shorter ones than four
// characters are no secrets, and would be found in every word.
func (r *Runner) mask() masker {
	var forms []string
	secrets := slices.Clone(r.Secrets)
	for _, keys := range r.keys() {
		secrets = slices.AppendSeq(secrets, maps.Values(keys))
	}
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		for _, escapeHTML := range []bool{false, true} {
			quoted := strings.TrimSpace(string(encode(s, escapeHTML)))
			forms = append(forms, s, quoted[1:len(quoted)-1])
		}
		forms = append(forms, within(s)...)
	}
	// The longest first: a secret may begin with another one.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, state.Masked)
	}
	return masker{strings.NewReplacer(pairs...)}
}

// within is how a secret looks in the middle of something encoded by base64, such
// as user data that a provider repeats: its bytes begin at one of three places of
// a group, and what its neighbours have a part in is not known.
func within(secret string) (forms []string) {
	if len(secret) < 8 {
		return nil // too little of it would be left
	}
	for before, start := range []int{0, 2, 3} {
		whole := (before + len(secret)) * 8 / 6
		padded := append(make([]byte, before), secret...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString(padded)[start:whole])
		}
	}
	return forms
}

func (m masker) text(s string) string { return m.replacer.Replace(s) }

// shown is text for people, masked and free of what would steer a terminal: a
// provider repeats what its API says, and that what others wrote.
func (m masker) shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, m.text(s))
}

// named is a line of a plan for people that names an attribute, a key or a block,
// after a sign of change.
var named = regexp.MustCompile(`^([ +~<=/-]*)("(?:[^"\\]|\\.)*"|[\w-]+)( += | \{)(.*)$`)

// plain are values that tell no secret.
var plain = regexp.MustCompile(`^(\(.*\)|true|false|null)( -> (\(.*\)|true|false|null))?( #.*)?$`)

// closes is how a value of several lines ends.
var closes = regexp.MustCompile(`^([]})]|[A-Z]+\b)`)

// planText masks a plan for people: the runner's secrets, and the values of what
// is named like a secret, which not every provider marks. A value of several lines
// ends where a line does not begin further to the right than the name.
func (m masker) planText(text string) string {
	var kept, blank []string
	hidden := -1 // column of the name whose value is left out
	for line := range strings.SplitSeq(text, "\n") {
		start := strings.TrimLeft(line, " ")
		column := len(line) - len(start)
		switch {
		case start == "":
			blank = append(blank, line)
			continue
		case hidden >= 0 && (column > hidden || column == hidden && closes.MatchString(start)):
			blank = nil
			continue
		}
		hidden = -1
		if p := named.FindStringSubmatch(line); p != nil && state.SecretName(p[2]) && !plain.MatchString(p[4]) {
			hidden = len(p[1])
			line = p[1] + p[2] + strings.Replace(p[3], "{", "= ", 1) + state.Masked
		}
		kept, blank = append(append(kept, blank...), line), nil
	}
	return m.shown(strings.Join(append(kept, blank...), "\n"))
}

// plan masks the JSON of a plan: what the plan itself marks as sensitive, what
// is named like a secret, and the runner's secrets wherever they are. The shape
// stays that of a plan.
func (m masker) plan(raw []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plan map[string]any
	if err := dec.Decode(&plan); err != nil {
		return nil, fmt.Errorf("terraform show: %w", err)
	}
	hideMarked(plan)
	return bytes.TrimSpace(encode(m.walk(false, plan), false)), nil
}

// marks are the members of a plan's objects that say which parts of another
// member are sensitive (https://developer.hashicorp.com/terraform/internals/json-format).
var marks = map[string]string{
	"sensitive_values": "values",
	"before_sensitive": "before",
	"after_sensitive":  "after",
}

// hideMarked masks what the objects in v mark as sensitive.
func hideMarked(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			hideMarked(item)
		}
	case map[string]any:
		for mark, member := range marks {
			if value, ok := v[member]; ok {
				v[member] = hide(value, v[mark])
			}
		}
		if v["sensitive"] == true { // an output or a variable
			for _, member := range []string{"value", "default"} {
				if value, ok := v[member]; ok {
					v[member] = hide(value, true)
				}
			}
		}
		for _, member := range v {
			hideMarked(member)
		}
	}
}

// hide masks the parts of value that mark, of the same shape, says true of.
func hide(value, mark any) any {
	switch mark := mark.(type) {
	case bool:
		if mark && value != nil {
			return state.Masked
		}
	case []any:
		if list, ok := value.([]any); ok {
			for i := range min(len(list), len(mark)) {
				list[i] = hide(list[i], mark[i])
			}
		}
	case map[string]any:
		if object, ok := value.(map[string]any); ok {
			for name, m := range mark {
				if member, ok := object[name]; ok {
					object[name] = hide(member, m)
				}
			}
		}
	}
	return value
}

// walk masks the runner's secrets in every string, names included, and every
// string below a name that is always a secret's: the user data of some
// providers is a map.
func (m masker) walk(secret bool, v any) any {
	switch v := v.(type) {
	case string:
		if secret {
			return state.Masked
		}
		return m.text(v)
	case []any:
		for i, item := range v {
			v[i] = m.walk(secret, item)
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, member := range v {
			clean[m.text(name)] = m.walk(secret || state.SecretName(name), member)
		}
		return clean
	}
	return v
}

func encode(v any, escapeHTML bool) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	if err := enc.Encode(v); err != nil {
		panic(err) // what was decoded from JSON can be encoded
	}
	return b.Bytes()
}
