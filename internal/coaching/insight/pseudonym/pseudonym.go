// Package pseudonym replaces what tells who somebody is by placeholders, and puts it back.
//
// It replaces the names of people it is told of, in the ways that people write and say them, and whatever looks like an e-mail address
// or a phone number. The same is always the same placeholder, so that a reader can still follow who is meant: [PERSON_1] is one person,
// and [PERSON_1_2] the same person, written in another way. No text is in the way of a placeholder: what looks like one already is
// replaced by one, too.
package pseudonym

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Map knows what stands for what. It learns while it replaces, so one Map is for the texts of one reading, always in the same order;
// it is not safe for concurrent use.
type Map struct {
	forms   map[string][]form  // of names, by their first words; the longest first
	numbers map[identity]int   // of what was seen
	counts  map[string]int     // of each kind
	written map[label][]string // in the order in which it was seen
}

// identity is who or what: the number of a person, an address in lower case, the digits of a number, a text.
type identity struct{ kind, of string }

// label is what a placeholder says, without the way it is written.
type label struct {
	kind string
	n    int
}

// The kinds of placeholders.
const (
	person = "PERSON"
	email  = "EMAIL"
	phone  = "PHONE"
	text   = "TEXT" // that looked like a placeholder
)

// New returns a Map that knows people by their names. One who is called in several ways is one person where the shorter name
// is a part of the longer one, and of no other.
func New(names []string) *Map {
	m := &Map{forms: formsOf(names), numbers: map[identity]int{}, counts: map[string]int{}, written: map[label][]string{}}
	return m
}

var (
	placeholders = regexp.MustCompile(`(?i)\[?(PERSON|EMAIL|PHONE|TEXT)_([0-9]+)(?:_([0-9]+))?\]?`)
	emails       = regexp.MustCompile("[\\p{L}\\p{N}\\p{M}.!#$%&'*+/=?^_`{|}~-]+@[\\p{L}\\p{N}\\p{M}-]+(?:\\.[\\p{L}\\p{N}\\p{M}-]+)+")
	numbers      = regexp.MustCompile(`\+?\(?\p{Nd}[\p{Nd}\s().\-–/]{5,}\p{Nd}`)
	dates        = regexp.MustCompile(`^(\p{Nd}{4}[-./]\p{Nd}{1,2}[-./]\p{Nd}{1,2}|\p{Nd}{1,2}[-./]\p{Nd}{1,2}[-./]\p{Nd}{2,4}|((19|20)\p{Nd}{2}[\s.\-–/]*)+)$`)
)

// Replace writes a text with placeholders.
func (m *Map) Replace(s string) string {
	return outside(s, placeholders.FindAllStringIndex(s, -1),
		func(found string) string { return m.placeholder(identity{text, found}, found) },
		func(s string) string {
			return outside(s, emails.FindAllStringIndex(s, -1),
				func(found string) string {
					return m.placeholder(identity{email, strings.ToLower(found)}, found)
				},
				func(s string) string {
					return outside(s, phoneNumbers(s),
						func(found string) string { return m.placeholder(identity{phone, digits(found)}, found) },
						m.replaceNames)
				})
		})
}

// ReplaceName writes the name of somebody with a placeholder, where nothing but a name stands: there it is no word, whatever it looks like.
func (m *Map) ReplaceName(name string) string {
	if who, ok := whole(m.forms, name); ok {
		return m.placeholder(identity{person, strconv.Itoa(who)}, name)
	}
	return m.Replace(name)
}

// Restore puts back what the placeholders of a text stand for, also where somebody who has read them writes them a little otherwise. It is
// false if one of them stands for nothing; that one stays.
func (m *Map) Restore(s string) (_ string, ok bool) {
	ok = true
	var b strings.Builder
	end := 0
	for _, at := range placeholders.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(s[end:at[0]])
		end = at[1]
		found, known := m.meant(s, at)
		b.WriteString(found)
		ok = ok && known
	}
	return b.String() + s[end:], ok
}

// meant is what the placeholder at a place of a text stands for.
func (m *Map) meant(s string, at []int) (string, bool) {
	n, err := strconv.Atoi(s[at[4]:at[5]])
	way := 1
	if err == nil && at[6] >= 0 {
		way, err = strconv.Atoi(s[at[6]:at[7]])
	}
	ways := m.written[label{strings.ToUpper(s[at[2]:at[3]]), n}]
	if err != nil || way < 1 || way > len(ways) {
		return s[at[0]:at[1]], false
	}
	return ways[way-1], true
}

func (m *Map) placeholder(who identity, as string) string {
	n := m.numbers[who]
	if n == 0 {
		m.counts[who.kind]++
		n = m.counts[who.kind]
		m.numbers[who] = n
	}
	l := label{who.kind, n}
	way := slices.Index(m.written[l], as)
	if way < 0 {
		way = len(m.written[l])
		m.written[l] = append(m.written[l], as)
	}
	if way == 0 {
		return fmt.Sprintf("[%s_%d]", who.kind, n)
	}
	return fmt.Sprintf("[%s_%d_%d]", who.kind, n, way+1)
}

// outside rewrites a text: what was found in it in one way, and all between in another.
func outside(s string, found [][]int, take, rest func(string) string) string {
	var b strings.Builder
	end := 0
	for _, at := range found {
		b.WriteString(rest(s[end:at[0]]))
		b.WriteString(take(s[at[0]:at[1]]))
		end = at[1]
	}
	b.WriteString(rest(s[end:]))
	return b.String()
}

// phoneNumbers are the places of what may be one: seven digits and more with what people write between them, and no date.
func phoneNumbers(s string) (found [][]int) {
	for _, at := range numbers.FindAllStringIndex(s, -1) {
		number := s[at[0]:at[1]]
		before, _ := utf8.DecodeLastRuneInString(s[:at[0]])
		after, _ := utf8.DecodeRuneInString(s[at[1]:])
		if len([]rune(digits(number))) >= 7 && !dates.MatchString(number) && !unicode.IsLetter(before) && !unicode.IsLetter(after) {
			found = append(found, at)
		}
	}
	return found
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Nd, r) {
			return r
		}
		return -1
	}, s)
}
