package stream_test

import (
	"math"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

func TestCursorKeepsItsPosition(t *testing.T) {
	t.Parallel()
	org := id.New()
	for _, n := range []int64{0, 1, 127, 128, 1 << 40, math.MaxInt64} {
		c := stream.CursorOf(org, "session:1", n)
		if got, err := c.Position(org, "session:1"); err != nil || got != n {
			t.Errorf("cursor %s of %d has position %d, %v", c, n, got, err)
		}
	}
}

func TestCursorBelongsToItsTopic(t *testing.T) {
	t.Parallel()
	org, other := id.New(), id.New()
	c := stream.CursorOf(org, "session:1", 7)
	for name, err := range map[string]error{
		"another topic":        second(c.Position(org, "session:2")),
		"another organization": second(c.Position(other, "session:1")),
	} {
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("a cursor of %s returns %v, want an Invalid fault", name, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	org := id.UUID{1}
	for _, s := range []string{"", "x", "!!!", "AAAAAAAAAAAA", string(stream.CursorOf(org, "a", 1)), string(stream.CursorOf(org, "b", 1)) + "AA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := stream.Cursor(s).Position(org, "a")
		switch {
		case err == nil && (n < 0 || stream.CursorOf(org, "a", n) != stream.Cursor(s)):
			t.Errorf("%q is accepted as %d, whose cursor is another one", s, n)
		case err != nil && fault.KindOf(err) != fault.KindInvalid:
			t.Errorf("%q returns %v, want an Invalid fault", s, err)
		}
	})
}

func second[A, B any](_ A, b B) B { return b }
