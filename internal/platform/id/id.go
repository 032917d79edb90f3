// Package id gives entities their identifiers: a UUIDv7 inside, a TypeID (prefix_base32) outside.
//
// Each entity declares its own type around UUID, so that the compiler refuses a client's id where a session's is
// meant, and a wrong prefix in a request is an error that names the expected one. See https://github.com/jetify-com/typeid.
package id

import (
	"database/sql/driver"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"go.jetify.com/typeid/base32"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// UUID is the stored form of every id.
type UUID [16]byte

// New returns a fresh UUIDv7: ordered by time, so that inserts stay at the right edge of an index.
func New() UUID { return UUID(uuid.Must(uuid.NewV7())) }

// IsZero says that the id was never set.
func (u UUID) IsZero() bool { return u == UUID{} }

// String writes the UUID in its usual form; outside the database ids are written with their prefix instead.
func (u UUID) String() string { return uuid.UUID(u).String() }

// MarshalText implements encoding.TextMarshaler, for ids inside stored JSON.
func (u UUID) MarshalText() ([]byte, error) { return uuid.UUID(u).MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *UUID) UnmarshalText(text []byte) error { return (*uuid.UUID)(u).UnmarshalText(text) }

// ScanUUID implements pgtype.UUIDScanner. A NULL is refused: optional ids are pointers.
func (u *UUID) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return fmt.Errorf("id: cannot scan NULL")
	}
	*u = v.Bytes
	return nil
}

// UUIDValue implements pgtype.UUIDValuer.
func (u UUID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: u, Valid: true}, nil }

// Value implements driver.Valuer, for the places where the column's type is not known beforehand.
func (u UUID) Value() (driver.Value, error) { return uuid.UUID(u).String(), nil }

// Format writes the TypeID of u.
func Format(prefix string, u UUID) string { return prefix + "_" + base32.Encode(u) }

// Write writes the TypeID of u as a JSON string.
func Write(w io.Writer, prefix string, u UUID) {
	buf := make([]byte, 0, len(prefix)+29)
	buf = append(buf, '"')
	buf = append(buf, prefix...)
	buf = append(buf, '_')
	buf = append(buf, base32.Encode(u)...)
	buf = append(buf, '"')
	_, _ = w.Write(buf) // gqlgen writes into a buffer and checks nothing
}

// Parse splits a TypeID.
func Parse(s string) (prefix string, u UUID, err error) {
	i := strings.LastIndexByte(s, '_')
	if i <= 0 {
		return "", UUID{}, fault.Invalid("", "%q is not an id: expected prefix_suffix", clip(s))
	}
	raw, err := base32.Decode(s[i+1:])
	// 26 characters of base32 hold two bits more than a UUID: with those set, two strings would be one id.
	if err != nil || len(raw) != 16 || s[i+1] > '7' {
		return "", UUID{}, fault.Invalid("", "%q is not an id: its suffix is not 26 characters of base32", clip(s))
	}
	return s[:i], UUID(raw), nil
}

// Read parses v, a TypeID of the given prefix, into u.
func Read(v any, prefix string, u *UUID) error {
	s, ok := v.(string)
	if !ok {
		return fault.Invalid("", "expected an id like %s_…", prefix)
	}
	got, parsed, err := Parse(s)
	if err != nil {
		return err
	}
	if got != prefix {
		return fault.Invalid("", "expected an id like %s_…, got %s_…", prefix, clip(got))
	}
	*u = parsed
	return nil
}

// Any is an id whose entity is known only by its prefix: node(id), nodes(ids).
type Any struct {
	Prefix string
	UUID   UUID
}

// MarshalGQL implements graphql.Marshaler.
func (a Any) MarshalGQL(w io.Writer) { Write(w, a.Prefix, a.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (a *Any) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return fault.Invalid("", "expected an id like session_…")
	}
	var err error
	a.Prefix, a.UUID, err = Parse(s)
	return err
}

func (a Any) String() string { return Format(a.Prefix, a.UUID) }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
