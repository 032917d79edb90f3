package secret

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

const (
	patience = 3 * time.Second // with a source, while a value is at hand
	pause    = time.Second     // between two fetches of a secret, whoever asks
	distance = time.Minute     // between two complaints about one
)

// Keeper knows the sources, and keeps what it has fetched of them.
type Keeper struct {
	sources map[string]Source
	log     *slog.Logger
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]*kept // by source and name
}

// NewKeeper returns a keeper of secrets from the given sources, by their names in references. The log hears what has changed, and what
// cannot be fetched again, by name.
func NewKeeper(log *slog.Logger, sources map[string]Source) *Keeper {
	return &Keeper{sources: sources, log: log, now: time.Now, kept: map[string]*kept{}}
}

// kept is a secret with the values that were taken from it.
type kept struct {
	source Source
	name   string

	fetching sync.Mutex // held by whoever asks the source

	mu         sync.Mutex
	text       string
	asked      time.Time // when the source was asked again last
	fetched    time.Time // when the text was what the source had
	stale      bool      // somebody did not accept it
	complained time.Time
	failing    bool
	checks     []func(text string) error // what the values taken from it have to be
}

// Value is a secret that may change. Whatever prints it prints that it is one.
type Value struct {
	keeper *Keeper
	kept   *kept
	ref    Ref
	fixed  string // of one that does not change
}

// Fixed is a value that does not change.
func Fixed(text string) *Value { return &Value{fixed: text} }

// Open returns what a variable holds: the text itself, or what it refers to, which is fetched now. check, if not nil, says what is wrong
// with a value, without repeating it; one that is wrong later on is not taken. The error names the variable, the secret and the key.
func (k *Keeper) Open(ctx context.Context, variable, text string, check func(value string) error) (*Value, error) {
	ref, isRef, err := ParseRef(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	if check == nil {
		check = func(string) error { return nil }
	}
	if !isRef {
		if err := check(text); err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		return Fixed(text), nil
	}
	source := k.sources[ref.Source]
	if source == nil {
		return nil, fmt.Errorf("%s: there is no source %q of secrets", variable, ref.Source)
	}
	k.mu.Lock()
	s := k.kept[ref.Source+":"+ref.Name]
	if s == nil {
		s = &kept{source: source, name: ref.Name}
		k.kept[ref.Source+":"+ref.Name] = s
	}
	k.mu.Unlock()
	return &Value{keeper: k, kept: s, ref: ref}, s.open(ctx, k, ref, variable, check)
}

func (s *kept) open(ctx context.Context, k *Keeper, ref Ref, variable string, check func(string) error) error {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	wrong := func(text string) error {
		value, err := ref.pick(text)
		if err == nil {
			err = check(value)
		}
		if err != nil {
			return fmt.Errorf("%s: the secret %q of %s: %w", variable, ref.Name, ref.Source, err)
		}
		return nil
	}
	s.mu.Lock()
	text, known := s.text, !s.fetched.IsZero()
	s.mu.Unlock()
	if !known {
		var err error
		if text, err = s.source.Fetch(ctx, s.name); fault.KindOf(err) == fault.KindNotFound {
			return fmt.Errorf("%s: %s has no secret %q", variable, ref.Source, ref.Name)
		} else if err != nil {
			return fmt.Errorf("%s: the secret %q of %s cannot be fetched: %w", variable, ref.Name, ref.Source, err)
		}
	}
	if err := wrong(text); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		s.text, s.fetched = text, k.now()
	}
	s.checks = append(s.checks, wrong)
	return nil
}

// Within returns the value as its source had it at most age ago. If the source cannot be asked, or what it says cannot be the value,
// the last value goes on, and the log says so. Nobody waits while somebody else asks.
func (v *Value) Within(ctx context.Context, age time.Duration) string {
	if v == nil {
		return ""
	}
	if v.kept == nil {
		return v.fixed
	}
	value, err := v.ref.pick(v.kept.within(ctx, v.keeper, age))
	if err != nil {
		panic(err) // it was tried before it was kept
	}
	return value
}

// Refused tells that somebody did not accept the value: perhaps it is another one by now, and the next Within looks, however young
// it is.
func (v *Value) Refused() {
	if v == nil || v.kept == nil {
		return
	}
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	v.kept.stale = true
}

func (s *kept) within(ctx context.Context, k *Keeper, age time.Duration) string {
	old := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		now := k.now()
		return now.Sub(s.asked) >= pause && (s.stale || now.Sub(s.fetched) >= age) && !(s.failing && !s.stale && now.Sub(s.asked) < 10*pause)
	}
	if old() && s.fetching.TryLock() {
		if old() { // nobody was faster
			s.refresh(ctx, k)
		}
		s.fetching.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}

// refresh asks the source again. Whoever holds fetching calls it.
func (s *kept) refresh(ctx context.Context, k *Keeper) {
	ask, cancel := context.WithTimeout(ctx, patience)
	text, err := s.source.Fetch(ask, s.name)
	cancel()
	if err != nil && ctx.Err() != nil {
		return // who asked has gone; it says nothing about the source
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; err == nil && text != s.text && i < len(s.checks); i++ {
		err = s.checks[i](text)
	}
	s.asked = k.now()
	if err != nil {
		if !s.failing || s.asked.Sub(s.complained) >= distance {
			k.log.WarnContext(ctx, "a secret cannot be fetched again: its last value is kept", "name", s.name, "error", err)
			s.complained = s.asked
		}
		s.failing = true
		return
	}
	if s.failing {
		k.log.InfoContext(ctx, "a secret can be fetched again", "name", s.name)
	}
	if text != s.text {
		k.log.InfoContext(ctx, "a secret has changed", "name", s.name)
	}
	s.text, s.fetched, s.stale, s.failing = text, s.asked, false, false
}

const redacted = "[redacted]"

func (v *Value) String() string { return redacted }

// GoString covers %#v.
func (v *Value) GoString() string { return `"` + redacted + `"` }

// Format covers every other verb: %d and the like look into pointers.
func (v *Value) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// MarshalText covers JSON.
func (v *Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (v *Value) LogValue() slog.Value { return slog.StringValue(redacted) }
