package notice

import (
	"bytes"
	"embed"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

//go:embed templates
var files embed.FS

var (
	phrases  = texttemplate.Must(texttemplate.New("phrases").ParseFS(files, "templates/phrases.txt"))
	mailText = texttemplate.Must(texttemplate.ParseFS(files, "templates/mail.txt"))
	mailHTML = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/mail.html"))
)

// maxLine is how many characters of a line are shown: a name or a title may have hundreds.
const maxLine = 160

// headline says in a line what a notification tells.
func headline(t Type, s Subject, zone *time.Location) string {
	data := struct{ Title, With, At string }{line(s.Title), line(s.With), ""}
	switch {
	case s.At != nil:
		data.At = s.At.In(zone).Format("Monday, 2 January 2006, 15:04 MST")
	case s.On != nil:
		data.At = s.On.Format("Monday, 2 January 2006")
	}
	return line(phrase(string(t), data))
}

// phrase runs a template of ours over plain strings, which does not fail.
func phrase(name string, data any) string {
	var out strings.Builder
	if err := phrases.ExecuteTemplate(&out, name, data); err != nil {
		panic(err)
	}
	return out.String()
}

// line makes one line of a text that people have written: a control character in a name must break neither a header nor a
// mail of plain text, and none that turns the direction of text around may turn around what stands after the name.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(s); len(runes) > maxLine {
		return string(runes[:maxLine-1]) + "…"
	}
	return s
}

// letter is what the templates of mails are given.
type letter struct {
	Type         Type
	Name         string
	Organization string
	Items        []item
	More         int // items that are not shown
	Unread       int
	Intro        string
	Subject      string
	Unsubscribe  string // "" where there is nothing to unsubscribe from
	Preferences  string // "" for who has none

	// Of an invitation: who invites, until when it can be accepted, and at which address.
	By, Until, Address string
}

type item struct{ Line, URL string }

// write makes the message.
func (l letter) write(key id.UUID, to mail.Address, headers map[string]string) (*mail.Message, error) {
	l.Name, l.Organization = line(l.Name), line(l.Organization)
	l.Intro = phrase("intro "+string(l.Type), l)
	l.Subject = line(phrase("subject "+string(l.Type), l))
	var text, html bytes.Buffer
	if err := mailText.Execute(&text, l); err != nil {
		return nil, err
	}
	if err := mailHTML.Execute(&html, l); err != nil {
		return nil, err
	}
	return &mail.Message{
		ID: key.String(), To: mail.Address{Name: l.Name, Email: to.Email}, Subject: l.Subject,
		Text: text.String(), HTML: html.String(), Headers: headers,
	}, nil
}
