package tfmodules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Text is the state as terraform show prints one, without what is null.
func (s State) Text() string {
	var b strings.Builder
	for i, r := range s.Resources {
		if i > 0 {
			b.WriteByte('\n')
		}
		kind := "resource"
		if r.Mode == "data" {
			kind = "data"
		}
		fmt.Fprintf(&b, "# %s:\n%s %q %q ", r.Label(), kind, r.Type, r.Name)
		writeObject(&b, r.Attributes, "")
		b.WriteByte('\n')
	}
	if len(s.Outputs) > 0 {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("Outputs:\n")
		for _, name := range slices.Sorted(maps.Keys(s.Outputs)) {
			fmt.Fprintf(&b, "\n%s = ", name)
			writeValue(&b, s.Outputs[name], "")
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func writeObject(b *strings.Builder, object map[string]any, indent string) {
	width := 0
	var names []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if object[name] != nil {
			names = append(names, name)
			width = max(width, len(spelled(name)))
		}
	}
	b.WriteString("{\n")
	for _, name := range names {
		fmt.Fprintf(b, "%s    %-*s = ", indent, width, spelled(name))
		writeValue(b, object[name], indent+"    ")
		b.WriteByte('\n')
	}
	b.WriteString(indent + "}")
}

func writeValue(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			writeObject(b, v, indent)
			return
		}
	case []any:
		if len(v) > 0 {
			b.WriteString("[\n")
			for _, item := range v {
				b.WriteString(indent + "    ")
				writeValue(b, item, indent+"    ")
				b.WriteString(",\n")
			}
			b.WriteString(indent + "]")
			return
		}
	}
	b.WriteString(inline(v))
}

// inline is a value in one line. Strings are quoted, so that what a provider
// put into one cannot draw on a terminal.
func inline(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = inline(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
		var items []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, spelled(name)+" = "+inline(v[name]))
		}
		return "{ " + strings.Join(items, ", ") + " }"
	}
	return fmt.Sprint(v)
}

func spelled(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

var signs = map[string]string{Added: "+", Removed: "-", Changed: "~"}

// Text tells the difference with terraform's signs, a line for each value, and
// a count at the end.
func (d Difference) Text() string {
	var b strings.Builder
	counts := map[string]int{}
	for _, r := range d.Resources {
		counts[r.Action]++
		label := Resource{Address: r.Address, Deposed: r.Deposed}.Label()
		fmt.Fprintf(&b, "%s %s\n", signs[r.Action], label)
		for _, a := range r.Attributes {
			fmt.Fprintf(&b, "    %s\n", a.text())
		}
		b.WriteByte('\n')
	}
	if len(d.Outputs) > 0 {
		b.WriteString("Outputs:\n")
		for _, o := range d.Outputs {
			fmt.Fprintf(&b, "    %s\n", o.text())
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "Resources: %d added, %d changed, %d removed.\n", counts[Added], counts[Changed], counts[Removed])
	return b.String()
}

func (a AttributeChange) text() string {
	switch {
	case a.Old == nil:
		return signs[Added] + " " + a.Path + " = " + inline(a.New)
	case a.New == nil:
		return signs[Removed] + " " + a.Path + " = " + inline(a.Old)
	case inline(a.Old) == inline(a.New): // it is, or holds, a secret
		return signs[Changed] + " " + a.Path + " = " + inline(a.New) + " (changed)"
	}
	return signs[Changed] + " " + a.Path + " = " + inline(a.Old) + " -> " + inline(a.New)
}
