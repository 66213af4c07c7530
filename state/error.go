package state

import (
	"errors"
	"fmt"
)

// Code classifies the errors on which a caller branches. Every other error
// has none.
type Code string

// The codes.
const (
	Invalid      Code = "invalid"      // the caller asked for something that cannot be
	NotFound     Code = "not found"    // there is no such thing
	Conflict     Code = "conflict"     // what the caller knew is no longer so
	Unauthorized Code = "unauthorized" // no token, or a bad one
	Forbidden    Code = "forbidden"    // a good token that may not do this
	Unavailable  Code = "unavailable"  // something that hangar needs does not answer
	Untrusted    Code = "untrusted"    // what answers is not what it should be: perhaps an attack
)

// Error is an error with a code and a message for the user.
type Error struct {
	Code    Code
	Message string
	Err     error // cause, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of err, or "" when it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
