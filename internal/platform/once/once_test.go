package once

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// shelf is a store in which everybody sees what lies there.
type shelf map[Key][]byte

func (s shelf) Claim(_ context.Context, key Key, value []byte, _ time.Duration) ([]byte, error) {
	if there := s[key]; there != nil {
		return there, nil
	}
	s[key] = value
	return nil, nil
}

func (s shelf) Put(_ context.Context, key Key, value []byte, _ time.Duration) error {
	s[key] = value
	return nil
}

func (s shelf) Forget(_ context.Context, key Key) error { delete(s, key); return nil }

// What is kept says nothing, and is good at its own place only.
func TestWhatIsKeptSaysNothing(t *testing.T) {
	t.Parallel()
	s := shelf{}
	r := New(s, slog.New(slog.DiscardHandler), time.Minute)
	q := Request{Org: id.New(), User: id.New(), Key: "marzipan-marzipan", Payload: []byte("who is Amara")}
	turn, _, err := r.Begin(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	turn.Keep(t.Context(), []byte("Amara Okafor"))
	for key, value := range s {
		for _, word := range []string{"Amara", "marzipan", "Payload"} {
			if bytes.Contains(value, []byte(word)) || bytes.Contains([]byte(key.Name), []byte(word)) {
				t.Errorf("%s: %q", key.Name, value)
			}
		}
		value[len(value)/2] ^= 1
	}
	if _, answer, err := r.Begin(t.Context(), q); err == nil {
		t.Errorf("what was changed is answered: %q", answer)
	}
}

// Of a request whose process has died nobody knows how far it came, and so it is not run again.
func TestWhoDiedIsNotRunAgain(t *testing.T) {
	t.Parallel()
	s := shelf{}
	r := New(s, slog.New(slog.DiscardHandler), time.Hour)
	q := Request{Org: id.New(), User: id.New(), Key: "marzipan-marzipan"}
	turn, _, err := r.Begin(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	turn.record.Began = time.Now().Add(-Running - apart - time.Second)
	s[turn.key] = turn.sealer.seal(turn.record)
	var f *fault.Error
	if again, _, err := r.Begin(t.Context(), q); again != nil || !errors.As(err, &f) || f.Code != CodeLost {
		t.Errorf("%v", err)
	}
}
