package coding

import (
	_ "embed"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

//go:embed lexicon/client.txt
var clientFile string

var clientLexicon = parse(clientFile)

const (
	// leanFrom is from how many points on talk leans: one phrase that usually means it, or two that often do.
	leanFrom = 3
	// What context is worth. An answer to a question that invites it needs no word of its own; nor does what goes on after a
	// nod of the coach. The rest tips the balance only.
	asked     = 3
	goingOn   = 3
	lingering = 1
	echoed    = 1
	// answerFrom is how many words make an answer: fewer only say yes or no, to what may have been asked in either direction.
	answerFrom = 4
)

// client codes an utterance of a client: points for change less points for sustain talk, of the words and of what they
// answer. Human coders read the same way: "relaxing" is sustain talk as an answer to "what do you like about it?".
func (c *coder) client(text string) Utterance {
	var out Utterance
	var all tally
	words := 0
	for text := range conversation.Sentences(text) {
		s := newSentence(text)
		if len(s.words) == 0 {
			continue
		}
		words += len(s.words)
		var t tally
		clientLexicon.score(s.words, s.start, &t)
		out.Sentences = append(out.Sentences, Sentence{Mark: leaning(&t), Text: text})
		all.merge(&t)
		c.listen(&s)
	}
	if words == 0 {
		return out
	}

	if c.goesOn {
		c.follow(&all, goingOn, "goes-on")
	} else {
		if c.floor.asks && words >= answerFrom {
			switch c.floor.invites {
			case kindInvitesChange:
				all.add(kindChange, asked, "change.asked-for")
			case kindInvitesSustain:
				all.add(kindSustain, asked, "sustain.asked-for")
			}
		}
		switch m := c.floor.mirror; {
		case m[kindChange].points > m[kindSustain].points:
			all.add(kindChange, echoed, "change.after-reflection")
		case m[kindChange].points < m[kindSustain].points:
			all.add(kindSustain, echoed, "sustain.after-reflection")
		}
		c.follow(&all, lingering, "lingers")
	}
	out.Mark = leaning(&all)

	c.goesOn = true
	c.lean = kindNone
	switch out.Code {
	case ChangeTalk:
		c.lean = kindChange
	case SustainTalk:
		c.lean = kindSustain
	}
	return out
}

// follow adds points for the leaning of the client's utterance before.
func (c *coder) follow(t *tally, points int, rule string) {
	if c.lean != kindNone {
		t.add(c.lean, points, kindNames[c.lean]+"."+rule)
	}
}

// leaning is the code of a client's talk.
func leaning(t *tally) Mark {
	change, sustain := t[kindChange], t[kindSustain]
	lead := change.points - sustain.points
	switch {
	case lead >= leanFrom:
		return Mark{Code: ChangeTalk, Confidence: byLead(lead, 0.5, 0.65, 0.75), Rule: change.rule}
	case -lead >= leanFrom:
		return Mark{Code: SustainTalk, Confidence: byLead(-lead, 0.35, 0.4, 0.7), Rule: sustain.rule}
	case change.points > 0 && sustain.points > 0:
		return Mark{Code: Neutral, Confidence: 0.55, Rule: "neutral.both-ways"}
	case change.points > 0 || sustain.points > 0:
		return Mark{Code: Neutral, Confidence: 0.75, Rule: "neutral.too-little"}
	}
	return Mark{Code: Neutral, Confidence: 0.8, Rule: "neutral.nothing-speaks"}
}

// listen keeps a client's words, for a coach to give back, and hears whether they ask for input.
func (c *coder) listen(s *sentence) {
	for _, w := range s.words {
		if carries(w) {
			c.heard[stem(w)] = c.at
		}
	}
	var t tally
	permissionLexicon.score(s.words, s.start, &t)
	if t[kindPermission].points > 0 && conversation.IsQuestion(s.text) {
		c.permitted = c.at + permissionLasts
	}
}
