// Package secrettest holds what every secret.Source must do, wherever it keeps secrets.
package secrettest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Run runs the suite. setup returns a source, and what gives one of its secrets a text, as whoever owns it does.
func Run(t *testing.T, setup func(t *testing.T) (source secret.Source, put func(t *testing.T, name, text string))) {
	name := func() string { return "SECRET_" + strings.ReplaceAll(id.New().String(), "-", "_") }
	fetch := func(t *testing.T, s secret.Source, name string) string {
		t.Helper()
		text, err := s.Fetch(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for title, test := range map[string]func(*testing.T, secret.Source, func(*testing.T, string, string)){
		"says what was put, to the byte": func(t *testing.T, s secret.Source, put func(*testing.T, string, string)) {
			for _, want := range []string{"hunter2", ` {"password": "pa#ss:wörd", "port": 5432}` + "\n", "a\nb\t🙂 %s"} {
				name := name()
				put(t, name, want)
				if got := fetch(t, s, name); got != want {
					t.Errorf("%d bytes came back as %d", len(want), len(got))
				}
			}
		},
		"says what is there now": func(t *testing.T, s secret.Source, put func(*testing.T, string, string)) {
			name, other := name(), name()
			put(t, name, "old")
			put(t, other, "other")
			if got := fetch(t, s, name); got != "old" {
				t.Errorf("got %q", got)
			}
			put(t, name, "new")
			if got := fetch(t, s, name); got != "new" {
				t.Errorf("after a change: %q", got)
			}
			if got := fetch(t, s, other); got != "other" {
				t.Errorf("the other one: %q", got)
			}
		},
		"says that there is none": func(t *testing.T, s secret.Source, _ func(*testing.T, string, string)) {
			if text, err := s.Fetch(t.Context(), name()); fault.KindOf(err) != fault.KindNotFound || text != "" {
				t.Errorf("got %q, %v", text, err)
			}
		},
		"ends with who asks": func(t *testing.T, s secret.Source, put func(*testing.T, string, string)) {
			name := name()
			put(t, name, "x")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if text, err := s.Fetch(ctx, name); !errors.Is(err, context.Canceled) || text != "" {
				t.Errorf("got %q, %v", text, err)
			}
		},
		"answers many at once": func(t *testing.T, s secret.Source, put func(*testing.T, string, string)) {
			name := name()
			put(t, name, "x")
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if text, err := s.Fetch(t.Context(), name); err != nil || text != "x" {
						t.Errorf("got %q, %v", text, err)
					}
				})
			}
			wg.Wait()
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			source, put := setup(t)
			test(t, source, put)
		})
	}
}
