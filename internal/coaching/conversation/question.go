package conversation

import (
	"slices"
	"strings"
)

// IsQuestion tells whether an English sentence asks something. It is meant for sentences of Sentences.
//
// A sentence asks if it ends with a question mark, unless the mark stands for a rising voice only: on a tag ("Right?"),
// on a statement with a tag ("I'm here to help, okay?") or on a reflection ("So it sounds like …?"). Transcribers forget
// the mark, so without one these forms ask as well: a question word before an auxiliary ("what would you"), an auxiliary
// before its subject ("do you"), either also after a comma ("on a scale of 1 to 10, how ready are you"), and invitations,
// which motivational interviewing codes as open questions ("tell me more", "I wonder if").
func IsQuestion(sentence string) bool {
	var room [maxQuestionWords]string
	marked := isMarked(sentence)
	if !marked && !someClauseMayAsk(sentence) {
		return false // as most sentences of a conversation
	}
	words := questionWords(sentence, room[:0])
	if len(words) == 0 {
		return false
	}
	if asks(words, sentence) {
		return !isTag(words)
	}
	return marked && !isTag(words) && !mirrors(words) && !seeksNod(sentence)
}

// someClauseMayAsk tells from the first words of its clauses whether a sentence without a mark can be a question at all.
func someClauseMayAsk(sentence string) bool {
	var room [1]string
	for clause, rest, more := strings.Cut(sentence, ","); ; clause, rest, more = strings.Cut(rest, ",") {
		if first := questionWords(clause, room[:0]); len(first) > 0 && mayAsk(first[0]) {
			return true
		}
		if !more {
			return false
		}
	}
}

// IsOpenQuestion tells whether a sentence asks for more than yes, no or a fact: what, how, why, anything else, or an
// invitation to tell, in the first of its clauses that asks. It is an estimate: two trained coders do not always agree on
// openness either.
func IsOpenQuestion(sentence string) bool {
	return IsQuestion(sentence) && opens(sentence)
}

// opens is IsOpenQuestion for what is known to be a question.
func opens(sentence string) bool {
	var room [maxQuestionWords]string
	for clause := range strings.SplitSeq(sentence, ",") {
		words := questionWords(clause, room[:0])
		if invites(words) || asksForMore(words) {
			return true
		}
		for i, w := range words {
			switch w {
			case "what", "what's", "what'd", "why", "why'd", "how's", "how'd", "where":
				return true
			case "how":
				return i+1 == len(words) || !isMeasure(words[i+1])
			}
			if isAuxiliary(w) && i+1 < len(words) && isSubject(words[i+1]) {
				return false // yes or no is an answer
			}
		}
	}
	return false
}

// asksForMore is for "anything else?" and "is there anything else …", which ask for whatever there is.
func asksForMore(words []string) bool {
	if len(words) > 2 && words[0] == "is" && words[1] == "there" {
		words = words[2:]
	}
	return len(words) > 1 && (words[0] == "anything" || words[0] == "what") && words[1] == "else" || len(words) > 2 && words[0] == "any" && words[1] == "other"
}

// maxQuestionWords is how many words of a sentence or clause are looked at.
const maxQuestionWords = 12

// questionWords appends the words of the sentence to words, as many as there is room for: a question shows itself early.
// They are in lower case and without the fillers and false starts before them.
func questionWords(sentence string, words []string) []string {
	for w := range Words(sentence) {
		if len(words) == cap(words) {
			break
		}
		w = strings.ToLower(w)
		if len(w) > 2 {
			if strings.IndexByte(w, "’"[0]) >= 0 {
				w = strings.ReplaceAll(w, "’", "'")
			}
			if i := strings.IndexByte(w, '-'); i >= 0 && strings.HasPrefix(w[i+1:], w[:i]) {
				w = w[i+1:] // "wh-what"
			}
		}
		if len(words) == 0 && isFiller(w) {
			continue
		}
		if len(words) > 0 && words[len(words)-1] == w || w == "just" {
			continue // "what- what", "I'm just wondering"
		}
		words = append(words, w)
	}
	return words
}

// isMarked tells whether the sentence ends with a question mark, closing quotes, brackets and dashes aside.
func isMarked(sentence string) bool {
	mark := max(strings.LastIndexByte(sentence, '?'), strings.LastIndex(sentence, "？"))
	return mark >= 0 && strings.Trim(sentence[mark:], `?？"'”’)] -—–.`) == ""
}

func isFiller(w string) bool {
	switch w {
	case "okay", "ok", "so", "well", "um", "uh", "and", "but", "yeah", "yes", "yep", "right", "now", "alright",
		"all", "oh", "great", "like", "mm", "mm-hmm", "uh-huh", "hmm", "hm", "mhm", "then", "also", "just",
		"actually", "sure", "good", "or", "because", "cause", "er", "erm", "ah", "no", "cool", "perfect", "thanks",
		"anyway":
		return true
	}
	return false
}

func isTag(words []string) bool {
	return len(words) <= 5 && slices.Contains(tags, strings.Join(words, " "))
}

// tags ask whether the other is still listening. "Right?", "Okay?" and the like are fillers, and gone already.
var tags = []string{"you know", "you see", "huh", "eh", "sorry", "pardon", "really", "excuse me", "is it", "isn't it", "know",
	"you know what", "know what", "you know what i mean", "know what i mean", "you see what i mean", "see what i mean"}

// seeksNod is for a statement with a tag after a comma, that seeks no more than a nod.
func seeksNod(sentence string) bool {
	comma := strings.LastIndexByte(sentence, ',')
	if comma < 0 {
		return false
	}
	var room [maxQuestionWords]string
	words := questionWords(sentence[comma:], room[:0])
	if len(words) == 0 {
		// "…, or?" and "…, like?" trail off instead: they leave the rest to the other.
		last := ""
		for w := range Words(sentence[comma:]) {
			last = strings.ToLower(w)
		}
		return last != "or" && last != "like"
	}
	return slices.Contains(nods, strings.Join(words, " "))
}

var nods = []string{
	"you know", "huh", "isn't it", "doesn't it", "don't they", "aren't they", "haven't you", "aren't you", "don't you", "wasn't it",
	"isn't that", "didn't you", "didn't it", "you know what i mean", "know what i mean",
}

func mirrors(words []string) bool {
	return mirrorings.begin(words)
}

var mirrorings = phrases("it sounds like", "sounds like", "it seems like", "seems like", "what i'm hearing", "what i hear",
	"i hear you", "i'm hearing", "you're saying", "it feels like", "it looks like", "looks like")

func asks(words []string, sentence string) bool {
	if invites(words) || opensQuestion(words) {
		return true
	}
	// After a comma a clause may ask the other, unless the sentence reports: "he said, what are you doing".
	var room [maxQuestionWords]string
	_, rest, more := strings.Cut(sentence, ",")
	for more {
		var clause string
		clause, rest, more = strings.Cut(rest, ",")
		if first := questionWords(clause, room[:0:1]); len(first) == 0 || !mayAsk(first[0]) {
			continue
		}
		w := questionWords(clause, room[:0])
		if invites(w) || opensQuestion(w) && slices.ContainsFunc(w[1:min(5, len(w))], isAddress) {
			return !reports(words)
		}
	}
	return false
}

func isAddress(w string) bool { return w == "you" || w == "your" }

func reports(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(reporting, w) })
}

var reporting = []string{"said", "says", "say", "saying", "asked", "asks", "told", "goes", "thought"}

// opensQuestion looks at the first words only.
func opensQuestion(w []string) bool {
	if len(w) < 2 {
		return false
	}
	if isQuestionWord(w[0]) {
		if isAuxiliary(w[1]) {
			// "What is important is …", "when is" and "what was hard was" state as often as they ask.
			return len(w) > 2 && isSubject(w[2])
		}
		if len(w) < 3 {
			return false
		}
		switch w[0] {
		case "what":
			return followsWhat(w[1]) && !slices.Contains(w[2:], "is")
		case "how":
			return isMeasure(w[1]) && slices.ContainsFunc(w[2:], isAuxiliary) ||
				w[1] == "about" || w[1] == "come"
		}
		return false
	}
	if !isAuxiliary(w[0]) {
		return false
	}
	switch w[0] {
	case "do", "don't", "have":
		return w[1] == "you" || w[1] == "we" || w[1] == "they" // "do it" and "have a seat" are no questions
	case "had", "should":
		return w[1] == "we" || w[1] == "they" // nor are "had I known" and "should you need me"
	case "may":
		return w[1] == "i" || w[1] == "we"
	}
	return isSubject(w[1])
}

func followsWhat(w string) bool {
	switch w {
	case "else", "kind", "kinds", "sort", "sorts", "about", "if", "brings", "brought", "makes", "happens":
		return true
	}
	return false
}

// mayAsk is for a first word that can open a question without a mark.
func mayAsk(w string) bool {
	return isQuestionWord(w) || isAuxiliary(w) || invitations[w] != nil
}

func isQuestionWord(w string) bool {
	switch w {
	case "what", "how", "why", "where", "who", "when", "which":
		return true
	}
	return false
}

func invites(words []string) bool {
	return invitations.begin(words)
}

var invitations = phrases(
	"tell me", "can you tell", "could you tell", "would you tell", "can you share", "could you share", "can you describe",
	"could you describe", "can you talk", "maybe you could tell", "you could tell me", "remind me", "talk to me", "say more", "describe", "walk me through",
	"help me understand", "i wonder if", "i wonder what", "i wonder how", "i wonder whether", "i'm wondering", "i was wondering", "i am wondering",
	"i wondered if", "i guess i'm wondering", "wondering if", "i'm curious", "i am curious", "i'd love to hear", "i'd like to hear", "i'd like to know",
	"i'd be interested", "i'm interested to know", "i'm really interested to know", "give me an example",
)

func isAuxiliary(w string) bool {
	switch w {
	case "do", "does", "did", "are", "is", "was", "were", "can", "could", "would", "will", "have", "has", "had",
		"should", "may", "might", "shall", "don't", "doesn't", "didn't", "aren't", "isn't", "wasn't", "weren't",
		"can't", "couldn't", "wouldn't", "won't", "haven't", "hasn't", "am":
		return true
	}
	return false
}

func isSubject(w string) bool {
	switch w {
	case "you", "your", "he", "she", "it", "they", "we", "i", "there", "that", "this", "those", "these", "the",
		"some", "any", "anything", "something", "anyone", "his", "her", "their", "our", "my":
		return true
	}
	return false
}

// isMeasure is for what after "how" asks for a number or a degree.
func isMeasure(w string) bool {
	switch w {
	case "many", "much", "often", "long", "old", "far", "soon", "big", "confident", "important", "ready",
		"likely", "motivated":
		return true
	}
	return false
}

// phraseSet holds phrases by their first word.
type phraseSet map[string][][]string

func phrases(texts ...string) phraseSet {
	set := phraseSet{}
	for _, t := range texts {
		words := strings.Fields(t)
		set[words[0]] = append(set[words[0]], words)
	}
	return set
}

// begin tells whether the words begin with one of the phrases.
func (set phraseSet) begin(words []string) bool {
	if len(words) == 0 {
		return false
	}
	for _, p := range set[words[0]] {
		if len(words) >= len(p) && slices.Equal(words[:len(p)], p) {
			return true
		}
	}
	return false
}
