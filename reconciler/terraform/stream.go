package terraform

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"hangar/state"
)

// message is a line of apply -json
// (https://developer.hashicorp.com/terraform/internals/machine-readable-ui).
type message struct {
	Type       string            `json:"type"`
	Message    string            `json:"@message"`
	Hook       *hook             `json:"hook"`
	Diagnostic *state.Diagnostic `json:"diagnostic"`
}

type hook struct {
	Resource struct {
		Addr string `json:"addr"`
		Key  any    `json:"resource_key"`
	} `json:"resource"`
	Action  string  `json:"action"`
	ID      string  `json:"id_value"`
	Elapsed float64 `json:"elapsed_seconds"`
}

// stream takes apart what terraform writes while it applies, line by line.
type stream struct {
	events chan state.ApplyEvent

	resource string // address of the servers, without their keys
	mask     masker
	begun    bool   // an action on some resource has begun
	rest     []byte // of a line that is not yet whole
	log      strings.Builder
	told     map[state.Diagnostic]bool // warnings, without their addresses
	found    []state.Diagnostic
}

func newStream(resource string, mask masker) *stream {
	return &stream{
		events:   make(chan state.ApplyEvent, 1024), // more than a hundred servers tell at once
		resource: resource,
		mask:     mask,
		told:     map[state.Diagnostic]bool{},
	}
}

// Write takes the next bytes.
func (s *stream) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		s.line(line)
		s.rest = rest
	}
}

// close ends the stream and returns what terraform said; stderr is what it
// wrote elsewhere, a crash for example.
func (s *stream) close(stderr string) state.ApplyResult {
	if len(s.rest) > 0 {
		s.line(s.rest)
	}
	s.write(stderr)
	close(s.events)
	return state.ApplyResult{Begun: s.begun, Log: s.log.String(), Diagnostics: s.found}
}

func (s *stream) line(line []byte) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil || m.Type == "" && m.Message == "" {
		s.write(string(line))
		return
	}
	if m.Hook != nil {
		s.begun = s.begun || strings.HasPrefix(m.Type, "apply_")
		s.event(m.Type, *m.Hook)
	}
	switch {
	case m.Diagnostic != nil:
		s.diagnostic(m.Message, *m.Diagnostic)
	case m.Type != "apply_progress": // every ten seconds for each server: told as events
		s.write(m.Message)
	}
}

func (s *stream) write(text string) {
	if text = strings.TrimRight(text, "\n"); text != "" {
		s.log.WriteString(s.mask.shown(text) + "\n")
	}
}

// diagnostic keeps every error, and a warning once, however many resources it
// is about.
func (s *stream) diagnostic(text string, d state.Diagnostic) {
	d.Summary, d.Detail = s.mask.shown(d.Summary), s.mask.shown(d.Detail)
	if d.Severity != "error" {
		key := d
		key.Address = ""
		if s.told[key] {
			return
		}
		s.told[key] = true
	}
	s.found = append(s.found, d)
	if d.Address != "" {
		text += "\n  with " + d.Address
	}
	if d.Detail != "" {
		text += "\n  " + strings.ReplaceAll(d.Detail, "\n", "\n  ")
	}
	s.write(text)
}

// event tells of a server; what happens to other resources of the module is
// only in the log.
func (s *stream) event(kind string, h hook) {
	server, ok := h.Resource.Key.(string)
	if !ok || !strings.HasPrefix(h.Resource.Addr, s.resource+"[") {
		return
	}
	e := state.ApplyEvent{Server: server, Action: h.Action, Elapsed: time.Duration(h.Elapsed * float64(time.Second))}
	switch kind {
	case "apply_start", "apply_progress":
	case "apply_complete":
		e.Done, e.ID = true, h.ID
	case "apply_errored":
		e.Failed = true
	default:
		return
	}
	s.events <- e
}
