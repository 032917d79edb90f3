package coding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind is what a rule speaks for.
type kind int

const (
	kindNone kind = iota
	kindReflection
	kindInput
	kindAffirmation
	kindOther
	kindPermission // somebody asks for input
	kindChange
	kindSustain
	kindInvitesChange // the coach's words: who answers them is likely to argue for a change
	kindInvitesSustain
	kinds
)

var kindNames = [kinds]string{"", "reflection", "input", "affirmation", "other", "permission", "change", "sustain", "invites-change", "invites-sustain"}

// rule is a group of phrases that say one thing. Its name begins with its kind: "reflection.sounds-like".
type rule struct {
	name   string
	kind   kind
	points int
	bit    uint64 // its own among the rules of a lexicon
}

// pattern is a phrase of a rule. The head of lexicon/coach.txt says how they are written.
type pattern struct {
	rule       *rule
	start, end bool
	steps      []step
}

type step struct {
	words []string // one of these
	gap   bool     // up to maxGap words of any kind
}

const maxGap = 3

// lexicon holds patterns by their first word.
type lexicon map[string][]*pattern

// parse reads a lexicon. It panics on a mistake in the file, which is a part of the program.
func parse(file string) lexicon {
	l := lexicon{}
	var r *rule
	bit := uint64(1)
	n := 0
	for line := range strings.Lines(file) {
		n++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			name, points, _ := strings.Cut(strings.Trim(line, "[]"), " ")
			prefix, _, _ := strings.Cut(name, ".")
			k := slices.Index(kindNames[:], prefix)
			p, err := strconv.Atoi(points)
			if k < 1 || err != nil || bit == 0 {
				panic(fmt.Sprintf("coding: line %d of a lexicon is no rule, or one too many: %q", n, line))
			}
			r = &rule{name: name, kind: kind(k), points: p, bit: bit}
			bit <<= 1
			continue
		}
		p := patternOf(line)
		if r == nil || len(p.steps) == 0 || p.steps[0].gap {
			panic(fmt.Sprintf("coding: line %d of a lexicon is no phrase: %q", n, line))
		}
		p.rule = r
		for _, w := range p.steps[0].words {
			l[w] = append(l[w], p)
		}
	}
	return l
}

func patternOf(line string) *pattern {
	p := &pattern{}
	for field := range strings.FieldsSeq(line) {
		switch field {
		case "^":
			p.start = true
		case "$":
			p.end = true
		case "..":
			p.steps = append(p.steps, step{gap: true})
		default:
			p.steps = append(p.steps, step{words: strings.Split(field, "/")})
		}
	}
	return p
}

// score adds the points of each rule that has a phrase in the words, once. start is the place that "^" means.
//
// A phrase with "not" behind it says the opposite and does not count. What a coach puts after "if" is supposed and not said: "if you want to stop" is no reflection, so phrases that begin with
// "you" do not count there.
func (l lexicon) score(words []string, start int, t *tally) {
	var seen uint64
	for i, w := range words {
		for _, p := range l[w] {
			if seen&p.rule.bit != 0 || p.start && i != start || w == "you" && i > 0 && words[i-1] == "if" {
				continue
			}
			if matches(p.steps[1:], words[i+1:], p.end) {
				seen |= p.rule.bit
				t.add(p.rule.kind, p.rule.points, p.rule.name)
			}
		}
	}
}

func matches(steps []step, words []string, end bool) bool {
	for i, s := range steps {
		if s.gap {
			for skip := 0; skip <= min(maxGap, len(words)); skip++ {
				if matches(steps[i+1:], words[skip:], end) {
					return true
				}
			}
			return false
		}
		if len(words) == 0 || !slices.Contains(s.words, words[0]) {
			return false
		}
		words = words[1:]
	}
	return len(words) == 0 || !end && words[0] != "not"
}

// tally is the points that a text has for each kind.
type tally [kinds]vote

// vote is the points for a kind, and the rule that gave the most of them.
type vote struct {
	points  int
	rule    string
	loudest int
}

func (t *tally) add(k kind, points int, rule string) {
	t[k].points += points
	if points > t[k].loudest {
		t[k].loudest, t[k].rule = points, rule
	}
}

// merge adds the points of a part.
func (t *tally) merge(part *tally) {
	for k := range part {
		p := &part[k]
		if p.points > 0 {
			t.add(kind(k), p.loudest, p.rule)
			t[k].points += p.points - p.loudest
		}
	}
}

// byLead is a confidence that grows with the points by which a code leads: under four, under eight, and from there on.
// Like all confidences here it is the rounded share of agreement with human coders on the part that rules were tried on.
func byLead(lead int, low, middle, high float64) float64 {
	switch {
	case lead >= 8:
		return high
	case lead >= 4:
		return middle
	}
	return low
}
