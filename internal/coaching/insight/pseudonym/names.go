package pseudonym

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form is one way of writing or saying a name: its words, as they are compared.
type form struct {
	words []string
	who   int
}

// shortest is how many letters a part of a name has at least, to be told from an initial.
const shortest = 2

// formsOf are all forms of all names, by their first words. Whoever bears a part of exactly one other's name is that other: "Amara" is
// Amara Okafor. A part that several bear is nobody of them in particular, and counts as one more.
func formsOf(names []string) map[string][]form {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return len(words(b)) - len(words(a)) })
	bearers := map[string]int{} // form → person
	people := 0
	for _, name := range names {
		all := variants(name)
		if len(all) == 0 {
			continue
		}
		if _, known := bearers[joined(all[0])]; known {
			continue
		}
		people++
		who := people
		for i, f := range all {
			if _, taken := bearers[joined(f)]; !taken {
				bearers[joined(f)] = who
			} else if i > 0 && bearers[joined(f)] != who {
				people++
				bearers[joined(f)] = people
			}
		}
	}
	byFirst := map[string][]form{}
	for f, who := range bearers {
		ws := strings.Split(f, " ")
		byFirst[ws[0]] = append(byFirst[ws[0]], form{ws, who})
	}
	return longestFirst(byFirst)
}

func longestFirst(forms map[string][]form) map[string][]form {
	for _, all := range forms {
		slices.SortFunc(all, func(a, b form) int { return len(b.words) - len(a.words) })
	}
	return forms
}

// Named are those of the names that stand in a text, by their indices: whole, or a part that can stand alone, as people write them. A part that several
// bear is all of theirs, unless it stands there with the rest of one's. What is likelier a word than a name is none, as at the beginning every word is that is both.
func Named(s string, names []string) (found []int) {
	bearers := map[string][]int{}
	for i, name := range names {
		for _, f := range variants(name) {
			bearers[joined(f)] = append(bearers[joined(f)], i)
		}
	}
	forms, borne := map[string][]form{}, [][]int{}
	for f, by := range bearers {
		ws := strings.Split(f, " ")
		forms[ws[0]] = append(forms[ws[0]], form{ws, len(borne)})
		borne = append(borne, by)
	}
	m, all := Map{forms: longestFirst(forms)}, words(s)
	for i := 0; i < len(all); {
		who, n := m.borne(s, all, i)
		if n == 0 || i == 0 && n == 1 && ordinary[all[0].key] {
			i++
			continue
		}
		found = append(found, borne[who]...)
		i += n
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func joined(words []string) string { return strings.Join(words, " ") }

// whole finds who bears exactly this name.
func whole(forms map[string][]form, name string) (int, bool) {
	all := variants(name)
	if len(all) == 0 {
		return 0, false
	}
	for _, f := range forms[all[0][0]] {
		if slices.Equal(f.words, all[0]) {
			return f.who, true
		}
	}
	return 0, false
}

// variants are the forms of a name: the whole first, then each part that can stand alone, with and without what joins it.
func variants(name string) (all [][]string) {
	if open := strings.IndexByte(name, '('); open > 0 {
		name = name[:open] // (she/her)
	}
	add := func(ws []string) {
		letters := 0
		for _, w := range ws {
			letters += utf8.RuneCountInString(w)
		}
		if _, err := strconv.Atoi(strings.Join(ws, "")); letters >= shortest && err != nil &&
			!slices.ContainsFunc(all, func(f []string) bool { return slices.Equal(f, ws) }) {
			all = append(all, ws)
		}
	}
	parts := strings.Fields(name)
	parts = slices.DeleteFunc(parts, func(p string) bool { return titles[fold(strings.Trim(p, ".,"))] })
	if ws := keys(strings.Join(parts, " ")); slices.ContainsFunc(ws, func(w string) bool { return !nobody[w] && !isNumber(w) }) {
		add(ws)
	} else {
		return nil // Speaker 1, Coach
	}
	for _, part := range parts {
		ws := keys(part)
		if len(ws) == 0 || len(ws) == 1 && (particles[ws[0]] || nobody[ws[0]]) {
			continue
		}
		add(ws)
		if len(ws) > 1 && !spaceless(ws[0]) {
			add([]string{strings.Join(ws, "")}) // obrien
			for _, w := range ws {
				if utf8.RuneCountInString(w) > shortest && strings.Contains(part, "-") && !particles[w] {
					add([]string{w}) // Anne of Anne-Marie
				}
			}
		}
	}
	return all
}

func isNumber(w string) bool { _, err := strconv.Atoi(w); return err == nil }

// replaceNames writes a text with placeholders for the names in it.
func (m *Map) replaceNames(s string) string {
	if len(m.forms) == 0 {
		return s
	}
	all := words(s)
	var b strings.Builder
	end := 0
	for i := 0; i < len(all); {
		who, n, to := m.named(s, all, i)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(s[end:all[i].from])
		b.WriteString(m.placeholder(identity{person, strconv.Itoa(who)}, s[all[i].from:to]))
		end = to
		i += n
	}
	return b.String() + s[end:]
}

// named tells whose name begins at a word, how many words it has there and where it ends; no words if it is no name.
func (m *Map) named(s string, all []word, i int) (who, n, to int) {
	if who, n := m.borne(s, all, i); n > 0 {
		return who, n, all[i+n-1].to
	}
	// "Amaras phone": a genitive, as it is heard and as some languages write it.
	if key, ok := strings.CutSuffix(all[i].key, "s"); ok && len(key) > shortest && strings.HasSuffix(strings.ToLower(s[:all[i].to]), "s") && !ordinary[key] && !ordinary[all[i].key] {
		for _, f := range m.forms[key] {
			if len(f.words) == 1 {
				return f.who, 1, all[i].to - 1
			}
		}
	}
	return 0, 0, 0
}

// borne tells whose name stands at a word as it is borne, and how many words it has there; none if it is no name.
func (m *Map) borne(s string, all []word, i int) (who, n int) {
	for _, f := range m.forms[all[i].key] {
		if stands(s, all[i:], f.words) && (len(f.words) > 1 || !isWord(s, all, i)) {
			return f.who, len(f.words)
		}
	}
	return 0, 0
}

// stands tells whether words stand at the beginning of others, with nothing but what joins words of a name between them.
func stands(s string, all []word, ws []string) bool {
	if len(all) < len(ws) {
		return false
	}
	for i, w := range ws {
		if all[i].key != w || i > 0 && !joins(s[all[i-1].to:all[i].from]) {
			return false
		}
	}
	return true
}

// joins tells whether this may stand between two words of a name.
func joins(between string) bool {
	return utf8.RuneCountInString(between) <= 3 && strings.IndexFunc(between, func(r rune) bool {
		return !unicode.IsSpace(r) && !strings.ContainsRune("-‐‑'’.·・", r)
	}) < 0
}

// isWord tells of a word that is somebody's name whether it is more likely to be just a word: "will" is, and "Will you" and "in May", but
// not "Will says". Where capitals tell nothing the name is preferred: a word too much costs some sense, one too few tells who it is.
func isWord(s string, all []word, i int) bool {
	w := all[i]
	if !ordinary[w.key] {
		return false
	}
	if first, _ := utf8.DecodeRuneInString(s[w.from:]); !unicode.IsUpper(first) && !unicode.IsTitle(first) {
		return true
	}
	if i+1 < len(all) && auxiliary[w.key] && pronouns[all[i+1].key] && strings.TrimSpace(s[w.to:all[i+1].from]) == "" {
		return true
	}
	if !months[w.key] {
		return false
	}
	beside := func(j int) bool { return j >= 0 && j < len(all) && (isNumber(all[j].key) || beforeMonths[all[j].key]) }
	return beside(i-1) || i+1 < len(all) && isNumber(all[i+1].key)
}

// word is a word of a text, and how it is compared.
type word struct {
	from, to int
	key      string
}

// words are the words of a text. A script that writes no spaces has one for each character.
func words(s string) (all []word) {
	open := -1
	end := func(at int) {
		if open >= 0 {
			all = append(all, word{open, at, fold(s[open:at])})
		}
		open = -1
	}
	for i, r := range s {
		switch {
		case unicode.In(r, spaceles...):
			end(i)
			open = i
		case unicode.In(r, unicode.M, unicode.Cf):
			// a part of the word, if there is one
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if open >= 0 && spaceless(s[open:i]) {
				end(i)
			}
			if open < 0 {
				open = i
			}
		default:
			end(i)
		}
	}
	end(len(s))
	return all
}

func keys(s string) (all []string) {
	for _, w := range words(s) {
		if w.key != "" {
			all = append(all, w.key)
		}
	}
	return all
}

// spaceles are the scripts that write no spaces.
var spaceles = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

func spaceless(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.In(r, spaceles...)
}

// fold is a word as words are compared: in lower case and without accents, composed or not, for people leave them out.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Cf) {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
	return plain.Replace(strings.ToLower(s))
}

// plain writes letters that are no letter with an accent.
var plain = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "ł", "l", "ı", "i", "þ", "th")

//go:embed ordinary.txt
var ordinaryWords string

var (
	ordinary  = set(ordinaryWords) // English words that are also names
	months    = set("january april may june july august")
	auxiliary = set("will may")
	pronouns  = set("i you he she it we they this that these those there the a an your my our their his her anyone somebody someone people")

	beforeMonths = set("in of by until till since from this next last early late mid before after during through for every each end")

	titles    = set("dr mr mrs ms miss prof professor sir dame rev herr frau mme")
	particles = set("de da do dos das di du del della der den des dem van von vom zu zur la le les el al bin ben ibn abu and und y e")
	nobody    = set("speaker coach client coachee therapist counsellor counselor patient interviewer interviewee participant host guest moderator user unknown speakers person me you i a b")
)

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}
