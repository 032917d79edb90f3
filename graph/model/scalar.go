package model

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// MarshalDateTime writes a moment in RFC 3339, in UTC.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(time.RFC3339Nano)))
	})
}

// UnmarshalDateTime reads a moment; one without a zone is refused, because it is none.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, fault.Invalid("", "expected a moment like 2026-03-02T09:30:00Z")
	}
	return t, nil
}

// MarshalDate writes a day.
func MarshalDate(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.Format(time.DateOnly)))
	})
}

// UnmarshalDate reads a day.
func UnmarshalDate(v any) (time.Time, error) {
	s, _ := v.(string)
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fault.Invalid("", "expected a day like 2026-03-02")
	}
	return t, nil
}

// MarshalMicros writes an amount in millionths of a US dollar.
func MarshalMicros(n int64) graphql.Marshaler { return graphql.MarshalInt64(n) }

// UnmarshalMicros reads one. What was given is not repeated: it may be anything, and errors are logged.
func UnmarshalMicros(v any) (int64, error) {
	bad := fault.Invalid("", "expected a whole number of millionths of a US dollar, like 25000000")
	switch v := v.(type) {
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return 0, bad
		}
		return n, nil
	}
	return 0, bad
}
