package privacy

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Text is a table with columns in which the people of a practice write as they like, and so may name a client wherever they are.
type Text struct {
	Table   string
	Columns []string
	Secret  string // which rows only their author may know of, as personal.Store.Secret
	Unique  bool   // no two of an owner have the same first column
}

// Written is all of it. Not in it are conversations, of which others are a part, and what quotes them.
var Written = []Text{
	{Table: "agenda_topics", Columns: []string{"title", "notes"}},
	{Table: "engagements", Columns: []string{"title", "reopen_reason"}},
	{Table: "sessions", Columns: []string{"title", "cancellation_reason"}},
	{Table: "participants", Columns: []string{"name"}},
	{Table: "transcripts", Columns: []string{"title", "filename"}},
	{Table: "goals", Columns: []string{"title", "description"}},
	{Table: "goal_check_ins", Columns: []string{"note"}},
	{Table: "action_items", Columns: []string{"title", "description"}},
	{Table: "notes", Columns: []string{"body"}, Secret: "x.visibility = 'PRIVATE'"},
	{Table: "note_versions", Columns: []string{"body"}, Secret: "x.visibility = 'PRIVATE'"},
	{Table: "themes", Columns: []string{"label"}},
	{Table: "ask_messages", Columns: []string{"question"}, Secret: "true"},
	{Table: "tags", Columns: []string{"name"}, Unique: true},
	{Table: "saved_filters", Columns: []string{"name", "query"}, Unique: true},
}

// names are what a person is called and written to, as it is found in what others have written: whole words, in any case.
type names struct {
	spaced  []*regexp.Regexp // names of several words, and addresses
	single  []*regexp.Regexp // a name of one word is a word of the language, too: it is only meant where it stands alone
	pattern string           // finds no less than these, for PostgreSQL, whatever its locale
}

// named finds out what the client is called and was called, and at which addresses they are or were written to. What another client or
// member is called, too, tells of that one. The login's name counts only if the login goes.
func (s *Service) named(ctx context.Context, organization id.UUID, r *Request, login *id.UUID) (*names, error) {
	rows, err := s.db.Query(ctx, `
		SELECT DISTINCT n.value FROM (
			SELECT unnest(ARRAY[c.name, c.email]) FROM clients c WHERE c.org_id = $1 AND c.id = $2
			UNION ALL SELECT u.email FROM clients c JOIN users u ON u.id = c.user_id WHERE c.org_id = $1 AND c.id = $2
			UNION ALL SELECT unnest(ARRAY[u.name, u.email]) FROM users u WHERE u.id = $3
			UNION ALL SELECT f.value FROM client_formers f WHERE f.org_id = $1 AND f.client_id = $2
		) AS n (value)
		WHERE n.value IS NOT NULL AND n.value NOT LIKE '%@erased.invalid' AND n.value NOT IN ($4, $5)
			AND NOT EXISTS (SELECT FROM clients o WHERE o.org_id = $1 AND o.id <> $2 AND lower(n.value) IN (lower(o.name), lower(o.email)))
			AND NOT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
				WHERE m.org_id = $1 AND m.user_id IS DISTINCT FROM $3 AND lower(n.value) IN (lower(u.name), lower(u.email)))
		ORDER BY 1`, organization, r.ClientID, login, client.Erased, erasedPerson)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	return namesOf(all), nil
}

const erasedPerson = "Erased person"

func namesOf(all []string) *names {
	n := &names{}
	var patterns []string
	for _, value := range all {
		words := strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '_' })
		if len(words) == 0 {
			continue
		}
		quoted, folded := make([]string, len(words)), make([]string, len(words))
		for i, w := range words {
			quoted[i], folded[i] = regexp.QuoteMeta(w), anyCase(w)
		}
		exact := regexp.MustCompile(`(?i)` + strings.Join(quoted, `[\s_\x{00a0}]+`))
		if pattern := strings.Join(folded, `[[:space:]_`+"\u00a0"+`]+`); len(words) > 1 || strings.Contains(value, "@") {
			n.spaced, patterns = append(n.spaced, exact), append(patterns, pattern)
		} else {
			n.single, patterns = append(n.single, exact), append(patterns, `^[[:space:]]*`+pattern+`[[:space:]]*$`)
		}
	}
	n.pattern = strings.Join(patterns, "|")
	return n
}

// anyCase is a word as a regular expression of PostgreSQL that needs no locale to ignore case.
func anyCase(word string) string {
	var b strings.Builder
	for _, r := range word {
		switch {
		case unicode.IsLetter(r):
			b.WriteByte('[')
			b.WriteRune(r)
			for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
				b.WriteRune(o)
			}
			b.WriteByte(']')
		case r < utf8.RuneSelf && !unicode.IsDigit(r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// in says whether a text names the person anywhere.
func (n *names) in(text string) bool {
	for _, list := range [][]*regexp.Regexp{n.spaced, n.single} {
		for _, name := range list {
			if replaced(text, name, "") != text {
				return true
			}
		}
	}
	return false
}

// without is a text in which the person is called as somebody who was erased.
func (n *names) without(text string) string {
	out := n.replace(text, client.Erased)
	if len(out) > len(text) && len(out) > note.MaxBytes {
		return n.replace(text, "…") // it must still fit where it was
	}
	return out
}

func (n *names) replace(text, by string) string {
	for _, name := range n.spaced {
		text = replaced(text, name, by)
	}
	for _, name := range n.single {
		if t := strings.TrimSpace(text); name.FindString(t) == t && t != "" {
			text = by
		}
	}
	return text
}

// replaced replaces what is a whole word, or whole words: neither letters nor digits stand beside it, nor what goes on with an address.
func replaced(text string, name *regexp.Regexp, by string) string {
	var b strings.Builder
	from := 0
	for _, at := range name.FindAllStringIndex(text, -1) {
		before, _ := utf8.DecodeLastRuneInString(text[:at[0]])
		after, size := utf8.DecodeRuneInString(text[at[1]:])
		next, _ := utf8.DecodeRuneInString(text[min(at[1]+size, len(text)):])
		if ofWord(before) || ofWord(after) || strings.Contains(name.String(), "@") &&
			(strings.ContainsRune(".+-_%", before) || after == '-' || after == '.' && ofWord(next)) {
			continue
		}
		b.WriteString(text[from:at[0]])
		b.WriteString(by)
		from = at[1]
	}
	b.WriteString(text[from:])
	return b.String()
}

func ofWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// mask takes the person's names out of what the practice has written about others.
func (s *Service) mask(ctx context.Context, organization id.UUID, n *names, receipt func(pgx.Tx, map[string]int) error) error {
	if n.pattern == "" {
		return nil
	}
	for _, t := range Written {
		if err := s.maskIn(ctx, organization, n, t, receipt); err != nil {
			return fmt.Errorf("%s: %w", t.Table, err)
		}
	}
	return nil
}

// masked is how many rows are read and changed in one transaction.
const masked = 100

func (s *Service) maskIn(ctx context.Context, organization id.UUID, n *names, t Text, receipt func(pgx.Tx, map[string]int) error) error {
	secret, columns, found := "false", "", ""
	if t.Secret != "" {
		secret = t.Secret
	}
	for i, c := range t.Columns {
		if i > 0 {
			columns, found = columns+", ", found+" OR "
		}
		columns, found = columns+"x."+c, found+"x."+c+" ~ $2"
	}
	type row struct {
		at     string
		secret bool
		texts  []*string
	}
	for from, more := "(0,0)", true; more; {
		next := from
		if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			next = from
			rows, err := tx.Query(ctx, fmt.Sprintf(`
				SELECT x.ctid::text, %s, ARRAY[%s]::text[] FROM %s x WHERE x.org_id = $1 AND (%s) AND x.ctid > $3::text::tid ORDER BY x.ctid LIMIT %d FOR UPDATE`,
				secret, columns, t.Table, found, masked), organization, n.pattern, from)
			if err != nil {
				return err
			}
			all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x row, err error) { return x, r.Scan(&x.at, &x.secret, &x.texts) })
			if err != nil {
				return err
			}
			more = len(all) == masked
			count := 0
			for _, x := range all {
				next = x.at
				changed := false
				for _, text := range x.texts {
					if text == nil {
						continue
					}
					if without := n.without(*text); without != *text {
						*text, changed = without, true
					}
				}
				if !changed {
					continue
				}
				if err := rewrite(ctx, tx, t, x.at, x.texts); err != nil {
					return err
				}
				if !x.secret {
					count++
				}
			}
			if count == 0 {
				return nil
			}
			return receipt(tx, map[string]int{t.Table: count})
		}); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// rewrite puts texts into a row, which is locked.
func rewrite(ctx context.Context, tx pgx.Tx, t Text, at string, texts []*string) error {
	set := ""
	for i, c := range t.Columns {
		if i > 0 {
			set += ", "
		}
		set += fmt.Sprintf("%s = ($2::text[])[%d]", c, i+1)
		if i == 0 && t.Unique {
			set += fmt.Sprintf(` || CASE WHEN EXISTS (SELECT FROM %[2]s o WHERE o.org_id = x.org_id AND o.owner_id = x.owner_id
				AND o.id <> x.id AND lower(o.%[1]s) = lower(($2::text[])[1])) THEN ' ' || right(x.id::text, 4) ELSE '' END`, c, t.Table)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE `+t.Table+` x SET `+set+` WHERE x.ctid = $1::text::tid`, at, texts)
	return err
}
