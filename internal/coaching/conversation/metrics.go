package conversation

// DefinitionVersion numbers the definitions below. Stored metrics carry it; any change that can change a value raises it.
const DefinitionVersion = 1

// Basis is what shares of speech are measured in.
type Basis string

// The bases.
const (
	BasisTime  Basis = "TIME"  // milliseconds of speech
	BasisWords Basis = "WORDS" // words, because too few utterances say when they end
)

// Metrics describes how a conversation was shared between those in it.
//
// A nil field could not be computed from what the transcript holds; 0 always means a measured zero. Shares are 0 to 1,
// times are milliseconds. The definitions follow conversation analysis (Sacks, Schegloff and Jefferson 1974: turns;
// Yngve 1970: back-channels) and are this project's own where the literature leaves a threshold open.
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

	// PatienceMs is how long a coach lets silence stand after a client: max(0, coach's start − client's end) over
	// neighbouring turns, back-channels not counted as turns. Nil unless Quality.PausesAvailable.
	PatienceMs *Quantiles `json:"patienceMs"`

	// ResponseLatencyMs is the same from coach to client: how long a client thinks before answering.
	ResponseLatencyMs *Quantiles `json:"responseLatencyMs"`

	Speakers []SpeakerMetrics `json:"speakers"` // one for each given speaker, in their order
	Coach    *RoleMetrics     `json:"coach"`    // all speakers who coach, taken together; nil if nobody is known to
	Client   *RoleMetrics     `json:"client"`   // all speakers who are clients; nil if nobody is known to be
	Quality  DataQuality      `json:"quality"`
}

// Quantiles sums up a set of durations, in milliseconds, by nearest rank: each is a duration that did occur.
type Quantiles struct {
	Count  int   `json:"count"` // how many durations; read a P90 of few with care
	Median int64 `json:"median"`
	P90    int64 `json:"p90"`
}

// SpeakerMetrics measures one speaker. A word is a run of letters, digits and inner apostrophes or hyphens.
type SpeakerMetrics struct {
	Speaker int  `json:"speaker"` // index into the speakers that were measured
	Role    Role `json:"role"`

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

	QuestionCount int `json:"questionCount"` // sentences that IsQuestion finds

	// QuestionRate is the share of turns with at least one question.
	QuestionRate *float64 `json:"questionRate"`
}

// RoleMetrics measures everybody in a role together: sums over the speakers, means over their turns. Its fields are
// defined as in SpeakerMetrics.
type RoleMetrics struct {
	SpeakerCount       int      `json:"speakerCount"`
	TalkMs             *int64   `json:"talkMs"`
	TalkShareOfSpeech  *float64 `json:"talkShareOfSpeech"`
	TalkShareOfSession *float64 `json:"talkShareOfSession"`
	TurnCount          int      `json:"turnCount"`
	WordCount          int      `json:"wordCount"`
	MeanTurnWords      *float64 `json:"meanTurnWords"`
	WordsPerMinute     *float64 `json:"wordsPerMinute"`
	LongestMonologueMs *int64   `json:"longestMonologueMs"`
	QuestionCount      int      `json:"questionCount"`
	QuestionRate       *float64 `json:"questionRate"`
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
}
