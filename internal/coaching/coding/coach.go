package coding

import (
	_ "embed"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

//go:embed lexicon/coach.txt
var coachFile string

//go:embed lexicon/permission.txt
var permissionFile string

var (
	coachLexicon      = parse(coachFile)
	permissionLexicon = parse(permissionFile)
)

const (
	// echoShare of a sentence's words must be the client's own recent ones for the sentence to give them back: one in five,
	// counting only words that carry meaning by themselves.
	echoShare = 5
	// heardLasts is for how many utterances a client's word can be echoed: about three turns of each.
	heardLasts = 6
	// permissionLasts is for how many utterances a permission counts: two turns of each.
	permissionLasts = 4
	// shortTurn is up to how many words a turn is only a nod, unless they are the client's own.
	shortTurn = 2
	// longSpeech is from how many words on an utterance is rather a small lecture than an answer.
	longSpeech = 40

	// inputLead is by how many points input must lead: a stray point, as for "we", is no advice.
	inputLead = 2
	// inputOverQuestion is from how many points on an utterance that ends in a question is input all the same: two clear
	// phrases of advice or information.
	inputOverQuestion = 8
	// clearReflection is from how many points on a statement with a question mark is a reflection: one clear phrase.
	clearReflection = 4
)

// coachTurn is what a client's next words answer.
type coachTurn struct {
	asks    bool
	invites kind  // kindInvitesChange, kindInvitesSustain or neither
	mirror  tally // what the client would have said in these words
}

// reading is what the sentences of a coach's utterance add up to.
type reading struct {
	coachTurn
	points     tally
	words      int
	said       int // words that do more than listen
	question   Mark
	inverted   bool // there is a question with the form of one
	permission bool // somebody asks for input
}

// coach codes an utterance of a coach: its sentences first, then the whole.
func (c *coder) coach(text string) Utterance {
	var out Utterance
	var r reading
	for text := range conversation.Sentences(text) {
		if s := newSentence(text); len(s.words) > 0 {
			out.Sentences = append(out.Sentences, Sentence{Mark: c.sentence(&s, &r), Text: text})
		}
	}
	if r.words == 0 {
		return out
	}
	if r.words > longSpeech {
		r.points.add(kindInput, 2, "input.long")
	}
	out.Mark = c.main(text, &r)

	c.before = out.Mark
	if r.words > shortTurn {
		c.floor = r.coachTurn
		c.goesOn = false
	}
	if r.permission {
		c.permitted = c.at + permissionLasts
	}
	return out
}

// sentence codes a sentence and adds it to the reading. A question is one by conversation.IsQuestion; other sentences have
// points for reflection, input, affirmation and what is none of these.
func (c *coder) sentence(s *sentence, r *reading) Mark {
	var t tally
	coachLexicon.score(s.words, s.start, &t)
	permissionLexicon.score(s.words, s.start, &t)
	c.structure(s, &t)
	clientLexicon.score(mirrored(s.words), s.start, &r.mirror)
	if r.invites == kindNone {
		r.invites = inviting(&t)
	}
	r.permission = r.permission || t[kindPermission].points > 0
	r.words += len(s.words)
	for _, w := range s.words {
		if !listening[w] {
			r.said++
		}
	}

	if !conversation.IsQuestion(s.text) {
		r.points.merge(&t)
		return c.statement(&t, len(s.words) > shortTurn)
	}
	inverted := isInverted(s.words[s.start:])
	if !inverted {
		r.points.merge(&t) // a statement with a question mark says something as well
	}
	m := questionMark(s.text, inverted)
	if !r.asks || m.Code == QuestionOpen {
		r.question = m
	}
	r.asks = true
	r.inverted = r.inverted || inverted
	return m
}

// main is the code of an utterance as a whole. It follows the conventions of human coders, who give one label to what does
// several things: information and advice outweigh the question whether it was understood, a question outweighs the
// reflection that leads up to it, and a statement with a question mark is a question unless it is clearly a reflection.
func (c *coder) main(text string, r *reading) Mark {
	reflects, informs := r.points[kindReflection].points, r.points[kindInput].points
	switch {
	case r.inverted && informs >= inputOverQuestion:
		return c.inputMark(&r.points)
	case r.asks && !r.inverted && reflects >= clearReflection:
		return reflectionMark(&r.points)
	case r.asks:
		return r.question
	case r.words <= shortTurn && reflects < 3:
		return frameMark(&r.points)
	case continues(text) && reflects < clearReflection && informs == 0 && c.before.Code != "":
		return Mark{Code: c.before.Code, Confidence: 0.55, Rule: "continues"}
	}
	return c.statement(&r.points, r.said >= 2)
}

// structure adds points for how a sentence is made rather than for its words.
func (c *coder) structure(s *sentence, t *tally) {
	you, we, past, number, echoed := false, false, false, false, 0
	for _, w := range s.words {
		switch {
		case isAddress(w):
			you = true
		case w == "we" || w == "us" || w == "our":
			we = true
		case isPast(w):
			past = true
		case isDigit(w):
			number = true
		}
		if carries(w) {
			if at, ok := c.heard[stem(w)]; ok && c.at-at <= heardLasts {
				echoed++
			}
		}
	}
	own := s.words[s.start] == "i" || len(s.words) > s.start+1 && s.words[s.start+1] == "i"

	// Reflections say the client's words back, to the client ("so you …", "and you …"), about what was ("she left you").
	if echoed*echoShare >= len(s.words) && echoed > 0 {
		t.add(kindReflection, 2, "reflection.echo")
	}
	if you && s.opens("so") {
		t.add(kindReflection, 2, "reflection.so-you")
	}
	if you && s.opens("and") {
		t.add(kindReflection, 1, "reflection.and-you")
	}
	if past && !own {
		t.add(kindReflection, 1, "reflection.past")
	}
	// Input is the speaker's own: "well, …", "we …", "I …", numbers, or general truths that address nobody.
	if s.opens("well") && len(s.words) > 5 {
		t.add(kindInput, 2, "input.well")
	}
	if we {
		t.add(kindInput, 2, "input.we")
	}
	if own {
		t.add(kindInput, 1, "input.i")
	}
	if number && len(s.words) > 4 {
		t.add(kindInput, 1, "input.number")
	}
	if len(s.words) >= 10 && !you && !past {
		t.add(kindInput, 2, "input.general")
	}
}

// statement decides between the codes of what is no question. substance tells whether there are words enough to say
// something.
func (c *coder) statement(t *tally, substance bool) Mark {
	reflects, informs, frame := t[kindReflection].points, t[kindInput].points, t[kindOther].points+t[kindAffirmation].points
	switch {
	case frame > reflects && frame > informs, !substance && reflects == 0 && informs == 0:
		return frameMark(t)
	case reflects == 0 && informs < inputLead:
		return Mark{Code: Reflection, Confidence: 0.55, Rule: "reflection.paraphrase"} // short, and nothing speaks for anything else
	case informs >= reflects+inputLead:
		return c.inputMark(t)
	default:
		return reflectionMark(t)
	}
}

func questionMark(sentence string, inverted bool) Mark {
	m := Mark{Code: QuestionClosed, Confidence: 0.65, Rule: "question.statement"}
	if inverted {
		m.Confidence, m.Rule = 0.85, "question.form"
	}
	if conversation.IsOpenQuestion(sentence) {
		m.Code = QuestionOpen
	}
	return m
}

func reflectionMark(t *tally) Mark {
	v := t[kindReflection]
	return Mark{Code: Reflection, Confidence: byLead(v.points-t[kindInput].points, 0.7, 0.75, 0.85), Rule: v.rule}
}

func (c *coder) inputMark(t *tally) Mark {
	v := t[kindInput]
	m := Mark{Code: InputWithoutPermission, Confidence: byLead(v.points-t[kindReflection].points, 0.5, 0.65, 0.8), Rule: v.rule}
	if c.at <= c.permitted || t[kindPermission].points > 0 {
		m.Code = InputWithPermission
	}
	return m
}

// frameMark is for what neither asks, reflects nor informs.
func frameMark(t *tally) Mark {
	praise, frame := t[kindAffirmation], t[kindOther]
	switch {
	case praise.points > frame.points:
		return Mark{Code: Affirmation, Confidence: 0.8, Rule: praise.rule}
	case frame.points > 0:
		return Mark{Code: Other, Confidence: 0.8, Rule: frame.rule}
	}
	return Mark{Code: Other, Confidence: 0.9, Rule: "other.listening"}
}

// inviting is where the answer to a sentence is likely to lean.
func inviting(t *tally) kind {
	change, sustain := t[kindInvitesChange].points, t[kindInvitesSustain].points
	switch {
	case sustain > change:
		return kindInvitesSustain
	case change >= 2:
		return kindInvitesChange
	}
	return kindNone
}

// continues tells whether an utterance goes on where the speaker was interrupted, as transcribers mark it.
func continues(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "-") || strings.HasPrefix(text, "–") || strings.HasPrefix(text, "—") || strings.HasPrefix(text, "…") ||
		strings.HasPrefix(text, "...")
}

// isInverted tells whether a question has the form of one: a question word in front or before its verb, or a verb before its
// subject. The others are statements with a question mark.
func isInverted(words []string) bool {
	for i, w := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case isQuestionWord(w) && (i == 0 || isAuxiliary(next)):
			return true
		case i == 0 && (w == "anything" || w == "any"), w == "tell", w == "wonder", w == "wondering", w == "curious":
			return true
		case isAuxiliary(w) && isSubject(next) && (i == 0 || !isSubject(words[i-1])):
			return true
		}
	}
	return false
}

func isQuestionWord(w string) bool {
	switch w {
	case "what", "how", "why", "where", "who", "when", "which":
		return true
	}
	return false
}

func isAuxiliary(w string) bool {
	switch w {
	case "do", "does", "did", "are", "is", "was", "were", "can", "could", "would", "will", "have", "has", "had", "should", "may", "might", "shall", "am":
		return true
	}
	return false
}

func isSubject(w string) bool {
	switch w {
	case "you", "your", "we", "there", "it", "that", "this", "i", "they", "he", "she", "the", "those", "these":
		return true
	}
	return false
}

// isPast is for what tells of somebody's past or of a third person, as clients do and coaches give back.
func isPast(w string) bool {
	switch w {
	case "was", "were", "did", "had", "went", "got", "came", "made", "told", "took", "felt", "thought", "he", "she", "her", "his", "him":
		return true
	}
	return false
}

// mirrored puts a coach's words to a client into the client's mouth: "you want to stop" becomes "i want to stop".
func mirrored(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		switch w {
		case "you":
			w = "i"
		case "your":
			w = "my"
		case "yourself":
			w = "myself"
		case "are":
			if i > 0 && words[i-1] == "you" {
				w = "am"
			}
		}
		out[i] = w
	}
	return out
}
