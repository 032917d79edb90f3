// Package event tells other systems what has happened: types and ids, never words.
//
// A domain adds an event to the outbox in the transaction that makes it true, so that there is no change without its event and no event
// without its change. A Relay, in every process, carries events from there to a Publisher, which is what other systems subscribe to.
// docs/guides/events.md says what they may rely on.
package event

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Event is something that has happened.
type Event struct {
	ID       id.UUID         // names it for good: who has seen it knows it again
	Org      id.UUID         // whose it is
	Type     string          // "<domain>.<what happened>", as "session.held"
	Subject  string          // the id of what it has happened to
	Data     json.RawMessage // an object of ids and codes
	At       time.Time
	Sequence int64 // of two events of one subject the later has the greater
}

// Errors of Publisher that say of an event that it can never be published.
var (
	ErrRefused  = fault.Invalid("", "the event was refused").WithCode("EVENT_REFUSED")
	ErrTooLarge = fault.Invalid("", "the event is too large").WithCode("EVENT_TOO_LARGE")
)

// MaxBytes is how large an event may be, as it travels, with what travels beside it: what SNS takes.
const MaxBytes = 256 << 10

// Publisher hands events on to whoever has subscribed.
type Publisher interface {
	// Publish takes events, which are of different subjects or in their order, and says of each what became of it, in the same order. Nil
	// says that it is taken and survives a crash of this process. ErrRefused and ErrTooLarge (or what wraps them) say that it never will
	// be; an Unavailable fault that nothing can be published now, whichever event it is; any other error that this one may be later.
	//
	// An event that was published before may be published again, and then arrives again or not: subscribers know it by its ID. No error
	// quotes an event. It is safe for concurrent use, and ends with ctx.
	Publish(ctx context.Context, events []Event) []error
}

// Source is the installation that events come from.
type Source func() string

// ContentType is what Document writes.
const ContentType = "application/cloudevents+json"

// SchemaPath is where an installation serves the JSON Schemas of its events: the path of a type's is this, the type and SchemaSuffix.
const (
	SchemaPath   = "/events/"
	SchemaSuffix = ".schema.json"
)

// Document writes the event as it travels: a CloudEvent 1.0 in structured mode, as JSON. source is the address of the installation.
func (e Event) Document(source string) ([]byte, error) {
	return json.Marshal(struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         string          `json:"subject"`
		Time            string          `json:"time"`
		DataContentType string          `json:"datacontenttype"`
		DataSchema      string          `json:"dataschema"`
		Organization    string          `json:"organization"`
		Sequence        string          `json:"sequence"`
		Data            json.RawMessage `json:"data"`
	}{
		"1.0", e.Key(), source, e.Type, e.Subject, e.At.UTC().Format(time.RFC3339Nano), "application/json", source + SchemaPath + e.Type + SchemaSuffix,
		e.Organization(), fmt.Sprintf("%020d", e.Sequence), e.Data,
	})
}

// Key is the event's id as others see it.
func (e Event) Key() string { return id.Format("event", e.ID) }

// Organization is the organization's id as others see it.
func (e Event) Organization() string { return id.Format("org", e.Org) }
