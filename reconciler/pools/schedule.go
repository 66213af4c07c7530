package pools

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones are known where the system has none

	"github.com/adhocore/gronx"

	"hangar/state"
)

// schedule gives a pool another size in every minute that its cron expression
// matches, on the clock of its time zone.
type schedule struct {
	name     string
	cron     string // five fields: minute, hour, day of the month, month, day of the week
	zone     *time.Location
	min, max *int    // nil: as the pool has it
	buffer   *string // the same; in order
}

// newSchedule reads the expression and the zone; wrong says what is wrong with
// either, by the attribute's name.
func newSchedule(name, cron, zone string) (s schedule, wrong map[string]error) {
	s, wrong = schedule{name: name, cron: cron}, map[string]error{}
	if !isCron(cron) {
		wrong["cron"] = fmt.Errorf("schedule %q: cron = %q: want five fields (minute, hour, day, month, weekday) that name the minutes in which it applies, such as %q", name, cron, "* 8-17 * * mon-fri")
	}
	var err error
	if s.zone, err = time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		wrong["timezone"] = fmt.Errorf("schedule %q: timezone = %q: want the name of a time zone, such as Europe/Vienna or UTC", name, zone)
	}
	return s, wrong
}

// isCron says whether every part of the five fields is in order. The library
// looks only as far as it must to tell whether an instant matches.
func isCron(text string) bool {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return false
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			alone := []string{"*", "*", "*", "*", "*"}
			alone[i] = part
			if !gronx.IsValid(strings.Join(alone, " ")) {
				return false
			}
		}
	}
	return true
}

// applies says whether the minute of t matches.
func (s schedule) applies(t time.Time) bool {
	due, err := gronx.New().IsDue(s.cron, t.In(s.zone).Truncate(time.Minute))
	return due && err == nil // it was valid when it was read
}

func (s schedule) apply(p state.Pool) state.Pool {
	p.Schedule = s.name
	set(&p.Min, s.min)
	set(&p.Max, s.max)
	_ = setBuffer(&p, s.buffer) // it was read before
	return p
}

// setBuffer gives a pool the buffer that a text tells, if there is one.
func setBuffer(p *state.Pool, text *string) error {
	if text == nil {
		return nil
	}
	stages, learn, err := ParseBuffer(*text)
	if err != nil {
		return fmt.Errorf("buffer = %q: %w", *text, err)
	}
	p.Buffer, p.LearnBuffer = stages, learn
	return nil
}

// ParseBuffer reads for how many stages there is to be room beyond the demand, or
// that it is to be learned.
func ParseBuffer(text string) (stages int, learn bool, err error) {
	if text == "auto" {
		return 0, true, nil
	}
	if stages, err = strconv.Atoi(text); err != nil || stages < 0 {
		return 0, false, errors.New(`want a number of builds, 0 or more, or auto: as many as usually come while a server boots`)
	}
	return stages, false, nil
}

// check says what is wrong with the sizes of a pool.
func check(p state.Pool) error {
	switch {
	case p.Min < 0:
		return errors.New("min: want 0 or more")
	case p.Max < 1:
		return errors.New("max: want 1 or more")
	case p.Min > p.Max:
		return fmt.Errorf("min = %d is above max = %d", p.Min, p.Max)
	}
	return nil
}
