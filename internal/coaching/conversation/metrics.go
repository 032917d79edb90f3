package conversation

// DefinitionVersion numbers the definitions below. Stored metrics carry it; any change that can change a value raises it.
// What version 1 did not define yet is nil, empty or false in metrics of version 1.
const DefinitionVersion = 2

// Basis is what shares of speech are measured in.
type Basis string

// The bases.
const (
	BasisTime  Basis = "TIME"  // milliseconds of speech
	BasisWords Basis = "WORDS" // words, because too few utterances say when they end
)

// Evidence is what an estimate rests on. Estimates on different evidence do not compare.
type Evidence string

// The kinds of evidence.
const (
	EvidenceWording Evidence = "WORDING" // phrases that usually mean it
	EvidenceCodes   Evidence = "CODES"   // a judgement of each utterance
)

// Metrics describes how a conversation was shared between those in it. docs/metrics.md says where the definitions come
// from and what they do not mean.
//
// A nil field could not be computed from what the transcript holds; 0 always means a measured zero. Shares are 0 to 1,
// times are milliseconds. What is read from the wording is for English only (see DataQuality.WordingAvailable).
type Metrics struct {
	DefinitionVersion int   `json:"definitionVersion"`
	Basis             Basis `json:"basis"`

	// DurationMs is the session's length: the given one, or the end of the last utterance where that is later; without
	// a given one the span from the first start to the last end. Silence and shares of the session are relative to it.
	DurationMs *int64 `json:"durationMs"`

	// SilenceShare is 1 − (union of all speech) ÷ DurationMs. Nil unless Quality.PausesAvailable.
	SilenceShare *float64 `json:"silenceShare"`

	// InteractivityPerMin is the number of turns that another speaker's turn follows, per minute of DurationMs.
	InteractivityPerMin *float64 `json:"interactivityPerMin"`

	// ReflectionEvidence is what the reflections of all voices are counted by. Nil if they are not.
	ReflectionEvidence *Evidence `json:"reflectionEvidence"`

	Dyad // between coach and client

	Speakers []SpeakerMetrics `json:"speakers"` // one for each given speaker, in their order
	Coach    *RoleMetrics     `json:"coach"`    // all speakers who coach, taken together; nil if nobody is known to
	Client   *RoleMetrics     `json:"client"`   // all speakers who are clients; nil if nobody is known to be

	// Timeline cuts DurationMs into parts of equal length, in order: 20 of them, or as many as there are whole minutes if
	// that is less, so that sessions of different lengths compare from their opening to their close and no part is so
	// short that its shares mean nothing. Empty with basis WORDS.
	Timeline []TimelineBucket `json:"timeline"`

	Quality DataQuality `json:"quality"`
}

// Dyad measures what happens between coach and client: all speakers of a role are taken together. Neighbouring turns are
// turns with nothing but back-channels between them.
type Dyad struct {
	// PatienceMs is how long a coach lets silence stand after a client: max(0, coach's start − client's end) over
	// neighbouring turns. Nil unless Quality.PausesAvailable.
	PatienceMs *Quantiles `json:"patienceMs"`

	// ResponseLatencyMs is the same from coach to client: how long a client thinks before answering.
	ResponseLatencyMs *Quantiles `json:"responseLatencyMs"`

	// ThinkingPauses are the silences of at least 3 s after a coach's turn that ends in a question. Nil unless
	// Quality.PausesAvailable and Quality.WordingAvailable.
	ThinkingPauses *ThinkingPauses `json:"thinkingPauses"`

	// CoachInterruptions and ClientInterruptions count how often one interrupts the other; see VoiceMetrics.Interruptions.
	CoachInterruptions  *int `json:"coachInterruptions"`
	ClientInterruptions *int `json:"clientInterruptions"`

	// LanguageStyleMatch is the mean over nine classes of function words of 1 − |a − b| ÷ (a + b + 0.0001), where a and b
	// are the percentages of the coach's and the client's words that belong to the class (Ireland and Pennebaker 2010).
	// Nil if either says fewer than 100 words within turns.
	LanguageStyleMatch *float64 `json:"languageStyleMatch"`

	// CoachEcho is the share of content words in the coach's turns that the client's turn right before has, too; only
	// turns right after a client's count. ClientEcho is the other way round. Nil below 50 content words.
	CoachEcho  *float64 `json:"coachEcho"`
	ClientEcho *float64 `json:"clientEcho"`

	// TurnEntropy is −Σ p log₂ p over the shares p of the coach and of the client in the turns of both, in bits: 1 if both
	// take as many turns, 0 if only one takes any. Nil without turns.
	TurnEntropy *float64 `json:"turnEntropy"`
}

// Quantiles sums up a set of durations, in milliseconds, by nearest rank: each is a duration that did occur.
type Quantiles struct {
	Count  int   `json:"count"` // how many durations; read a P90 of few with care
	Median int64 `json:"median"`
	P90    int64 `json:"p90"`
}

// ThinkingPauses counts silences that coach or client ended. What nobody known ended is not counted.
type ThinkingPauses struct {
	Count int `json:"count"`

	// UnbrokenShare is the share that the client ended, and not the coach. Nil without any.
	UnbrokenShare *float64 `json:"unbrokenShare"`
}

// SpeakerMetrics measures one speaker.
type SpeakerMetrics struct {
	Speaker int  `json:"speaker"` // index into the speakers that were measured
	Role    Role `json:"role"`
	VoiceMetrics
}

// RoleMetrics measures everybody in a role together: sums over the speakers, means over their turns.
type RoleMetrics struct {
	SpeakerCount int `json:"speakerCount"`
	VoiceMetrics
}

// VoiceMetrics measures how one speaker, or one role, speaks. A word is a run of letters, digits and inner apostrophes or
// hyphens.
type VoiceMetrics struct {
	// TalkMs is the time during which the speaker speaks (union of the utterances). Nil with basis WORDS.
	TalkMs *int64 `json:"talkMs"`

	// TalkShareOfSpeech is TalkMs ÷ Σ TalkMs of everybody; with basis WORDS the same of words. Nil if nobody speaks.
	TalkShareOfSpeech *float64 `json:"talkShareOfSpeech"`

	// TalkShareOfSession is TalkMs ÷ DurationMs. Shares of the session add up to more than 1 − silence when people overlap.
	TalkShareOfSession *float64 `json:"talkShareOfSession"`

	// TurnCount is the number of turns. A turn is a maximal run of one speaker with gaps of at most 2 s, over which the
	// others' back-channels (at most 3 words such as "mm-hmm", "yeah, right") are bridged; a bridged one is no turn.
	TurnCount int `json:"turnCount"`

	WordCount int `json:"wordCount"` // all words, those of back-channels too

	// MeanTurnWords is the words within turns ÷ TurnCount.
	MeanTurnWords *float64 `json:"meanTurnWords"`

	// WordsPerMinute is the words of timed utterances ÷ minutes of TalkMs. Nil with basis WORDS.
	WordsPerMinute *float64 `json:"wordsPerMinute"`

	// LongestMonologueMs is the longest turn, from its first start to its last end. Nil with basis WORDS.
	LongestMonologueMs *int64 `json:"longestMonologueMs"`

	// FillerRate is the filled pauses ("um", "uh", "er") per 100 words within turns. Nil unless Quality.FillersAvailable.
	FillerRate *float64 `json:"fillerRate"`

	// BackchannelRate is the back-channels per 100 words that everybody else says within turns. Nil if the others say
	// nothing.
	BackchannelRate *float64 `json:"backchannelRate"`

	// Interruptions is how often the speaker starts at least 300 ms before another ends who says at least 5 words, and
	// goes on for at least 1 s with more than a back-channel. Whoever takes the floor back from an interrupter does not
	// interrupt. Nil unless Quality.OverlapsAvailable.
	Interruptions *int `json:"interruptions"`

	QuestionCount *int `json:"questionCount"` // sentences within turns that IsQuestion finds

	// QuestionRate is the share of turns with at least one question.
	QuestionRate *float64 `json:"questionRate"`

	// OpenQuestionShare is the share of questions that IsOpenQuestion takes for open: an estimate. Nil without questions.
	OpenQuestionShare *float64 `json:"openQuestionShare"`

	// StackedQuestions is the number of turns with at least two questions.
	StackedQuestions *int `json:"stackedQuestions"`

	// Advice counts the phrases of advice, by whether permission came first.
	Advice *AdviceMarkers `json:"advice"`

	// ReflectionCount is the number of turns that give back what the other has just said: an estimate, from codes if there
	// are any, else from phrases in turns right after another's. ReflectionRate is their share of the turns that are judged.
	// Nil without such turns.
	ReflectionCount *int     `json:"reflectionCount"`
	ReflectionRate  *float64 `json:"reflectionRate"`
}

// AdviceMarkers counts phrases such as "you should", "have you tried", "I'd suggest", "why don't you". Permission is what
// asks for it ("may I suggest", "would it be okay if") or asks for advice ("what would you do"), by anybody, earlier in the
// same turn or in one of the two turns before.
type AdviceMarkers struct {
	WithPermission    int `json:"withPermission"`
	WithoutPermission int `json:"withoutPermission"`
}

// TimelineBucket measures a part of the session.
type TimelineBucket struct {
	StartMs int64 `json:"startMs"` // offset from the start of the recording; the part's first millisecond
	EndMs   int64 `json:"endMs"`   // where the next part begins

	// SilenceShare is defined as Metrics.SilenceShare is.
	SilenceShare *float64 `json:"silenceShare"`

	Coach  *BucketVoice `json:"coach"` // nil if nobody is known to have the role
	Client *BucketVoice `json:"client"`
}

// BucketVoice measures a role during a part of the session. The words of an utterance are taken to be spoken evenly.
type BucketVoice struct {
	TalkMs            int64    `json:"talkMs"`
	TalkShareOfSpeech *float64 `json:"talkShareOfSpeech"` // of everybody's during the part; nil if nobody speaks
	WordsPerMinute    *float64 `json:"wordsPerMinute"`    // nil if the role does not speak
	QuestionCount     *int     `json:"questionCount"`     // the questions that end during the part
}

// DataQuality says how far the transcript carries the metrics. Utterances without a word are not counted.
type DataQuality struct {
	UtteranceCount int `json:"utteranceCount"`

	// ShareWithEndTimes is the share of utterances with a start and an end that is not before it. The basis is TIME
	// from 0.95 on. Nil without utterances.
	ShareWithEndTimes *float64 `json:"shareWithEndTimes"`

	// ShareWithKnownRole is the share of utterances whose speaker's role is known. Nil without utterances.
	ShareWithKnownRole *float64 `json:"shareWithKnownRole"`

	// OverlapsAvailable tells whether two speakers ever overlap by 300 ms or more. If never, the recorder most likely
	// forced speech into single file, and nothing can be said about interruptions.
	OverlapsAvailable bool `json:"overlapsAvailable"`

	// PausesAvailable tells whether there is any silence between two utterances. If there is none, the end times were
	// most likely filled in from the next start, and pauses, silence and latencies are unknown rather than 0.
	PausesAvailable bool `json:"pausesAvailable"`

	// WordingAvailable tells whether the wording can be read: the language is English or, where none is named, fewer than
	// 100 words are said within turns or at least 30 % of them are English function words. All that rests on wording is
	// nil otherwise: questions, advice, reflections, back-channels, fillers, style and echo.
	WordingAvailable bool `json:"wordingAvailable"`

	// FillersAvailable tells whether there is at least one filled pause in 1,000 words. People say several in 100
	// (Bortfeld et al. 2001): if there are fewer, the recorder left them out, and fluency is unknown.
	FillersAvailable bool `json:"fillersAvailable"`
}
