package pinecone

import (
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// expr is a filter as the service reads it. What holds always, or never, cannot be said in it, and is not sent.
type expr struct{ fields map[string]any }

var always, never = &expr{}, &expr{}

// filter translates a filter, or its opposite. The service has no "not": it moves inwards.
func filter(e vector.Expr, not bool) *expr {
	constant := func(holds bool) *expr {
		if holds != not {
			return always
		}
		return never
	}
	switch e := e.(type) {
	case vector.Terms:
		switch {
		case len(e.Values) == 0:
			return constant(false)
		case not: // also what has no value there
			return either(map[string]any{e.Field: map[string]any{"$nin": list(e.Values)}}, map[string]any{e.Field: map[string]any{"$exists": false}})
		}
		return &expr{map[string]any{e.Field: map[string]any{"$in": list(e.Values)}}}
	case vector.Between:
		var bounds []any
		from, to := "$gte", "$lt"
		if not {
			from, to = to, from
		}
		if !e.From.IsZero() {
			bounds = append(bounds, map[string]any{fieldAt: map[string]any{from: float64(e.From.Unix())}})
		}
		if !e.To.IsZero() {
			bounds = append(bounds, map[string]any{fieldAt: map[string]any{to: float64(e.To.Unix())}})
		}
		switch {
		case len(bounds) == 0:
			return constant(true)
		case not:
			return either(bounds...)
		}
		return &expr{map[string]any{"$and": bounds}}
	case vector.All:
		return join(e, not, !not)
	case vector.Any:
		return join(e.Of, not, not)
	case vector.Not:
		return filter(e.Of, !not)
	}
	return constant(true)
}

func either(parts ...any) *expr { return &expr{map[string]any{"$or": parts}} }

// join translates parts of which all must hold, or one.
func join(parts []vector.Expr, not, all bool) *expr {
	neutral, decides, word := never, always, "$or"
	if all {
		neutral, decides, word = always, never, "$and"
	}
	var rest []any
	for _, part := range parts {
		switch p := filter(part, not); p {
		case neutral:
		case decides:
			return decides
		default:
			rest = append(rest, p.fields)
		}
	}
	if len(rest) == 0 {
		return neutral
	}
	return &expr{map[string]any{word: rest}}
}
