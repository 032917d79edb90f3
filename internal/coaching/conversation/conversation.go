// Package conversation measures a conversation: pure functions over utterances. What cannot be computed is nil, never 0.
package conversation

// Role is what a speaker is in the conversation.
type Role string

// The roles of a speaker.
const (
	RoleUnknown Role = "UNKNOWN"
	RoleCoach   Role = "COACH"
	RoleClient  Role = "CLIENT"
	RoleOther   Role = "OTHER"
)

// Speaker is a voice in the conversation.
type Speaker struct {
	Name string
	Role Role
}

func (s Speaker) known() bool {
	return s.Role == RoleCoach || s.Role == RoleClient || s.Role == RoleOther
}

// Utterance is one speaker's uninterrupted stretch of speech.
type Utterance struct {
	Speaker int    // index into the speakers
	StartMs *int64 // offset from the start of the recording, milliseconds
	EndMs   *int64
	Text    string
}

// Talk is a conversation to be measured.
type Talk struct {
	Speakers []Speaker

	// Utterances may be in any order if they have times. One whose Speaker is not an index into the speakers is nobody's:
	// it counts as speech and as data quality, and to no speaker.
	Utterances []Utterance

	Language  string // BCP 47; "" if nobody said, and then the words tell
	SessionMs *int64 // the length of the recording or the session in milliseconds, nil if unknown

	// Reflects tells whether an utterance, by its index, gives back what the other has said, and whether anybody has judged
	// that. Nil if nobody has judged any, and then the wording is looked at.
	Reflects func(utterance int) (reflects, judged bool)
}
