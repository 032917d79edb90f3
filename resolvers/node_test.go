package resolvers

import (
	"os"
	"regexp"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// prefixes are the ids' prefixes of the types that implement Node. A prefix is part of ids that people have stored: it is
// never changed, and never given to another type.
var prefixes = map[string]string{
	"Organization": "org", "User": "user", "Membership": "member",
	"AuditEvent": "audit", "DeadLetter": "deadletter", "Invitation": "invitation", "Client": "client", "Engagement": "engagement",
	"Session": "session", "Participant": "participant", "Transcript": "transcript", "Speaker": "speaker",
	"Utterance": "utterance", "SessionMetrics": "metrics", "Insight": "insight", "Citation": "citation", "Goal": "goal", "CheckIn": "checkin", "ActionItem": "action",
	"Theme": "theme", "Note": "note", "NoteVersion": "noteversion", "Notification": "notification", "AgendaTopic": "topic", "SavedFilter": "filter", "SavedSearch": "savedsearch", "AskThread": "thread", "AskMessage": "message",
	"AnalysisRun": "analysis", "Tag": "tag", "Consent": "consent", "DataRequest": "request", "TranscriptEdit": "edit", "LiveSession": "live", "LiveNudge": "nudge", "LiveUtterance": "liveutterance", "UtteranceRevision": "revision",
}

func TestEveryNodeIsLoaded(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for prefix := range nodes {
		left[prefix] = true
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(prefix) {
			t.Errorf("%q is no prefix of a TypeID", prefix)
		}
	}
	for _, d := range schema.PossibleTypes["Node"] {
		prefix, known := prefixes[d.Name]
		if !known {
			t.Errorf("%s implements Node and has no prefix here", d.Name)
			continue
		}
		if !left[prefix] {
			t.Errorf("node(id: %q) cannot load %s: nodes has no %q, or another type has it too", prefix+"_…", d.Name, prefix)
		}
		delete(left, prefix)
	}
	for prefix := range left {
		t.Errorf("nodes loads %q, which is the prefix of no type that implements Node", prefix)
	}
}
