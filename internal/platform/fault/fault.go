// Package fault names the kinds of error that may cross a package border.
//
// A domain decides which kind an error is; one place in the GraphQL layer turns kinds into codes. Everything that is
// no fault is INTERNAL and is masked before it leaves the server. Messages are for the person who called: they name
// fields, limits and ids, never the content of a conversation.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about an error.
type Kind string

// The kinds, with the code a client sees in extensions.code.
const (
	KindUnauthenticated Kind = "UNAUTHENTICATED" // sign in again
	KindNotFound        Kind = "NOT_FOUND"       // missing, or not the viewer's to see: both look the same
	KindForbidden       Kind = "FORBIDDEN"       // visible, but not the viewer's to change
	KindInvalid         Kind = "INVALID"         // correct the named field and try again
	KindConflict        Kind = "CONFLICT"        // the state does not allow it, or somebody was faster
	KindLimited         Kind = "LIMITED"         // slow down, or ask for less
	KindUnavailable     Kind = "UNAVAILABLE"     // try again later
	KindInternal        Kind = "INTERNAL"        // our mistake
)

// Error is an error of a known kind.
type Error struct {
	Kind    Kind
	Code    string // finer than Kind where a client may want to tell cases apart; "" means Kind
	Field   string // dotted path of the argument or input field, for KindInvalid
	Message string
	Retry   time.Duration // after which trying again may do; 0 says nothing
	cause   error
}

func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Unwrap gives the cause, which is logged but never sent to a client.
func (e *Error) Unwrap() error { return e.cause }

// WithCode returns a copy with a code finer than the kind.
func (e *Error) WithCode(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// After returns a copy that says after which time trying again may do.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.Retry = d
	return &c
}

// RetryAfter returns the whole seconds to wait that the first Error in err's chain says, 0 if it says nothing.
func RetryAfter(err error) int {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	return int((e.Retry + time.Second - 1) / time.Second)
}

// Because returns a copy that wraps cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// NotFound says that no such thing exists for this viewer.
func NotFound(what string) *Error {
	return &Error{Kind: KindNotFound, Message: what + " not found"}
}

// Invalid says what is wrong with which field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Conflict says which state stands in the way.
func Conflict(format string, args ...any) *Error {
	return &Error{Kind: KindConflict, Message: fmt.Sprintf(format, args...)}
}

// Forbidden says that the viewer sees the thing but may not change it.
func Forbidden(format string, args ...any) *Error {
	return &Error{Kind: KindForbidden, Message: fmt.Sprintf(format, args...)}
}

// Limited says which limit was reached.
func Limited(format string, args ...any) *Error {
	return &Error{Kind: KindLimited, Message: fmt.Sprintf(format, args...)}
}

// Unavailable says which part of the system cannot be reached now.
func Unavailable(format string, args ...any) *Error {
	return &Error{Kind: KindUnavailable, Message: fmt.Sprintf(format, args...)}
}

// Unauthenticated says why the caller is not known.
func Unauthenticated(format string, args ...any) *Error {
	return &Error{Kind: KindUnauthenticated, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain, KindInternal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// Wrap puts the operation before a non-nil *err: defer fault.Wrap(&err, "session.Cancel(%s)", id).
// Name ids in it, never content.
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// All returns the Errors in err's tree, in order: several problems of one input travel as errors.Join. It returns nil
// if any leaf is no Error, for then the whole is internal.
func All(err error) []*Error {
	var e *Error
	switch u := err.(type) {
	case *Error:
		return []*Error{u}
	case interface{ Unwrap() []error }:
		var all []*Error
		for _, one := range u.Unwrap() {
			found := All(one)
			if found == nil {
				return nil
			}
			all = append(all, found...)
		}
		return all
	case interface{ Unwrap() error }:
		if errors.As(err, &e) {
			return All(u.Unwrap())
		}
	}
	return nil
}
