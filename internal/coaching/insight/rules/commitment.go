package rules

import (
	"context"
	"fmt"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

var commitments = newLexicon(
	cues(insight.KindCommitment, 0.75, "they say so in so many words", "i commit to", "i am committed to", "i promise to", "i have decided to",
		"my next step is to", "my plan is to", "you can hold me to"),
	cues(insight.KindCommitment, 0.6, "they speak in the first person of what they will do", "i will", "i am going to", "i shall"),
	cues(insight.KindCommitment, 0.55, "they speak of what they plan", "i plan to", "i am planning to", "i intend to"),
)

// deadlines say when. A time makes a statement of intent a plan (Gollwitzer 1999: implementation intentions).
var deadlines = newLexicon(cues(insight.KindCommitment, 0, "", "tomorrow", "tonight", "today", "this week", "next week", "this weekend",
	"this month", "next month", "this evening", "this afternoon", "on monday", "on tuesday", "on wednesday", "on thursday", "on friday",
	"on saturday", "on sunday", "by monday", "by tuesday", "by wednesday", "by thursday", "by friday", "by saturday", "by sunday",
	"next monday", "next tuesday", "next wednesday", "next thursday", "next friday", "next saturday", "next sunday", "by the end of",
	"before our next", "before we meet", "before i see you", "every morning", "every day", "every evening", "every night", "each morning",
	"each day", "first thing", "in the morning", "by next", "from now on", "right away", "before i go to bed", "after work", "before work", "after lunch"))

// prompts are how a coach asks for a commitment.
var prompts = newLexicon(cues(insight.KindCommitment, 0, "", "what will you", "when will you", "how will you", "what are you going to",
	"when are you going to", "will you do", "next step", "what is your plan", "would you commit", "can you commit", "what do you want to do",
	"what would you like to do", "what are you willing to", "by when", "what could you do", "what can you do", "what do you think you will"))

// minCommitment leaves out a bare "I'll come in" that is tentative or short, unless the coach asked or a time is named.
const minCommitment = 0.55

// commitment finds a client's statement of what they will do, and what a coach promises to do for them. Without roles, that of any speaker with a name.
func (t *talk) commitment(s *sentence) (candidate, bool) {
	who, ok := t.committer(s)
	if !ok || s.asks || s.quotes || s.contains(isHypothetical) || s.contains(isHabit) {
		return candidate{}, false
	}
	m, ok := commitments.find(s)
	if s.role == conversation.RoleCoach && !isErrand(s.word(m.after())) {
		return candidate{}, false // "I will ask you something" is how coaches lead a conversation
	}
	if !ok || !actsOn(s, m.after()) || embedded(s, m.at) || s.before(m.at, 6, isNegation) || s.reported(m.at) {
		return candidate{}, false
	}
	confidence, why := m.weight, []string{m.reason}
	committed := &insight.Commitment{Speaker: s.speaker}
	if when, dated := deadlines.find(s); dated {
		committed.Due = s.due(when)
		committed.DueOn = DueOn(committed.Due, t.On)
		confidence += 0.15
		why = append(why, fmt.Sprintf("they name a time (“%s”)", s.verbatim(when)))
	} else if s.contains(isAlways) {
		return candidate{}, false // "I will always love her"
	}
	if t.prompted(s) {
		confidence += 0.1
		why = append(why, "the coach had asked what they would do")
	}
	if s.contains(isTentative) {
		confidence -= 0.1
		why = append(why, "though the wording is tentative")
	}
	if len(s.tokens)-m.after() < 2 || strings.HasSuffix(s.text, "…") || strings.HasSuffix(s.text, "-") {
		confidence -= 0.1 // "I will do." and "I will talk to--" leave open what
	}
	if confidence < minCommitment {
		return candidate{}, false
	}
	return candidate{
		Finding: insight.Finding{
			Kind: insight.KindCommitment, Audience: insight.AudienceBoth,
			Title:      s.headline(m.at),
			Body:       fmt.Sprintf("%s said what they are going to do. Flagged because %s.", who, enumerate(why)),
			Confidence: min(0.95, confidence),
			Citations:  []insight.Quote{s.quote(m.at)},
			Commitment: committed,
		},
		said: s.key(m.at),
	}, true
}

func (t *talk) committer(s *sentence) (string, bool) {
	switch s.role {
	case conversation.RoleClient:
		return "The client", true
	case conversation.RoleCoach:
		return "The coach", true
	}
	if s.speaker < 0 || s.speaker >= len(t.Speakers) || t.Speakers[s.speaker].Name == "" {
		return "", false
	}
	return t.Speakers[s.speaker].Name, true
}

// prompted tells whether the coach asked for a commitment within the three utterances before.
func (t *talk) prompted(s *sentence) bool {
	for u := s.utterance - 1; u >= max(0, s.utterance-3); u-- {
		for i := t.first[u]; i < t.first[u+1]; i++ {
			before := &t.sentences[i]
			if before.role != conversation.RoleCoach {
				continue
			}
			if _, ok := prompts.find(before); ok {
				return true
			}
		}
	}
	return false
}

// embedded is for what is only part of a question ("how I'm going to pay"), or is played out ("and like, I'll do some
// work").
func embedded(s *sentence, at int) bool {
	switch s.word(at - 1) {
	case "how", "where", "who", "why", "which", "like":
		return true
	case "what", "that":
		return s.word(at-2) != "is" // "that is what I will do" means it
	}
	return false
}

// actsOn tells whether the word at i can be something one does on purpose. What follows "I will" is as often a prediction
// ("I'll feel", "I'll lose"), a way of speaking ("I'll be honest") or, after "going to", a place.
func actsOn(s *sentence, i int) bool {
	for isPlacedAdverb(s.word(i)) {
		i++
	}
	return len(s.word(i)) > 1 && !isNoDeed(s.word(i))
}

// isErrand is for what a coach does for a client after the session.
func isErrand(w string) bool {
	switch w {
	case "send", "email", "mail", "forward", "share", "introduce", "prepare", "draft", "schedule", "book", "call", "contact", "look", "find", "check":
		return true
	}
	return false
}

func isPlacedAdverb(w string) bool {
	switch w {
	case "also", "then", "now", "first", "maybe", "still":
		return true
	}
	return strings.HasSuffix(w, "ly")
}

func isNoDeed(w string) bool {
	switch w {
	case // happens to one
		"be", "become", "feel", "lose", "die", "miss", "need", "want", "have", "fail", "forget", "regret", "end", "wind", "fall", "catch",
		"hurt", "gain", "regain", "panic", "suffer", "struggle", "crave", "cry", "explode", "blow", "freak", "worry", "get", "wake", "live",
		// what one does anyway
		"eat", "drink", "smoke", "sleep", "sit", "look",
		// a state of mind, or a way of speaking
		"know", "like", "love", "hate", "say", "admit", "tell", "see", "hear", "wish", "think", "guess", "bet", "remember", "assume", "agree",
		"understand", "explain", "mention", "give",
		// no verb at all
		"not", "never", "always", "ever", "even", "and", "so", "but", "or", "if", "because", "that", "it", "in", "on", "for", "with", "at", "of",
		"as", "the", "an", "my", "this", "his", "her", "their", "our", "your", "you", "to", "me", "all", "one", "some", "two", "every", "too", "is",
		"work", "bed", "school", "church", "college", "meetings", "parties", "bars", "university", "class", "jail", "prison", "hospital":
		return true
	}
	return false
}

func isHabit(w string) bool {
	switch w {
	case "sometimes", "usually", "often", "normally", "whenever", "typically", "occasionally", "generally", "when", "used", "mondays",
		"tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays", "weekends":
		return true
	}
	return false
}

func isAlways(w string) bool { return w == "always" || w == "ever" || w == "forever" }

func isTentative(w string) bool {
	switch w {
	case "maybe", "probably", "perhaps", "try", "hopefully", "might", "guess", "possibly", "think":
		return true
	}
	return false
}

// enumerate joins reasons to one clause.
func enumerate(reasons []string) string {
	if len(reasons) < 2 {
		return strings.Join(reasons, "")
	}
	last := len(reasons) - 1
	joined := strings.Join(reasons[:last], ", ")
	if strings.HasPrefix(reasons[last], "though ") {
		return joined + ", " + reasons[last]
	}
	return joined + " and " + reasons[last]
}

// key is the sentence's words in one form, from the token at on: what is said twice has one key.
func (s *sentence) key(at int) string {
	var b strings.Builder
	for _, t := range s.tokens[at:] {
		b.WriteString(t.word)
		b.WriteByte(' ')
	}
	return b.String()
}

// Commits tells whether a client says in one utterance, by itself, what they will do: whether the analysis would take it for a commitment.
func Commits(text string) bool {
	t, err := read(context.Background(), insight.Conversation{
		Language: "en", Speakers: []conversation.Speaker{{Role: conversation.RoleClient}}, Utterances: []conversation.Utterance{{Text: text}},
	})
	if err != nil {
		return false
	}
	for i := range t.sentences {
		if _, ok := t.commitment(&t.sentences[i]); ok {
			return true
		}
	}
	return false
}
