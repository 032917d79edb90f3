// Package eventtest holds what every event.Publisher must do.
package eventtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Fixture is a publisher, and somebody who has subscribed to everything.
type Fixture struct {
	Org       id.UUID // an organization that there is
	Publisher event.Publisher
	// Arrived returns all documents that have arrived so far, in any order.
	Arrived func(t *testing.T) []json.RawMessage
}

// Source is the installation that the events are of.
func Source() string { return "https://rapport.example" }

// Events returns n events of an organization, each of a subject of its own.
func Events(org id.UUID, n int) []event.Event {
	all := make([]event.Event, n)
	for i := range all {
		all[i] = event.Event{
			ID: id.New(), Org: org, Type: "session.held", Subject: id.Format("session", id.New()), At: time.Now().UTC().Truncate(time.Microsecond), Sequence: int64(i + 1),
			Data: json.RawMessage(fmt.Sprintf(`{"sessionId":%q,"n":%d}`, id.Format("session", id.New()), i)),
		}
	}
	return all
}

// Document is the part of an event's document that tells it from others.
type Document struct {
	SpecVersion     string
	ID              string
	Source          string
	Type            string
	Subject         string
	Time            time.Time
	DataContentType string
	DataSchema      string
	Organization    string
	Sequence        string
	Data            json.RawMessage
}

// Read reads a document.
func Read(t testing.TB, raw []byte) (d Document) {
	t.Helper()
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return d
}

// Run runs the suite; setup makes a publisher that has published nothing.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"publishes what it is given":          publishesWhatItIsGiven,
		"refuses what is too large":           refusesWhatIsTooLarge,
		"publishes again":                     publishesAgain,
		"ends with its context":               endsWithItsContext,
		"publishes for many at the same time": publishesForMany,
		"publishes nothing":                   publishesNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

func publish(t *testing.T, p event.Publisher, events []event.Event) {
	t.Helper()
	results := p.Publish(t.Context(), events)
	if err := errors.Join(results...); err != nil || len(results) != len(events) {
		t.Fatalf("%d results for %d events: %v", len(results), len(events), err)
	}
}

// arrives waits until all events have arrived, and checks how.
func arrives(t *testing.T, f Fixture, events []event.Event) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		got := map[string]Document{}
		for _, raw := range f.Arrived(t) {
			d := Read(t, raw)
			got[d.ID] = d
		}
		if len(got) > len(events) {
			t.Fatalf("%d events arrived, %d were published", len(got), len(events))
		}
		for _, e := range events {
			d, ok := got[e.Key()]
			if !ok {
				return fmt.Errorf("%s has not arrived", e.Key())
			}
			want := Document{
				"1.0", e.Key(), Source(), e.Type, e.Subject, e.At, "application/json", Source() + "/events/" + e.Type + ".schema.json",
				id.Format("org", e.Org), fmt.Sprintf("%020d", e.Sequence), e.Data,
			}
			var a, b bytes.Buffer
			if json.Compact(&a, d.Data) != nil || json.Compact(&b, want.Data) != nil || a.String() != b.String() {
				t.Fatalf("data %s, want %s", d.Data, want.Data)
			}
			d.Data, want.Data = nil, nil
			if fmt.Sprintf("%+v", d) != fmt.Sprintf("%+v", want) {
				t.Fatalf("arrived as\n%+v, want\n%+v", d, want)
			}
		}
		return nil
	})
}

func publishesWhatItIsGiven(t *testing.T, f Fixture) {
	all := Events(f.Org, 25)
	publish(t, f.Publisher, all)
	arrives(t, f, all)
}

func refusesWhatIsTooLarge(t *testing.T, f Fixture) {
	all := Events(f.Org, 13)
	// Much, but not too much: together more than fits a call.
	for i := range 3 {
		all[i].Data = json.RawMessage(fmt.Sprintf(`{"much":%q}`, strings.Repeat("x", event.MaxBytes/2)))
	}
	const large = 5
	all[large].Data = json.RawMessage(fmt.Sprintf(`{"much":%q}`, strings.Repeat("x", event.MaxBytes)))
	results := f.Publisher.Publish(t.Context(), all)
	var rest []event.Event
	for i, err := range results {
		if i == large {
			if !errors.Is(err, event.ErrTooLarge) || len(err.Error()) > 1000 {
				t.Errorf("the large one: %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		rest = append(rest, all[i])
	}
	arrives(t, f, rest)
}

func publishesAgain(t *testing.T, f Fixture) {
	all := Events(f.Org, 3)
	publish(t, f.Publisher, all)
	publish(t, f.Publisher, append(all[:2:2], Events(f.Org, 1)...))
	got := map[string]bool{}
	testkit.Eventually(t, 20*time.Second, func() error {
		for _, raw := range f.Arrived(t) {
			got[Read(t, raw).ID] = true
		}
		if len(got) != 4 {
			return fmt.Errorf("%d ids", len(got))
		}
		return nil
	})
}

func endsWithItsContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range f.Publisher.Publish(ctx, Events(f.Org, 12)) {
		if err == nil || errors.Is(err, event.ErrRefused) || errors.Is(err, event.ErrTooLarge) {
			t.Errorf("after the end: %v", err)
		}
	}
}

func publishesForMany(t *testing.T, f Fixture) {
	var all []event.Event
	var wg sync.WaitGroup
	for range 8 {
		mine := Events(f.Org, 15)
		all = append(all, mine...)
		wg.Go(func() {
			if err := errors.Join(f.Publisher.Publish(t.Context(), mine)...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	arrives(t, f, all)
}

func publishesNothing(t *testing.T, f Fixture) {
	if results := f.Publisher.Publish(t.Context(), nil); len(results) != 0 {
		t.Errorf("%d results", len(results))
	}
	if n := len(f.Arrived(t)); n != 0 {
		t.Errorf("%d arrived", n)
	}
}
