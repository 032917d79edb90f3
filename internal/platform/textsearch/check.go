package textsearch

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Check says what is wrong with a document, nil if nothing is: adapters call it first, so that all of them refuse the same.
func (s Schema) Check(d Document) error {
	for field, v := range map[string]string{FieldID: d.ID, FieldKind: d.Kind, FieldGroup: d.Group} {
		if !code(v) {
			return fault.Invalid(field, "must have 1 to %d bytes without control characters", MaxKeyword)
		}
	}
	if d.Version <= 0 {
		return fault.Invalid("version", "must be positive")
	}
	for name, text := range d.Texts {
		if !slices.ContainsFunc(s.Texts, func(t Text) bool { return t.Name == name }) {
			return fault.Invalid(name, "is no text field")
		}
		if len(text) > MaxText {
			return fault.Invalid(name, "must have at most %d bytes", MaxText)
		}
	}
	for name, values := range d.Keywords {
		k, ok := s.keyword(name)
		if !ok {
			return fault.Invalid(name, "is no keyword field")
		}
		if len(values) > MaxValues || len(values) > 1 && !k.Many {
			return fault.Invalid(name, "has too many values")
		}
		if slices.ContainsFunc(values, func(v string) bool { return !code(v) }) {
			return fault.Invalid(name, "must have values of 1 to %d bytes without control characters", MaxKeyword)
		}
	}
	if len(d.Complete) > MaxValues || slices.ContainsFunc(d.Complete, func(v string) bool { return len(v) > MaxKeyword }) {
		return fault.Invalid("complete", "must be at most %d texts of at most %d bytes", MaxValues, MaxKeyword)
	}
	return nil
}

// CheckRequest says what is wrong with a request, nil if nothing is.
func (s Schema) CheckRequest(r Request) error {
	nodes := 0
	if err := s.checkExpr("query", r.Query, true, 0, &nodes); err != nil {
		return err
	}
	if err := s.checkExpr("filter", r.Filter, false, 0, &nodes); err != nil {
		return err
	}
	for field, e := range r.Narrow {
		if err := s.checkExpr("narrow", e, false, 0, &nodes); err != nil {
			return err
		}
		if _, ok := s.keyword(field); !ok && field != FieldTime && field != FieldKind {
			return fault.Invalid("narrow", "%q is no field that has facets", field)
		}
	}
	if r.Order != "" && r.Order != ByScore && r.Order != Newest && r.Order != Oldest {
		return fault.Invalid("order", "is none")
	}
	most := MaxSize
	if r.Once && r.GroupBy == "" {
		most = MaxOnce
	}
	if r.Size < 0 || r.Size > most {
		return fault.Invalid("size", "must be from 0 to %d", most)
	}
	if r.GroupBy != "" {
		k, ok := s.keyword(r.GroupBy)
		if r.GroupBy != FieldKind && r.GroupBy != FieldGroup && (!ok || k.Many) {
			return fault.Invalid("groupBy", "must be a keyword field of one value")
		}
		if r.After != "" || r.Order == Newest || r.Order == Oldest || r.PerGroup < 0 || r.PerGroup > MaxSize {
			return fault.Invalid("groupBy", "goes with neither a cursor nor an order of time")
		}
	}
	asked := map[string]bool{}
	for _, f := range r.Facets {
		if _, ok := s.keyword(f.Field); !ok && f.Field != FieldKind && f.Field != FieldTime {
			return fault.Invalid("facets", "%q is no field that has facets", f.Field)
		}
		if asked[f.Field] {
			return fault.Invalid("facets", "%q is asked for twice", f.Field)
		}
		asked[f.Field] = true
		if f.Size < 1 || f.Size > MaxSize || len(f.Only) > MaxTerms {
			return fault.Invalid("facets", "must have 1 to %d buckets", MaxSize)
		}
		switch f.Every {
		case Day, Week, Month, Year:
			if f.Field == FieldTime && f.Only == nil {
				continue
			}
		case "":
			if f.Field != FieldTime {
				continue
			}
		}
		return fault.Invalid("facets", "an interval goes with %q, and %q with one", FieldTime, FieldTime)
	}
	return nil
}

// CheckHighlight says what is wrong with what Highlight is asked, nil if nothing is.
func (s Schema) CheckHighlight(query Expr, most int, documents []string) error {
	nodes := 0
	if err := s.checkExpr("query", query, true, 0, &nodes); err != nil {
		return err
	}
	if len(documents) > MaxHighlight {
		return fault.Invalid("documents", "must be at most %d", MaxHighlight)
	}
	if most < 1 || most > MaxPieces {
		return fault.Invalid("most", "must be from 1 to %d pieces", MaxPieces)
	}
	return nil
}

// CheckSuggest says what is wrong with a request for suggestions, nil if nothing is.
func (s Schema) CheckSuggest(r SuggestRequest) error {
	if r.Size < 1 || r.Size > MaxSize {
		return fault.Invalid("size", "must be from 1 to %d", MaxSize)
	}
	if len(r.Prefix) > MaxKeyword {
		return fault.Invalid("prefix", "must have at most %d bytes", MaxKeyword)
	}
	nodes := 0
	return s.checkExpr("filter", r.Filter, false, 0, &nodes)
}

func (s Schema) checkExpr(where string, e Expr, words bool, depth int, nodes *int) error {
	if e == nil {
		return nil
	}
	if *nodes++; *nodes > MaxNodes {
		return fault.Invalid(where, "has more than %d parts", MaxNodes)
	}
	if depth > MaxDepth {
		return fault.Invalid(where, "nests more than %d deep", MaxDepth)
	}
	var parts []Expr
	switch e := e.(type) {
	case Word:
		return s.checkWord(where, e.Text, e.Field, words)
	case Phrase:
		for _, w := range Words(e.Text) {
			if err := s.checkWord(where, w, e.Field, words); err != nil {
				return err
			}
		}
		return s.checkWord(where, "", e.Field, words)
	case Terms:
		if _, ok := s.keyword(e.Field); !ok && e.Field != FieldID && e.Field != FieldKind && e.Field != FieldGroup {
			return fault.Invalid(where, "%q is no keyword field", e.Field)
		}
		if len(e.Values) > MaxTerms {
			return fault.Invalid(where, "has more than %d values of %q", MaxTerms, e.Field)
		}
	case Between:
	case All:
		parts = e
	case Any:
		parts = e.Of
	case Not:
		if e.Of == nil {
			return fault.Invalid(where, "has a Not of nothing")
		}
		parts = []Expr{e.Of}
	default:
		return fault.Invalid(where, "has a part that words do not know")
	}
	for _, p := range parts {
		if p == nil {
			return fault.Invalid(where, "has a part that is nil")
		}
		if err := s.checkExpr(where, p, words, depth+1, nodes); err != nil {
			return err
		}
	}
	return nil
}

func (s Schema) checkWord(where, text, field string, words bool) error {
	if !words {
		return fault.Invalid(where, "has no words")
	}
	if utf8.RuneCountInString(text) > MaxQueryWord {
		return fault.Invalid(where, "has a word of more than %d letters", MaxQueryWord)
	}
	if field != "" && !slices.ContainsFunc(s.Texts, func(t Text) bool { return t.Name == field }) {
		return fault.Invalid(where, "%q is no text field", field)
	}
	return nil
}

// code says whether v can be a value of a keyword field.
func code(v string) bool {
	return v != "" && len(v) <= MaxKeyword && utf8.ValidString(v) && !strings.ContainsFunc(v, unicode.IsControl)
}

func (s Schema) keyword(name string) (Keyword, bool) {
	for _, k := range s.Keywords {
		if k.Name == name {
			return k, true
		}
	}
	return Keyword{}, false
}
