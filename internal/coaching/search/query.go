package search

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Limits of a query.
const (
	maxQuery   = 4000 // characters
	maxParts   = 100  // words, phrases and conditions
	maxPeople  = 10   // clients and coaches: each is asked for
	maxNesting = 10   // parentheses, and what must not be there in them
)

// The query language. Words are looked for together, those that say nothing ("of", "the") only if there are no others, and of
// three or more some may be missing. "In quotes" is a phrase, -x what must not be there, a OR b either (it binds more closely
// than standing beside each other), (a b) a group, begin* the beginning of a word, and field:value a condition. Whatever cannot be
// read so is read as words, and a note says it.

type queryOp int

const (
	queryAll queryOp = iota
	queryAny
	queryNot
	queryWord
	queryPhrase
	queryPrefix
	queryField
)

// queryNode is a part of a query as it was read.
type queryNode struct {
	op          queryOp
	kids        []*queryNode
	text, field string // of a word, phrase or prefix; of a field its value
}

// parsed is a query as it was read.
type parsed struct {
	root  *queryNode // a queryAll
	notes []string
}

func (p *parsed) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(p.notes, n) && len(p.notes) < 10 {
		p.notes = append(p.notes, n)
	}
}

// fields are the conditions that can be written, and what they are about.
var fields = []string{"speaker", "tag", "client", "coach", "kind", "insight", "code", "after", "before"}

// parse reads a query. It refuses what is too long, and what is nothing that can be looked for.
func parse(text string) (*parsed, error) {
	if n := utf8.RuneCountInString(text); n > maxQuery {
		return nil, fault.Invalid("query", "must have at most %d characters, has %d", maxQuery, n)
	}
	if !utf8.ValidString(text) {
		return nil, fault.Invalid("query", "must be UTF-8")
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r):
			return ' '
		case r == '“' || r == '”' || r == '„' || r == '«' || r == '»':
			return '"'
		}
		return r
	}, text)
	p := &parsed{}
	r := &reader{parsed: p, tokens: p.split(text)}
	p.root = r.all(0)
	for r.at < len(r.tokens) { // a parenthesis too many
		p.note("A parenthesis that closes nothing is left out.")
		r.at++
		p.root.kids = append(p.root.kids, r.all(0).kids...)
	}
	if r.parts > maxParts {
		return nil, fault.Invalid("query", "must have at most %d words and conditions, has %d", maxParts, r.parts)
	}
	if n := r.people(); n > maxPeople {
		return nil, fault.Invalid("query", "must name at most %d clients and coaches, names %d", maxPeople, n)
	}
	if p.root.depth() > textsearch.MaxDepth {
		return nil, fault.Invalid("query", "has too many parentheses inside of each other")
	}
	if len(p.root.kids) == 0 && strings.TrimSpace(text) != "" {
		if r.long {
			return nil, fault.Invalid("query", "has no word to look for: words have at most %d letters", textsearch.MaxQueryWord)
		}
		return nil, fault.Invalid("query", "has no word to look for")
	}
	return p, nil
}

type tokenKind int

const (
	tokenWord tokenKind = iota
	tokenPhrase
	tokenOr
	tokenOpen
	tokenClose
	tokenMinus
)

type queryToken struct {
	kind        tokenKind
	text, field string
}

// split cuts a query into tokens. A word may be field:word or field:"phrase".
func (p *parsed) split(text string) []queryToken {
	var tokens []queryToken
	quotes := strings.Count(text, `"`)
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ':
			i++
			continue
		case '(':
			tokens = append(tokens, queryToken{kind: tokenOpen})
			i++
			continue
		case ')':
			tokens = append(tokens, queryToken{kind: tokenClose})
			i++
			continue
		case '|':
			tokens = append(tokens, queryToken{kind: tokenOr})
			i++
			continue
		case '-', '+':
			begins := i == 0 || text[i-1] == ' ' || text[i-1] == '(' || text[i-1] == '-' && len(tokens) > 0 && tokens[len(tokens)-1].kind == tokenMinus
			if begins && i+1 < len(text) && text[i+1] != ' ' {
				if c == '-' {
					tokens = append(tokens, queryToken{kind: tokenMinus})
				}
				i++
				continue
			}
		case '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				p.note("A quotation mark that is not closed is left out.")
				i++
				continue
			}
			tokens = append(tokens, queryToken{kind: tokenPhrase, text: text[i+1 : i+1+end]})
			i += end + 2
			continue
		}
		end := strings.IndexAny(text[i:], ` ()|"`)
		if end < 0 {
			end = len(text) - i
		}
		if end == 0 {
			end = 1
		}
		word := text[i : i+end]
		i += end
		switch word {
		case "OR":
			tokens = append(tokens, queryToken{kind: tokenOr})
			continue
		case "AND":
			continue
		case "NOT":
			tokens = append(tokens, queryToken{kind: tokenMinus})
			continue
		}
		name, value, found := strings.Cut(word, ":")
		name = strings.ToLower(name)
		if !found || !slices.Contains(fields, name) {
			if found && name != "" && value != "" && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) < 0 {
				p.note("%q is no field; it is read as words. Fields are %s.", clip(name), strings.Join(fields, ", "))
				tokens = append(tokens, queryToken{kind: tokenWord, text: name})
				word = value
			}
			tokens = append(tokens, queryToken{kind: tokenWord, text: word})
			continue
		}
		if value == "" && i < len(text) && text[i] == '"' && quotes > 1 {
			if end := strings.IndexByte(text[i+1:], '"'); end >= 0 {
				value = text[i+1 : i+1+end]
				i += end + 2
			}
		}
		if value = strings.TrimSpace(value); value == "" {
			p.note("%s: is left out, because nothing stands after it.", name)
			continue
		}
		tokens = append(tokens, queryToken{kind: tokenWord, field: name, text: value})
	}
	return tokens
}

type reader struct {
	*parsed
	tokens []queryToken
	at     int
	parts  int
	long   bool // a word was left out because it is too long
}

// people is how many clients and coaches are named.
func (r *reader) people() int {
	named := map[queryToken]bool{}
	for _, t := range r.tokens {
		if t.field == "client" || t.field == "coach" {
			named[t] = true
		}
	}
	return len(named)
}

// all reads terms that stand beside each other, up to a closing parenthesis.
func (r *reader) all(depth int) *queryNode {
	n := &queryNode{op: queryAll}
	for r.at < len(r.tokens) && r.tokens[r.at].kind != tokenClose {
		if r.tokens[r.at].kind == tokenOr {
			r.note("An OR with nothing on one side is left out.")
			r.at++
			continue
		}
		first := r.term(depth)
		either := []*queryNode{first}
		for r.at < len(r.tokens) && r.tokens[r.at].kind == tokenOr {
			r.at++
			if r.at == len(r.tokens) || r.tokens[r.at].kind == tokenClose || r.tokens[r.at].kind == tokenOr {
				r.note("An OR with nothing on one side is left out.")
				continue
			}
			either = append(either, r.term(depth))
		}
		either = slices.DeleteFunc(either, func(k *queryNode) bool { return k == nil })
		switch len(either) {
		case 0:
		case 1:
			n.kids = append(n.kids, either[0])
		default:
			n.kids = append(n.kids, &queryNode{op: queryAny, kids: either})
		}
	}
	return n
}

// term reads one term, nil if there is nothing to it.
func (r *reader) term(depth int) *queryNode {
	t := r.tokens[r.at]
	r.at++
	switch t.kind {
	case tokenMinus:
		negate := true
		for r.at < len(r.tokens) && r.tokens[r.at].kind == tokenMinus {
			negate = !negate
			r.at++
		}
		if r.at == len(r.tokens) || r.tokens[r.at].kind == tokenClose || r.tokens[r.at].kind == tokenOr {
			return nil
		}
		if !negate {
			return r.term(depth)
		}
		switch k := r.term(depth + 1); {
		case k == nil:
			return nil
		case k.op == queryNot: // -(-x)
			return k.kids[0]
		default:
			return &queryNode{op: queryNot, kids: []*queryNode{k}}
		}
	case tokenOpen:
		if depth >= maxNesting {
			r.note("Parentheses deeper than %d are left out.", maxNesting)
			return nil
		}
		n := r.all(depth + 1)
		if r.at < len(r.tokens) {
			r.at++
		} else {
			r.note("A parenthesis that is not closed is closed at the end.")
		}
		switch len(n.kids) {
		case 0:
			return nil
		case 1:
			return n.kids[0]
		}
		return n
	case tokenClose, tokenOr:
		return nil
	}
	r.parts++
	if t.field != "" {
		return &queryNode{op: queryField, field: t.field, text: t.text}
	}
	words := textsearch.Words(t.text)
	switch {
	case len(words) == 0:
		if strings.HasPrefix(t.text, "*") && strings.Trim(t.text, "*") == "" {
			r.note("%q is left out: the beginning of a word has two letters at least.", clip(t.text))
		}
		return nil
	case slices.ContainsFunc(words, tooLong):
		r.note("A word of more than %d letters is left out.", textsearch.MaxQueryWord)
		r.long = true
		return nil
	case len(words) > 1 && (t.kind == tokenPhrase || tooLong(strings.Join(words, " "))): // a long address is no word
		return &queryNode{op: queryPhrase, text: strings.Join(words, " ")}
	case strings.HasSuffix(t.text, "*") && len(words) == 1:
		if utf8.RuneCountInString(words[0]) < 2 {
			r.note("%q is read as a word: the beginning of a word has two letters at least.", clip(t.text))
			break
		}
		return &queryNode{op: queryPrefix, text: words[0]}
	}
	if t.kind == tokenPhrase { // one word in quotes: exactly so, as far as that goes
		return &queryNode{op: queryPhrase, text: words[0]}
	}
	return &queryNode{op: queryWord, text: strings.Join(words, " ")}
}

// tooLong says whether no index takes the word.
func tooLong(word string) bool { return utf8.RuneCountInString(word) > textsearch.MaxQueryWord }

// depth is how deeply, at most, expr nests.
func (n *queryNode) depth() (most int) {
	if n.kids == nil { // a word beside others of which some may be missing, or a condition with another one: who may know of a code
		return 1
	}
	for _, k := range n.kids {
		most = max(most, 1+k.depth())
	}
	return most
}

// String writes a query as it was read.
func (n *queryNode) String() string {
	switch n.op {
	case queryNot:
		return "-" + n.kids[0].inner()
	case queryPhrase:
		return `"` + n.text + `"`
	case queryPrefix:
		return n.text + "*"
	case queryField:
		if strings.ContainsAny(n.text, " ()|") {
			return n.field + `:"` + n.text + `"`
		}
		return n.field + ":" + n.text
	case queryWord:
		return strings.ReplaceAll(n.text, " ", "-")
	}
	parts := make([]string, len(n.kids))
	for i, k := range n.kids {
		parts[i] = k.inner()
	}
	if n.op == queryAny {
		return strings.Join(parts, " OR ")
	}
	return strings.Join(parts, " ")
}

func (n *queryNode) inner() string {
	if n.op == queryAll && len(n.kids) > 1 || n.op == queryAny {
		return "(" + n.String() + ")"
	}
	return n.String()
}

// text writes the whole query: at its top an OR needs no parentheses.
func (p *parsed) text() string {
	parts := make([]string, len(p.root.kids))
	for i, k := range p.root.kids {
		if parts[i] = k.inner(); k.op == queryAny {
			parts[i] = k.String()
		}
	}
	return strings.Join(parts, " ")
}

// meaning is what a query is about: its words as they stand, without conditions and what must not be there.
func (p *parsed) meaning() string {
	var said []string
	var walk func(n *queryNode)
	walk = func(n *queryNode) {
		switch n.op {
		case queryWord, queryPhrase, queryPrefix:
			said = append(said, n.text)
		case queryAll, queryAny:
			for _, k := range n.kids {
				walk(k)
			}
		}
	}
	walk(p.root)
	return strings.Join(said, " ")
}

// conditions are the field:value of a query, each once.
func (p *parsed) conditions() (all []*queryNode) {
	var walk func(n *queryNode)
	walk = func(n *queryNode) {
		if n.op == queryField {
			all = append(all, n)
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	walk(p.root)
	return all
}

// expr makes what an index is asked of a part of a query. resolved are its conditions.
func (n *queryNode) expr(resolved map[*queryNode]textsearch.Expr) textsearch.Expr {
	switch n.op {
	case queryWord:
		return textsearch.Word{Text: n.text, Fuzzy: utf8.RuneCountInString(n.text) >= 4}
	case queryPhrase:
		return textsearch.Phrase{Text: n.text}
	case queryPrefix:
		return textsearch.Word{Text: n.text, Prefix: true}
	case queryField:
		return resolved[n]
	case queryNot:
		if kid := n.kids[0].expr(resolved); kid != nil {
			return textsearch.Not{Of: textsearch.OnlyNearly(kid, nil)} // what must not be there is meant as it is written
		}
		return nil
	case queryAny:
		var of []textsearch.Expr
		for _, k := range n.kids {
			if e := k.expr(resolved); e != nil {
				of = append(of, e)
			}
		}
		if of == nil {
			return nil
		}
		return textsearch.Any{Of: of}
	}
	var all textsearch.All
	var words []textsearch.Expr
	meaning := slices.ContainsFunc(n.kids, func(k *queryNode) bool { return k.op == queryWord && !slices.Contains(empty, k.text) })
	for _, k := range n.kids {
		e := k.expr(resolved)
		switch {
		case e == nil:
		case k.op == queryWord && meaning && slices.Contains(empty, k.text):
		case k.op == queryWord:
			words = append(words, e)
		default:
			all = append(all, e)
		}
	}
	if len(words) > 0 {
		all = append(all, textsearch.Any{Of: words, AtLeast: enough(len(words))})
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// enough is how many of so many words must be there: who half remembers a sentence has some of its words wrong.
func enough(words int) int {
	switch {
	case words <= 2:
		return words
	case words <= 4:
		return words - 1
	}
	return (words*3 + 4) / 5
}

// empty are words that say nothing by themselves; in a phrase they count.
var empty = strings.Fields(`a an and are as at be been but by did do does for from had has have he her him his how i i'm if in into is it it's its me
	my of on or our she so that the their them then there they this to was we were what when where which who why will with would you your`)

// day reads a day, a month or a year as its begin.
func day(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1900 {
			return t, true
		}
	}
	return time.Time{}, false
}

func clip(s string) string {
	if r := []rune(s); len(r) > 30 {
		return string(r[:30]) + "…"
	}
	return s
}
