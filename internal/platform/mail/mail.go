// Package mail is the port through which mails leave, and what a mail is.
package mail

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Errors of Sender that are not worth another attempt.
var (
	// ErrRejected: this message can never be sent. The message itself, or its address, is not right.
	ErrRejected = fault.Invalid("", "the message was rejected").WithCode("MAIL_REJECTED")
	// ErrSuppressed: whoever sends knows that the address wants no mail, or that none arrives there.
	ErrSuppressed = fault.Conflict("the address is suppressed").WithCode("MAIL_SUPPRESSED")
)

// Sender sends mails.
type Sender interface {
	// Send hands m over for delivery; when it returns nil, m survives a crash of this process. That m has arrived it does not
	// say: bounces and complaints come later, by the adapter's own ways.
	//
	// A message whose ID was sent before is not sent again, and that is no error: callers repeat what they do not know the end
	// of. An adapter whose provider cannot tell remembers at least what it has sent itself, and its doc comment says so.
	//
	// It returns ErrRejected or ErrSuppressed (or what wraps them) for what must not be repeated, a Limited fault when it is
	// too much at once, and any other error for what may work later. No error quotes the message or its address. It is safe
	// for concurrent use, and ends with ctx.
	Send(ctx context.Context, m Message) error
}

// Address is where a mail goes or comes from.
type Address struct {
	Name  string // may be ""
	Email string
}

func (a Address) String() string { return (&mail.Address{Name: a.Name, Address: a.Email}).String() }

// ParseAddress reads an address with or without a name: Rapport <coaching@example.com>.
func ParseAddress(s string) (Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return Address{}, fault.Invalid("", "is not an address like Rapport <coaching@example.com>")
	}
	return Address{a.Name, a.Address}, nil
}

// Message is one mail to one person.
type Message struct {
	ID      string  // names it for good: 1 to 64 letters, digits, hyphens and underscores
	Org     id.UUID // whose mail it is
	Type    string  // what it is, as a code, for who counts mails: capital letters and underscores; may be ""
	To      Address
	Subject string
	Text    string
	HTML    string
	Headers map[string]string // beside those that follow from the rest, as List-Unsubscribe
}

// Check returns ErrRejected for a message that cannot be written: without a part, or with a line break or another control
// character in what becomes a header, which is how headers are injected.
func (m Message) Check() error {
	bad := func(what string) error { return fmt.Errorf("%s: %w", what, ErrRejected) }
	if len(m.ID) == 0 || len(m.ID) > 64 || strings.Trim(strings.ToLower(m.ID), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return bad("the id")
	}
	if strings.Trim(m.Type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return bad("the type")
	}
	if a, err := mail.ParseAddress(m.To.Email); err != nil || a.Address != m.To.Email || a.Name != "" {
		return bad("the address")
	}
	if strings.TrimSpace(m.Subject) == "" || m.Text == "" || m.HTML == "" {
		return bad("subject, text and HTML are needed")
	}
	for name, value := range m.Headers {
		if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || slices.Contains(own, textproto.CanonicalMIMEHeaderKey(name)) || !ascii(value) {
			return bad("a header")
		}
	}
	if controls(m.Subject) || controls(m.To.Name) {
		return bad("a control character in a header")
	}
	return nil
}

// own are the headers that MIME writes itself.
var own = []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"}

func controls(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// MIME writes the message as it travels (RFC 5322, multipart/alternative): the text first, the HTML, which is preferred,
// last. What Check refuses is refused.
func (m Message) MIME(from Address, at time.Time) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if controls(from.Name) || controls(from.Email) {
		return nil, fmt.Errorf("the sender: %w", ErrRejected)
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	// The boundary follows from the id, so that a message is the same however often it is written.
	if err := parts.SetBoundary("rapport-" + m.ID); err != nil {
		return nil, fmt.Errorf("the boundary: %w", ErrRejected)
	}
	for _, p := range []struct{ kind, content string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {p.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(p.content)); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("From", from.String())
	header("To", m.To.String())
	header("Subject", fold(mime.QEncoding.Encode("utf-8", m.Subject)))
	header("Date", at.Format(time.RFC1123Z))
	_, host, _ := strings.Cut(from.Email, "@")
	header("Message-ID", "<"+m.ID+"@"+host+">")
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		header(name, m.Headers[name])
	}
	header("MIME-Version", "1.0")
	header("Content-Type", "multipart/alternative; boundary=\""+parts.Boundary()+"\"")
	out.WriteString("\r\n")
	out.Write(body.Bytes())
	return out.Bytes(), nil
}

// fold puts encoded words on lines of their own: a line of a header has its limit.
func fold(s string) string { return strings.ReplaceAll(s, "?= =?", "?=\r\n =?") }
