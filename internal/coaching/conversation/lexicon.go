package conversation

import "strings"

// class is a class of function words: those that carry grammar rather than content.
type class uint8

// The nine classes of Ireland and Pennebaker (2010). The lists below are this project's own.
const (
	personalPronoun class = iota
	impersonalPronoun
	article
	conjunction
	preposition
	auxiliaryVerb
	adverb
	negation
	quantifier
	functionClasses
)

var functionWords = [functionClasses]string{
	personalPronoun: `i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
		she her hers herself they them their theirs themselves i'm i've i'd i'll we're we've we'd we'll you're you've you'd you'll
		he's he'd he'll she's she'd she'll they're they've they'd they'll let's`,
	impersonalPronoun: `it its itself this that these those who whom whose which what whatever whoever something anything nothing
		everything someone anyone everyone somebody anybody nobody everybody none other others another it's it'd it'll that's that'd
		that'll who's who'd who'll what's what're there's`,
	article: `a an the`,
	conjunction: `and but or nor so because 'cause cause although though while whereas if unless until till when whenever since as
		whether once than how`,
	preposition: `about above across after against along among around at before behind below beneath beside besides between beyond by
		despite down during except for from in inside into like near of off on onto out outside over past per through throughout to
		toward towards under underneath until till up upon via with within without than as since`,
	auxiliaryVerb: `am is are was were be been being have has had having do does did will would shall should can could may might must
		ought i'm i've i'd i'll we're we've we'd we'll you're you've you'd you'll he's he'd he'll she's she'd she'll they're they've
		they'd they'll it's it'd it'll that's that'd that'll who's who'd who'll what's what're there's there'd there'll here's where's
		how's gonna gotta isn't aren't wasn't weren't ain't haven't hasn't hadn't don't doesn't didn't won't wouldn't shan't shouldn't
		can't couldn't mightn't mustn't needn't cannot`,
	adverb: `very really just too also even still already again always often sometimes usually maybe perhaps probably actually here
		there then now quite rather almost only ever soon well back away yet else instead especially basically mostly completely totally
		absolutely definitely anyway pretty so why where there's here's`,
	negation: `no not never none nothing nobody neither nor nowhere without cannot isn't aren't wasn't weren't ain't haven't hasn't
		hadn't don't doesn't didn't won't wouldn't shan't shouldn't can't couldn't mightn't mustn't needn't`,
	quantifier: `all any both each either enough every few fewer less little lot lots many more most much none several some bit couple
		half another plenty whole nothing everything anything something`,
}

// mark is a use that a word is often put to.
type mark uint16

const (
	// hearerSignal: only signals "I am listening" (Yngve 1970). "Uh" "huh" and "i" "see" are signals that come in twos.
	hearerSignal mark = 1 << iota
	// filledPause: a filled pause. "You know", "like" and "I mean" are not among them: most often they mean what they say.
	filledPause
	// leadIn: comes before what a sentence says.
	leadIn
	// recounting: what follows within two words is somebody's view that is told or asked for, not given.
	recounting
	// quoting: what follows within four words is what somebody said.
	quoting
	// denying: what follows within four words does not hold.
	denying
	// handingOver: after "why don't you" it asks the other to go on.
	handingOver
	// addressing: speaks of the other.
	addressing
	// pressing: at the beginning of a sentence it speaks for the speaker, or pushes.
	pressing
)

var markedWords = map[mark]string{
	hearerSignal: `mm mmm mhm mmhm mm-hm mm-hmm mmm-hmm mhmm hm hmm uh-huh uh huh um-hum um-hmm ah oh aha yeah yes yep yup ya right ok okay sure
		exactly absolutely totally true wow great good nice cool gotcha i see really indeed interesting`,
	filledPause: `um umm uhm uh uhh er erm`,
	leadIn: `so and but well now then because or also just like actually alright all right okay ok yeah yes yep um umm uhm uh er erm mm
		mm-hmm uh-huh hm hmm mhm oh ah sure great good no`,
	recounting:  `what that like whether if when feel feels felt know knew thought things everything anything sounds`,
	quoting:     `said say says saying told tell tells asked heard`,
	denying:     `not never don't doesn't didn't isn't aren't wasn't won't wouldn't shouldn't can't couldn't cannot ain't`,
	handingOver: `tell start fill describe begin share`,
	addressing:  `you you're you've you'd you'll your yours yourself`,
	pressing: `should must need have gotta gonna can could might may will i i'm i'd i'll we let's if because try think know what how why
		where who when which what's how's do does did are is was were would has had don't doesn't didn't aren't isn't wasn't`,
}

// kind is what a phrase does.
type kind uint8

const (
	mirroring kind = iota // opens a reflection
	advising
	permitting // asks whether advice is welcome, or asks for advice
)

// phrasesOf are in lower case; "a/b" stands for either word.
var phrasesOf = [...][]string{
	mirroring: {
		"it/that/this sounds", "it/that/this seems/feels", "it/that looks like", "sounds/seems/feels/looks like", "i hear you/that", "i'm hearing",
		"what i'm hearing", "what i hear", "what you're saying", "if i understand", "on one hand", "on the one hand", "part of you", "a part of you",
		"there's part of you", "there's a part of you",
	},
	advising: {
		"you should/must/gotta", "you need/have/ought to", "you've got to", "you might/may want to", "you could try", "you'd/you better", "you had better",
		"i want you to", "i'd like you to", "have you tried", "i'd/i/we suggest/recommend/advise", "i/we would suggest/recommend/advise",
		"my/our advice/suggestion/recommendation", "why don't you", "if i were you", "what i'd do", "what i would do", "what you can/could do is",
	},
	permitting: {
		"is it okay/ok if", "would it be okay/ok/alright if", "is/be it all right if", "it be all right if", "can/could/may i share/suggest/offer/give/add",
		"can/could/may i make a suggestion", "do/would you mind if", "would you be interested in", "would you be open to", "are you open to",
		"would you like some/to/me", "do you want me to", "what should/do i", "what would you do", "what do you think i", "what do you suggest/recommend",
		"what would you suggest/recommend", "any advice/suggestions/ideas/tips", "do you have any tips", "how do/should i", "should i",
	},
}

// word is what the lexicon knows of a word. Words that it does not know have an id, and nothing else.
type word struct {
	id      int32 // equal for equal words, regardless of case
	classes uint16
	marks   mark
}

func (w word) is(m mark) bool { return w.marks&m != 0 }

func (w word) in(c class) bool { return w.classes&(1<<c) != 0 }

func (w word) isFunction() bool { return w.classes != 0 }

// isContent: neither grammar nor a signal.
func (w word) isContent() bool { return w.classes == 0 && !w.is(hearerSignal|filledPause) }

type phrase struct {
	kind  kind
	words []int32
}

// opens tells whether the words begin with the phrase.
func (p phrase) opens(words []word) bool {
	if len(words) < len(p.words) {
		return false
	}
	for i, id := range p.words {
		if words[i].id != id {
			return false
		}
	}
	return true
}

type lexicon struct {
	words   map[string]word
	phrases [][]phrase // by the id of their first word
}

// english is what is known of English.
var english = newLexicon()

func newLexicon() *lexicon {
	l := &lexicon{words: map[string]word{}}
	for c, list := range functionWords {
		l.each(list, func(w *word) { w.classes |= 1 << c })
	}
	for m, list := range markedWords {
		l.each(list, func(w *word) { w.marks |= m })
	}
	for k, list := range phrasesOf {
		for _, text := range list {
			l.add(kind(k), nil, strings.Fields(text))
		}
	}
	return l
}

func (l *lexicon) each(list string, note func(*word)) {
	for _, text := range strings.Fields(list) {
		w := l.word(text)
		note(&w)
		l.words[text] = w
	}
}

// word finds a word, or makes room for it.
func (l *lexicon) word(text string) word {
	w, ok := l.words[text]
	if !ok {
		w.id = int32(len(l.words))
		l.words[text] = w
		l.phrases = append(l.phrases, nil)
	}
	return w
}

// add adds the phrases that begin with the given words and go on with any of the alternatives, place by place.
func (l *lexicon) add(k kind, begin []int32, rest []string) {
	if len(rest) == 0 {
		l.phrases[begin[0]] = append(l.phrases[begin[0]], phrase{k, begin})
		return
	}
	for text := range strings.SplitSeq(rest[0], "/") {
		l.add(k, append(begin[:len(begin):len(begin)], l.word(text).id), rest[1:])
	}
}

// opening are the phrases that may begin with a word.
func (l *lexicon) opening(w word) []phrase {
	if int(w.id) < len(l.phrases) {
		return l.phrases[w.id]
	}
	return nil
}
