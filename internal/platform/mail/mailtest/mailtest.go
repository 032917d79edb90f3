// Package mailtest is the suite that every mail.Sender passes.
package mailtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

// Fixture is a sender, and what it has sent.
type Fixture struct {
	// Org is an organization that may send.
	Org    id.UUID
	Sender mail.Sender
	// Reopen returns the sender as the process that starts next has it.
	Reopen func(t *testing.T) mail.Sender
	// Sent returns what was sent, in any order, as the recipient's program shows it: without Org and Type.
	Sent func(t *testing.T) []mail.Message
}

// Message is one that can be sent.
func Message(id string) mail.Message {
	return mail.Message{
		ID: id, Type: "SESSION_RESCHEDULED", To: mail.Address{Name: "Amara Okafor", Email: "amara@example.com"}, Subject: "Your session was moved",
		Text: "Tuesday at ten.\n", HTML: "<p>Tuesday at ten.</p>\n",
		Headers: map[string]string{"List-Unsubscribe": "<https://app.example.com/unsubscribe/x>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
	}
}

// Run runs the suite; setup makes a sender that has sent nothing.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	t.Run("sends what it is given", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		long := strings.Repeat("نص طويل لا ينتهي 🦊 ", 40)
		for i, m := range []mail.Message{
			Message("plain"),
			{ID: "letters", To: mail.Address{Name: "נועה לוי 👩‍💻", Email: "noa@example.com"}, Subject: "מחר ב־10:00 👋", Text: "שלום\n.\n..\nFrom here\n", HTML: "<p dir=\"rtl\">שלום &lt;b&gt;</p>\n"},
			{ID: "long", To: mail.Address{Name: `O'Neil, "Kit" <x@y>`, Email: "kit@example.com"}, Subject: strings.TrimSpace(long), Text: long + "\n", HTML: "<p>" + long + "</p>\n"},
		} {
			m.Org = f.Org
			if err := f.Sender.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			m.Org, m.Type = id.UUID{}, ""
			sent := f.Sent(t)
			if len(sent) != i+1 {
				t.Fatalf("%d were sent, want %d", len(sent), i+1)
			}
			found := false
			for _, got := range sent {
				if got.ID == m.ID {
					found = true
					for name, value := range m.Headers {
						if got.Headers[name] != value {
							t.Errorf("%s: %s is %q, want %q", m.ID, name, got.Headers[name], value)
						}
					}
					got.Headers, m.Headers = nil, nil
					if fmt.Sprint(got) != fmt.Sprint(m) {
						t.Errorf("%s arrived as\n%q, want\n%q", m.ID, got, m)
					}
				}
			}
			if !found {
				t.Errorf("%s did not arrive", m.ID)
			}
		}
	})
	t.Run("sends an id once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		m := Message("one")
		m.Org = f.Org
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := f.Sender.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := f.Reopen(t).Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		if n := len(f.Sent(t)); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
	t.Run("refuses what cannot be sent", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for name, change := range map[string]func(*mail.Message){
			"no id":                   func(m *mail.Message) { m.ID = "" },
			"an id that is a path":    func(m *mail.Message) { m.ID = "../x" },
			"no address":              func(m *mail.Message) { m.To.Email = "" },
			"two addresses":           func(m *mail.Message) { m.To.Email = "a@example.com, b@example.com" },
			"a header in the subject": func(m *mail.Message) { m.Subject = "Hello\r\nBcc: b@example.com" },
			"a header in the name":    func(m *mail.Message) { m.To.Name = "Amara\nBcc: b@example.com" },
			"a header in the address": func(m *mail.Message) { m.To.Email = "a@example.com\r\nBcc: b@example.com" },
			"a header in a header":    func(m *mail.Message) { m.Headers = map[string]string{"List-Unsubscribe": "<x>\r\nBcc: b@example.com"} },
			"a header's name":         func(m *mail.Message) { m.Headers = map[string]string{"X: y\r\nBcc": "b@example.com"} },
			"another sender":          func(m *mail.Message) { m.Headers = map[string]string{"from": "b@example.com"} },
			"a type that is a text":   func(m *mail.Message) { m.Type = "Amara's session" },
			"no text":                 func(m *mail.Message) { m.Text = "" },
			"no HTML":                 func(m *mail.Message) { m.HTML = "" },
		} {
			m := Message("bad")
			m.Org = f.Org
			change(&m)
			err := f.Sender.Send(t.Context(), m)
			if !errors.Is(err, mail.ErrRejected) || strings.Contains(err.Error(), "example.com") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(f.Sent(t)); n != 0 {
			t.Errorf("%d were sent", n)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m := Message("late")
		m.Org = f.Org
		if err := f.Sender.Send(ctx, m); err == nil || len(f.Sent(t)) != 0 {
			t.Errorf("sent: %v", err)
		}
	})
}
