package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// vault is a source whose answers the test decides.
type vault struct {
	mu    sync.Mutex
	text  map[string]string
	err   error
	asked int

	entered chan struct{} // told of each call, if not nil, before it waits its turn
}

func (v *vault) Fetch(_ context.Context, name string) (string, error) {
	if v.entered != nil {
		v.entered <- struct{}{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if v.err != nil {
		return "", v.err
	}
	if text, there := v.text[name]; there {
		return text, nil
	}
	return "", fault.NotFound("secret")
}

func (v *vault) set(name, text string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text[name], v.err = text, err
}

type bundle struct {
	*vault
	*Keeper
	log    *strings.Builder
	passed atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{vault: &vault{text: map[string]string{"db": `{"user": "a", "password": "hunter2", "port": 5432, "nothing": null, "deep": {}}`, "plain": "hunter2"}}, log: &strings.Builder{}}
	b.Keeper = NewKeeper(slog.New(slog.NewTextHandler(b.log, nil)), map[string]Source{SecretsManager: b.vault})
	began := time.Now()
	b.now = func() time.Time { return began.Add(time.Duration(b.passed.Load())) }
	return b
}

func (b *bundle) pass(d time.Duration) { b.passed.Add(int64(d)) }

func (b *bundle) open(t *testing.T, text string) *Value {
	t.Helper()
	v, err := b.Open(t.Context(), "X_PASSWORD", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRefs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Ref{
		"secretsmanager:rapport/db#password": {"secretsmanager", "rapport/db", "password"},
		"secretsmanager:rapport/db":          {"secretsmanager", "rapport/db", ""},
		"secretsmanager:rds!db-1f#a b":       {"secretsmanager", "rds!db-1f", "a b"},
		"env:DB_SECRET#password":             {"env", "DB_SECRET", "password"},
		"secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:rapport/db-AbCdEf#password": {"secretsmanager", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rapport/db-AbCdEf", "password"},
	} {
		if got, is, err := ParseRef(text); got != want || !is || err != nil || got.String() != text {
			t.Errorf("%s: %+v, %v, %v", text, got, is, err)
		}
	}
	for _, text := range []string{"", "hunter2", "postgres://u:p@h/d", "secretsmanager", "environment:x", "Secretsmanager:x"} {
		if _, is, err := ParseRef(text); is || err != nil {
			t.Errorf("%q: %v, %v", text, is, err)
		}
	}
	for _, text := range []string{"secretsmanager:", "secretsmanager:#x", "secretsmanager:x#", "secretsmanager:hunter 2", "env:1X", "env:A-B"} {
		if _, is, err := ParseRef(text); !is || err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v, %v", text, is, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for text, want := range map[string]string{
		"hunter2": "hunter2", "": "", "secretsmanager:plain": "hunter2", "secretsmanager:db#password": "hunter2", "secretsmanager:db#port": "5432",
	} {
		if got := b.open(t, text).Within(t.Context(), time.Hour); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	if (*Value)(nil).Within(t.Context(), 0) != "" {
		t.Error("no value is something")
	}
	short := func(v string) error {
		if len(v) < 20 {
			return errors.New("is too short")
		}
		return nil
	}
	for text, want := range map[string]string{
		"secretsmanager:db#passwort": `X_PASSWORD: the secret "db" of secretsmanager: it has no key "passwort"`,
		"secretsmanager:db#nothing":  `X_PASSWORD: the secret "db" of secretsmanager: its key "nothing" holds no text`,
		"secretsmanager:db#deep":     `X_PASSWORD: the secret "db" of secretsmanager: its key "deep" holds no text`,
		"secretsmanager:plain#x":     `X_PASSWORD: the secret "plain" of secretsmanager: it is no JSON object, and has no key "x"`,
		"secretsmanager:gone#x":      `X_PASSWORD: secretsmanager has no secret "gone"`,
		"secretsmanager:plain":       `X_PASSWORD: the secret "plain" of secretsmanager: is too short`,
		"hunter2":                    `X_PASSWORD: is too short`,
		"env:X":                      `X_PASSWORD: there is no source "env" of secrets`,
		"secretsmanager:":            `X_PASSWORD: must be secretsmanager:NAME or secretsmanager:NAME#KEY`,
	} {
		check := short
		if strings.Contains(text, "#") {
			check = nil
		}
		if _, err := b.Open(t.Context(), "X_PASSWORD", text, check); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	b.set("other", "x", errors.New("AccessDeniedException"))
	if _, err := b.Open(t.Context(), "X_PASSWORD", "secretsmanager:other", nil); err == nil || err.Error() != `X_PASSWORD: the secret "other" of secretsmanager cannot be fetched: AccessDeniedException` {
		t.Errorf("%v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, user := b.open(t, "secretsmanager:db#password"), b.open(t, "secretsmanager:db#user")
	if b.asked != 1 {
		t.Errorf("one secret was fetched %d times", b.asked)
	}
	now := func() string { return v.Within(t.Context(), time.Minute) }
	b.set("db", `{"user": "b", "password": "hunter3"}`, nil)
	b.pass(59 * time.Second)
	if got := now(); got != "hunter2" || b.asked != 1 {
		t.Errorf("within its age: %q, asked %d times", got, b.asked)
	}
	b.pass(time.Second)
	if got := now(); got != "hunter3" {
		t.Errorf("a minute later: %q", got)
	}
	if got := user.Within(t.Context(), time.Minute); got != "b" || b.asked != 2 {
		t.Errorf("another key: %q, asked %d times", got, b.asked)
	}

	// Refused: looked up at once, but not again and again.
	b.set("db", `{"user": "b", "password": "hunter4"}`, nil)
	b.pass(2 * time.Second)
	v.Refused()
	if got := now(); got != "hunter4" {
		t.Errorf("after it was refused: %q", got)
	}
	asked := b.asked
	for range 100 {
		v.Refused()
		now()
	}
	if b.asked != asked {
		t.Errorf("asked %d times in one second", b.asked-asked)
	}

	// What cannot be fetched, or cannot be it, changes nothing, and is told, not too often.
	for text, err := range map[string]error{"": errors.New("away"), `{"password": "hunter5"}`: nil, "hunter5": nil} {
		b.log.Reset()
		b.set("db", text, err)
		asked := b.asked
		for range 10 {
			b.pass(time.Minute)
			for range 10 {
				if got := now(); got != "hunter4" {
					t.Errorf("%q: %q", text, got)
				}
			}
		}
		if b.asked != asked+10 {
			t.Errorf("%q: asked %d times in ten minutes", text, b.asked-asked)
		}
		if n := strings.Count(b.log.String(), "its last value is kept"); n < 1 || n > 10 || !strings.Contains(b.log.String(), "name=db") {
			t.Errorf("%q: complained %d times: %s", text, n, b.log.String())
		}
	}
	b.set("db", `{"user": "b", "password": "hunter5"}`, nil)
	b.pass(time.Minute)
	if got := now(); got != "hunter5" {
		t.Errorf("back again: %q", got)
	}
	log := b.log.String()
	if !strings.Contains(log, "can be fetched again") || !strings.Contains(log, "has changed") || strings.Contains(log, "hunter") {
		t.Errorf("logged: %s", log)
	}
}

// One waits for the source, the others do not.
func TestNobodyWaitsForAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.open(t, "secretsmanager:plain")
	b.pass(time.Hour)
	b.entered = make(chan struct{})
	b.vault.mu.Lock() // it does not answer
	first := make(chan string)
	go func() { first <- v.Within(t.Context(), time.Minute) }()
	<-b.entered
	if got := v.Within(t.Context(), time.Minute); got != "hunter2" {
		t.Errorf("meanwhile: %q", got)
	}
	b.vault.text["plain"] = "hunter3"
	b.vault.mu.Unlock()
	if got := <-first; got != "hunter3" {
		t.Errorf("who has asked got %q", got)
	}
}

func TestValuesAreNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, v := range []*Value{b.open(t, "secretsmanager:plain"), Fixed("hunter2")} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", v)
		raw, err := json.Marshal(struct{ V *Value }{v})
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{fmt.Sprint(v), fmt.Sprintf("%s %v %+v %#v %d %x %q", v, v, v, v, v, v, v), fmt.Sprintf("%+v", struct{ V *Value }{v}), log.String(), string(raw)} {
			if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e") || !strings.Contains(shown, "[redacted]") {
				t.Errorf("shows %s", shown)
			}
		}
	}
}
