package stream_test

import (
	"math"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

var key = stream.Key{1, 2, 3}

func TestCursorKeepsItsPosition(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, 127, 128, 1 << 40, math.MaxInt64} {
		c := key.Cursor("session:1", n)
		if got, err := key.Position("session:1", c); err != nil || got != n {
			t.Errorf("cursor %s of %d has position %d, %v", c, n, got, err)
		}
	}
}

func TestCursorBelongsToItsTopic(t *testing.T) {
	t.Parallel()
	c := key.Cursor("session:1", 7)
	for name, err := range map[string]error{
		"another topic":        second(key.Position("session:2", c)),
		"another organization": second(stream.Key{4}.Position("session:1", c)),
	} {
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("a cursor of %s returns %v, want an Invalid fault", name, err)
		}
	}
}

// Of two cursors nobody learns how far apart they are: not by their length, nor by what they have in common.
func TestCursorsTellNothing(t *testing.T) {
	t.Parallel()
	same := 0
	for n := range int64(1000) {
		a, b := key.Cursor("session:1", n), key.Cursor("session:1", n+1)
		if len(a) != len(b) {
			t.Fatalf("%s and %s", a, b)
		}
		for i := range a {
			if a[i] == b[i] {
				same++
			}
		}
	}
	if most := 1000 * 22 / 32; same > most { // of 64 letters each, by chance one in 64
		t.Errorf("%d letters of 22,000 are those of the one before, by chance it would be half of %d", same, most)
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "x", "!!!", "AAAAAAAAAAAAAAAAAAAAAA", string(key.Cursor("a", 1)), string(key.Cursor("b", 1)) + "AA", string(key.Cursor("a", 1)) + "\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := key.Position("a", stream.Cursor(s))
		switch {
		case err == nil && (n < 0 || key.Cursor("a", n) != stream.Cursor(s)):
			t.Errorf("%q is accepted as %d, whose cursor is another one", s, n)
		case err != nil && fault.KindOf(err) != fault.KindInvalid:
			t.Errorf("%q returns %v, want an Invalid fault", s, err)
		}
	})
}

func second[A, B any](_ A, b B) B { return b }
