// Package check validates input fields and collects everything that is wrong, so that a person corrects it in one go.
package check

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Input collects what is wrong with one input. The zero value has found nothing yet.
type Input struct{ problems []error }

// Fail records a problem with a field.
func (in *Input) Fail(field, format string, args ...any) {
	in.problems = append(in.problems, fault.Invalid(field, format, args...))
}

// Err is nil, or an Invalid fault for each problem, joined.
func (in *Input) Err() error { return errors.Join(in.problems...) }

// Line checks a required line of text of at most limit characters, and returns it trimmed.
func (in *Input) Line(field, value string, limit int) string {
	value = in.OptionalLine(field, value, limit)
	if value == "" {
		in.Fail(field, "must not be empty")
	}
	return value
}

// OptionalLine checks a line of text of at most limit characters, which may be empty, and returns it trimmed.
func (in *Input) OptionalLine(field, value string, limit int) string {
	value = in.Text(field, value, limit)
	if strings.ContainsAny(value, lineBreaks) {
		in.Fail(field, "must be a single line")
	}
	return value
}

// LineOrNil checks a line of text of at most limit characters that need not be there, and returns it trimmed: nil if it is
// nil or empty.
func (in *Input) LineOrNil(field string, value *string, limit int) *string {
	if value == nil || *value == "" {
		return nil
	}
	line := in.Line(field, *value, limit)
	return &line
}

// Text checks a text of at most limit characters, which may be empty and have several lines, and returns it trimmed.
//
// Between its ends a text is kept as it is given. What a person pastes from a word processor, or writes in a right-to-left
// script, holds characters that nobody sees; whoever shows a text makes it harmless where it is shown, as package notice does
// for mails.
func (in *Input) Text(field, value string, limit int) string {
	value = Trim(value)
	if n := utf8.RuneCountInString(value); n > limit {
		in.Fail(field, "must have at most %d characters, has %d", limit, n)
	}
	in.storable(field, value)
	return value
}

// Document checks a required text of at most limit bytes that is kept as it is, white space at its ends included.
func (in *Input) Document(field, value string, limit int) {
	switch {
	case len(value) > limit:
		in.Fail(field, "must have at most %d kB, has %d", limit/1000, (len(value)+999)/1000)
	case Trim(value) == "":
		in.Fail(field, "must not be empty")
	default:
		in.storable(field, value)
	}
}

// storable checks that a text holds no NUL, the one character that PostgreSQL has no place for.
func (in *Input) storable(field, value string) {
	if before, _, found := strings.Cut(value, "\x00"); found {
		in.Fail(field, "must not contain the control character U+0000, which is character %d", utf8.RuneCountInString(before)+1)
	}
}

// NotNull checks a field of an update that cannot be cleared, and returns its new value: nil if it was left out. As in every
// UpdateInput, change is nil if the field was left out, and points to nil if it was null.
func NotNull[T any](in *Input, field string, change **T) *T {
	if change == nil {
		return nil
	}
	if *change == nil {
		in.Fail(field, "must not be null; left out, it stays as it is")
	}
	return *change
}

// Email checks an e-mail address as in RFC 5322, without a display name. Unlike in a text, all of it must be seen: two addresses
// that look the same are the same.
func (in *Input) Email(field, value string) string {
	value = in.OptionalLine(field, value, 254)
	unseen := strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
	if a, err := mail.ParseAddress(value); err != nil || a.Address != value || unseen {
		in.Fail(field, "is not an e-mail address")
	}
	return value
}

// zone is how names in the IANA time zone database are made. What lies beside them where it is installed begins in lower case: other
// editions (posix/, right/) and what a machine is set to (localtime, posixrules).
var zone = regexp.MustCompile(`^[A-Z][A-Za-z0-9+_-]*(/[A-Z][A-Za-z0-9+_-]*)*$`)

// Zone checks a name in the IANA time zone database: of a place, an older name of one, or UTC. Local is Go's and Factory nobody's.
func (in *Input) Zone(field, value string) {
	if _, err := time.LoadLocation(value); err != nil || !zone.MatchString(value) || value == "Local" || value == "Factory" {
		in.Fail(field, "is not in the IANA time zone database")
	}
}

// Range checks an integer.
func (in *Input) Range(field string, value, lowest, highest int) int {
	if value < lowest || value > highest {
		in.Fail(field, "must be from %d to %d, got %d", lowest, highest, value)
	}
	return value
}

// Time checks that a day or a moment lies in the years from 1970 to 2199, in UTC. What lies outside is a slip of the
// keyboard, or the zero or the last value of some program.
func (in *Input) Time(field string, value time.Time) {
	if y := value.UTC().Year(); y < 1970 || y > 2199 {
		in.Fail(field, "must be in the years from 1970 to 2199, is in %d", y)
	}
}

// LanguageOrNil checks a BCP 47 language tag that need not be there, and returns it in its canonical form: nil if it is nil
// or empty.
func (in *Input) LanguageOrNil(field string, value *string) *string {
	if value == nil || *value == "" {
		return nil
	}
	tag, err := language.Parse(strings.TrimSpace(*value))
	if err != nil {
		in.Fail(field, "is not a language tag like en or pt-BR")
		return nil
	}
	canonical := tag.String()
	return &canonical
}
