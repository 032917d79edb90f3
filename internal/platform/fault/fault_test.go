package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindOf(t *testing.T) {
	wrapped := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", NotFound("session")))
	if KindOf(wrapped) != KindNotFound || KindOf(io.EOF) != KindInternal || KindOf(nil) != KindInternal {
		t.Errorf("kinds %s %s %s", KindOf(wrapped), KindOf(io.EOF), KindOf(nil))
	}
}

func TestAll(t *testing.T) {
	a, b := Invalid("name", "must not be empty"), Invalid("email", "is not an e-mail address")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"one", a, 1},
		{"wrapped", fmt.Errorf("client.Create: %w", a), 1},
		{"joined", errors.Join(a, b), 2},
		{"joined and wrapped", fmt.Errorf("x: %w", errors.Join(a, fmt.Errorf("y: %w", b))), 2},
		{"not a fault", io.EOF, 0},
		{"one of them is none: the whole is internal", errors.Join(a, io.EOF), 0},
		{"a fault that wraps a cause", a.Because(io.EOF), 1},
	} {
		if got := All(c.err); len(got) != c.want {
			t.Errorf("%s: %d faults, want %d", c.name, len(got), c.want)
		}
	}
}

func TestWrapKeepsNil(t *testing.T) {
	var err error
	Wrap(&err, "session.Get(%s)", "x")
	if err != nil {
		t.Errorf("no error became %v", err)
	}
}
