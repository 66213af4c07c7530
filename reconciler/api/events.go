package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// EventStore reads the log of events.
type EventStore interface {
	// Events returns the events that the filter selects, the oldest first, and the
	// place in the log up to which it was read.
	Events(ctx context.Context, filter state.EventFilter) (events []state.Event, read int64, err error)
	// LastEvent returns the place of the newest event; 0: there is none yet.
	LastEvent(ctx context.Context) (int64, error)
}

// streaming is how events are told as they happen.
type streaming struct {
	Beat  time.Duration // between two signs of life when nothing happens
	Write time.Duration // for a client to take what it is sent; one that takes longer is left
	Most  time.Duration // that a stream lasts: then its client comes back, and shows its token again
	Limit int           // streams at once

	mu   sync.Mutex
	open int
	news chan struct{} // closed when events were recorded
}

func newStreaming() *streaming {
	return &streaming{Beat: 15 * time.Second, Write: 15 * time.Second, Most: time.Hour, Limit: 100, news: make(chan struct{})}
}

// EventsRecorded has the streams read the log. It never blocks.
func (a *API) EventsRecorded() {
	s := a.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.news)
	s.news = make(chan struct{})
}

// next is closed when events are recorded after this call.
func (s *streaming) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// enter takes a place for a stream, if there is one.
func (s *streaming) enter() (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.Limit {
		return nil, false
	}
	s.open++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}, true
}

// listEvents answers the events after ?since=, the oldest first; the seq of the
// last one as since leads to the next page.
func (a *API) listEvents(c *gin.Context) (any, error) {
	filter, err := eventFilter(c, c.Query("since"))
	if err == nil {
		filter.Limit, err = pageLimit(c)
	}
	if err != nil {
		return nil, err
	}
	events, _, err := a.store.Events(c.Request.Context(), filter)
	return list(events), err
}

func eventFilter(c *gin.Context, since string) (state.EventFilter, error) {
	filter := state.EventFilter{Server: c.Query("server"), Stack: c.Query("stack")}
	for _, kind := range c.QueryArray("kind") {
		filter.Kinds = append(filter.Kinds, state.EventKind(kind))
	}
	if since == "" {
		return filter, nil
	}
	after, err := strconv.ParseInt(since, 10, 64)
	if err != nil || after < 0 {
		return filter, state.Errorf(state.Invalid, "since=%s: wanted is the seq of an event, a whole number", since)
	}
	filter.After = after
	return filter, nil
}

// streamEvents answers events as they happen, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): those after
// Last-Event-ID or ?since=, without either those to come. Nothing is kept for a
// client but its place in the log, from which it reads at its own pace. A stream
// ends soon after whoever reads it may no longer.
func (a *API) streamEvents(c *gin.Context, may func(context.Context) bool) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), a.streams.Most)
	defer cancel()
	since := c.GetHeader("Last-Event-ID")
	if since == "" {
		since = c.Query("since")
	}
	filter, err := eventFilter(c, since)
	if err == nil && since == "" {
		filter.After, err = a.store.LastEvent(ctx)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	leave, ok := a.streams.enter()
	if !ok {
		a.fail(c, state.Errorf(state.Unavailable, "there are %d streams of events already: end one, or read GET /api/events now and then", a.streams.Limit))
		return
	}
	defer leave()
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // nginx passes it on at once
	if err := a.stream(ctx, c, filter, may); err != nil && ctx.Err() == nil {
		a.logFailure(c, err)
	}
}

// streamToAdmin streams to who shows the token of an admin. That Drone does not
// answer ends no stream.
func (a *API) streamToAdmin(c *gin.Context) {
	token, _ := bearer(c.GetHeader("Authorization"))
	a.streamEvents(c, func(ctx context.Context) bool {
		_, err := a.gate.Admin(ctx, token)
		code := state.CodeOf(err)
		return code != state.Unauthorized && code != state.Forbidden
	})
}

// streamToPage streams to a page, as long as its login lasts.
func (a *API) streamToPage(c *gin.Context) {
	v, _ := visitorOf(c)
	a.streamEvents(c, func(ctx context.Context) bool {
		if v.id == "" {
			return true // who shows the password of the pages has nothing that ends
		}
		_, ok := a.sessionOf(ctx, v.id)
		return ok
	})
}

// stream writes events until ctx ends, the client is gone or may no longer read.
func (a *API) stream(ctx context.Context, c *gin.Context, filter state.EventFilter, may func(context.Context) bool) error {
	control := http.NewResponseController(c.Writer)
	send := func(text string) error {
		if err := control.SetWriteDeadline(time.Now().Add(a.streams.Write)); err != nil {
			return err
		}
		if _, err := c.Writer.WriteString(text); err != nil {
			return err
		}
		return control.Flush()
	}
	// From where it tells, for one that is cut off before anything happens.
	if send(fmt.Sprintf("retry: 2000\nid: %d\n\n", filter.After)) != nil { // milliseconds
		return nil // the client is gone
	}
	beat := time.NewTicker(a.streams.Beat)
	defer beat.Stop()
	for {
		news := a.streams.next()
		events, read, err := a.store.Events(ctx, filter)
		if err != nil {
			return err
		}
		for _, e := range events {
			body, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if send(fmt.Sprintf("id: %d\ndata: %s\n\n", e.Seq, body)) != nil {
				return nil
			}
		}
		filter.After = read
		if len(events) > 0 { // there may be a next page
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-beat.C:
			if !may(ctx) || send(": still here\n\n") != nil {
				return nil
			}
		}
	}
}
