package pgsearch

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// dictionaries are PostgreSQL's stemmers by language.
var dictionaries = map[string]string{
	"ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "eu": "basque",
	"fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
	"lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
	"sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}

// elides are languages in which an apostrophe parts words: l'amour. In the others it is inside of one: don't.
var elides = map[string]bool{"fr": true, "it": true, "ca": true, "ga": true}

func languages() []string { return slices.Sorted(maps.Keys(dictionaries)) }

// base is the language of a tag without region and script, "" if there is no stemmer for it.
func base(tag string) string {
	language, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if language == "nb" || language == "nn" {
		language = "no"
	}
	if _, ok := dictionaries[language]; !ok {
		return ""
	}
	return language
}

// words are the words of a text as they are indexed.
func words(text string, elide bool) []string {
	var found []string
	for _, w := range textsearch.Words(text) {
		found = append(found, parts(w, elide)...)
	}
	return found
}

// maxWord is how many bytes of a word count.
const maxWord = 100

// parts are what one word is indexed as.
func parts(word string, elide bool) []string {
	var found []string
	if elide {
		for _, p := range strings.Split(word, "'") {
			if p != "" {
				found = append(found, p)
			}
		}
	} else {
		found = []string{strings.ReplaceAll(word, "'", "")}
	}
	for i, p := range found {
		if len(p) > maxWord {
			found[i] = strings.ToValidUTF8(p[:maxWord], "")
		}
	}
	return found
}

// stems remembers the stems of words, which PostgreSQL knows.
type stems struct {
	db *pgxpool.Pool
	mu sync.RWMutex
	by map[string]map[string]string // by language and word
	n  int
}

// maxStems is how many are remembered: some 40 MB.
const maxStems = 400_000

func newStems(db *pgxpool.Pool) *stems { return &stems{db: db, by: map[string]map[string]string{}} }

// known are stems by language and word. A language without a stemmer has none.
type known map[string]map[string]string

func (k known) of(language, word string) (string, bool) {
	stem, ok := k[language][word]
	return stem, ok
}

// learn returns the stems of words, by language.
func (s *stems) learn(ctx context.Context, wanted map[string]map[string]bool) (known, error) {
	all := known{}
	for language, set := range wanted {
		dictionary, ok := dictionaries[language]
		if !ok {
			continue
		}
		all[language] = map[string]string{}
		var missing []string
		s.mu.RLock()
		for w := range set {
			if stem, ok := s.by[language][w]; ok {
				all[language][w] = stem
			} else {
				missing = append(missing, w)
			}
		}
		s.mu.RUnlock()
		if len(missing) == 0 {
			continue
		}
		// A stopword has no stem; here it is a word like any other.
		rows, err := s.db.Query(ctx, `SELECT u.word, coalesce((ts_lexize($1::text::regdictionary, u.word))[1], u.word) FROM unnest($2::text[]) u(word)`, dictionary+"_stem", missing)
		if err != nil {
			return nil, err
		}
		var word, stem string
		learned := map[string]string{}
		if _, err := pgx.ForEachRow(rows, []any{&word, &stem}, func() error { learned[word] = stem; return nil }); err != nil {
			return nil, err
		}
		maps.Copy(all[language], learned)
		s.mu.Lock()
		if s.n += len(learned); s.n > maxStems {
			s.by, s.n = map[string]map[string]string{}, len(learned)
		}
		if s.by[language] == nil {
			s.by[language] = map[string]string{}
		}
		maps.Copy(s.by[language], learned)
		s.mu.Unlock()
	}
	return all, nil
}

// edits is the least number of letters to insert, remove, replace or swap with their neighbour that makes a of b, at most most + 1.
func edits(a, b []rune, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		least := row[0]
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
			least = min(least, row[j+1])
		}
		if least > most {
			return most + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
