package notice

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name, and writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// Each type as it looks in a mail.
func TestMails(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	starts := time.Date(2026, 7, 6, 9, 30, 0, 0, time.UTC)
	day := time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC)
	meeting, task := Subject{With: "Amara Okafor", At: &starts}, Subject{Title: "Write to the board", On: &day}
	subjects := map[Type]Subject{
		SessionScheduled: meeting, SessionRescheduled: meeting, SessionCancelled: meeting, SessionReminder: meeting, InsightsReady: meeting,
		ActionAssigned: task, ActionDue: task, Mention: {With: "Amara Okafor"}, Invitation: {Title: "Harbor Coaching"},
	}
	items := func(types ...Type) (all []item) {
		for _, typ := range types {
			all = append(all, item{headline(typ, subjects[typ], zone), "https://app.example.com/" + strings.ToLower(string(typ))})
		}
		return all
	}
	letters := map[Type]letter{
		dailyDigest:  {Items: items(SessionScheduled, InsightsReady, ActionAssigned, Mention), More: 3},
		WeeklyDigest: {Items: items(SessionReminder), Unread: 4},
	}
	for typ := range subjects {
		letters[typ] = letter{Items: items(typ)}
	}
	for typ, l := range letters {
		l.Type, l.Organization = typ, "Harbor Coaching"
		if typ == Invitation { // to somebody who is nobody yet
			l.By, l.Until, l.Address = "Oona Harper", "Monday, 13 July 2026, 09:30 UTC", "ruth@harbor.example"
		} else {
			l.Name, l.Preferences, l.Unsubscribe = "Ruth Adeyemi", "https://app.example.com/preferences", "https://app.example.com/unsubscribe?t=abc"
		}
		m, err := l.write(id.UUID{1}, mail.Address{Email: "ruth@harbor.example"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		golden(t, strings.ToLower(string(typ))+".txt", "Subject: "+m.Subject+"\n\n"+m.Text)
		golden(t, strings.ToLower(string(typ))+".html", m.HTML)
	}
}

// Whatever people are called, a mail can be sent, shows it, and holds nothing but it.
func TestNamesInMails(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "Eve\r\nBcc: victim@example.com", "Tab\tand\x00null\x1b[31m",
		"נועה לוי", "أميرة 🦊", "👩‍💻", strings.Repeat("long ", 100), "{{.Unsubscribe}}", "Eve\u202egpj.exe\u2066", `O'Neil & "Kit"`,
	} {
		at := time.Date(2026, 7, 6, 9, 30, 0, 0, time.UTC)
		l := letter{Type: SessionScheduled, Name: name, Organization: name, Unsubscribe: "https://app.example.com/u", Preferences: "https://app.example.com/p",
			Items: []item{{headline(SessionScheduled, Subject{With: name, At: &at}, time.UTC), "https://app.example.com/s"}}}
		m, err := l.write(id.UUID{1}, mail.Address{Name: name, Email: "ruth@harbor.example"}, nil)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		raw, err := m.MIME(mail.Address{Email: "rapport@example.com"}, at)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if head, _, _ := strings.Cut(string(raw), "\r\n\r\n"); strings.Contains(head, "\nBcc") {
			t.Errorf("%q: %s", name, head)
		}
		if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<img") || strings.ContainsAny(m.Text+m.Subject+m.HTML+m.To.Name, "\x00\x1b\r\u202e\u2066") {
			t.Errorf("%q: %s", name, m.HTML)
		}
		if visible := line(name); !strings.Contains(m.Text, "Hello "+visible) || len([]rune(m.Subject)) > maxLine {
			t.Errorf("%q: %s", name, m.Text)
		}
	}
}
