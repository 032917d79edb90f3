package app_test

// mutations: what each changes, the input for it, and which relations to that row may do it. Who sees the row through
// another relation is FORBIDDEN; who does not see it gets NOT_FOUND. createClient changes nothing that exists.
var mutations = map[string]struct {
	target, input string
	may           []relation
}{
	"createClient":      {"", ``, nil},
	"updateClient":      {"Client", `id: $id, name: "Overwritten"`, []relation{coach, admin}},
	"archiveClient":     {"Client", `id: $id`, []relation{coach, admin}},
	"createEngagement":  {"Client", `clientId: $id, title: "Overwritten"`, []relation{coach, admin}},
	"updateEngagement":  {"Engagement", `id: $id, title: "Overwritten"`, []relation{coach, admin}},
	"archiveEngagement": {"Engagement", `id: $id`, []relation{coach, admin}},
	"createSession":     {"Engagement", `engagementId: $id, startsAt: "2026-05-05T10:00:00Z"`, []relation{coach, admin}},
	"updateSession":     {"Session", `id: $id, title: "Overwritten"`, []relation{coach, admin}},
	"archiveSession":    {"Session", `id: $id`, []relation{coach, admin}},
	"importTranscript":  {"Session", `sessionId: $id, content: "A: Overwritten.\nB: Yes.\n"`, []relation{coach}},
	"updateTranscript":  {"Transcript", `id: $id, title: "Overwritten", sharedWithClient: true`, []relation{coach}},
	"archiveTranscript": {"Transcript", `id: $id`, []relation{coach}},
	"renameSpeaker":     {"Speaker", `speakerId: $id, displayName: "Overwritten"`, []relation{coach}},
	"setSpeakerRole":    {"Speaker", `speakerId: $id, role: OTHER`, []relation{coach}},
	"reviewInsight":     {"Insight", `insightId: $id, decision: EDIT, title: "Overwritten"`, []relation{coach}},
	"tag":               {"Client Session Insight", `entityId: $id, name: "Overwritten"`, []relation{coach}},
	"untag":             {"Client Session Insight", `entityId: $id, name: "boundaries"`, []relation{coach}},
}
