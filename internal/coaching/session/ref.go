package session

import (
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Ref names a session together with whom it concerns.
type Ref struct {
	Org      id.UUID
	ID       ID
	ClientID client.ID
	CoachID  org.UserID
}

// Ref names the session for events.
func (s *Session) Ref(organization id.UUID) Ref {
	return Ref{Org: organization, ID: s.ID, ClientID: s.ClientID, CoachID: s.CoachID}
}

// Topics are where an event about the session goes: to who listens to the session, to the client's sessions, or to all
// that the coach coaches.
func (r Ref) Topics() []string {
	return []string{SessionTopic(r.ID), ClientTopic(r.ClientID), CoachTopic(r.CoachID)}
}

// SessionTopic is where the events of one session go.
func SessionTopic(key ID) string { return key.String() }

// ClientTopic is where the events of all sessions with a client go.
func ClientTopic(key client.ID) string { return key.String() }

// CoachTopic is where the events of all sessions of a coach go.
func CoachTopic(key org.UserID) string { return key.String() }
