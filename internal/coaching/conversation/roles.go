package conversation

// RoleSuggestion proposes a role for a speaker, for a person to confirm.
type RoleSuggestion struct {
	Speaker    int     `json:"speaker"` // index into the speakers
	Role       Role    `json:"role"`    // UNKNOWN if nothing speaks clearly enough for another
	Confidence float64 `json:"confidence"`
	Reason     string  `json:"reason"` // one plain sentence
}

// SuggestRoles proposes a role for each speaker, in their order.
func SuggestRoles(speakers []Speaker, utterances []Utterance, coachName string) []RoleSuggestion {
	out := make([]RoleSuggestion, len(speakers))
	for i := range speakers {
		out[i] = RoleSuggestion{Speaker: i, Role: RoleUnknown, Reason: "Nothing tells this speaker's role."}
	}
	return out
}
