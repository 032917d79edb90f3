package transcript

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// voice is a speaker as the measures see one.
type voice struct {
	id      SpeakerID
	ordinal int
	conversation.Speaker
	confidence *float64 // nil: a person has set the role
	remembered conversation.Role
	proposed   *conversation.Role // by a model
	proposal   *float64           // how sure it is, always less than sure
}

// set tells whether the role is a person's word.
func (v voice) set() bool { return v.confidence == nil }

// sure tells whether the role counts without being asked about.
func (v voice) sure() bool { return v.set() || *v.confidence >= conversation.SureRole }

// voices are the speakers of a transcript who have not been merged, in their order.
func voices(ctx context.Context, db page.Querier, ref session.Ref, key ID) ([]voice, error) {
	rows, err := db.Query(ctx, `
		SELECT sp.id, sp.ordinal, sp.display_name, sp.role, sp.role_confidence, coalesce(m.role, 'UNKNOWN'), sp.proposed_role, sp.proposed_confidence
		FROM speakers sp LEFT JOIN remembered_speakers m ON `+remembers("m", "sp", "$3", "$4")+` AND m.display_name = sp.display_name
		WHERE sp.org_id = $1 AND sp.transcript_id = $2 AND sp.merged_into IS NULL ORDER BY sp.ordinal`, ref.Org, key, ref.ClientID, ref.CoachID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v voice, err error) {
		return v, row.Scan(&v.id, &v.ordinal, &v.Name, &v.Role, &v.confidence, &v.remembered, &v.proposed, &v.proposal)
	})
}

// spoken is what the voices say now, in order, with the id and the cues of each utterance.
func spoken(ctx context.Context, db page.Querier, organization id.UUID, key ID, by []voice) (said []conversation.Utterance, ids []UtteranceID, cues [][]format.Cue, err error) {
	rows, err := db.Query(ctx, `
		SELECT u.id, u.speaker_id, u.start_ms, u.end_ms, `+currentWords+`
		FROM utterances u`+joinRevision+`
		WHERE u.org_id = $1 AND u.transcript_id = $2 ORDER BY u.index`, organization, key)
	if err != nil {
		return nil, nil, nil, err
	}
	places := make(map[SpeakerID]int, len(by))
	for i, v := range by {
		places[v.id] = i
	}
	var utterance UtteranceID
	var speaker SpeakerID
	var timed []format.Cue
	var u conversation.Utterance
	_, err = pgx.ForEachRow(rows, []any{&utterance, &speaker, &u.StartMs, &u.EndMs, &u.Text, &timed}, func() error {
		u.Speaker = places[speaker]
		said, ids, cues = append(said, u), append(ids, utterance), append(cues, timed)
		u, timed = conversation.Utterance{}, nil
		return nil
	})
	return said, ids, cues, err
}

// suggestRoles gives every speaker whose role no person has set the role that seems likeliest now. It is for the caller's
// transaction, after a change of who speaks or of what is known about them: setting one of two roles tells the other, and
// so does merging the third of three speakers away.
func suggestRoles(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID) error {
	all, err := voices(ctx, tx, ref, key)
	if err != nil {
		return fmt.Errorf("speakers: %w", err)
	}
	speakers, remembered := make([]conversation.Speaker, len(all)), make([]conversation.Role, len(all))
	open := false
	for i, v := range all {
		speakers[i], remembered[i] = v.Speaker, v.remembered
		if !v.set() {
			speakers[i].Role, open = conversation.RoleUnknown, true
		}
	}
	if !open {
		return nil
	}
	said, _, _, err := spoken(ctx, tx, ref.Org, key, all)
	if err != nil {
		return fmt.Errorf("utterances: %w", err)
	}
	expected, err := people(ctx, tx, ref)
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	var ids []SpeakerID
	var roles, reasons []string
	var confidences []float64
	for _, r := range conversation.SuggestRoles(speakers, said, expected, remembered) {
		if v := all[r.Speaker]; !v.set() {
			if v.proposed != nil && r.Confidence < conversation.SureRole {
				r.Role, r.Confidence, r.Reason = *v.proposed, *v.proposal, "A language model takes it so from what is said."
			}
			ids, roles = append(ids, v.id), append(roles, string(r.Role))
			confidences, reasons = append(confidences, r.Confidence), append(reasons, r.Reason)
		}
	}
	_, err = tx.Exec(ctx, `
		UPDATE speakers sp SET role = n.role, role_confidence = n.confidence, role_reason = n.reason
		FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::text[]) AS n (id, role, confidence, reason)
		WHERE sp.org_id = $1 AND sp.id = n.id`, ref.Org, ids, roles, confidences, reasons)
	return err
}

// ProposeRoles notes what a model takes speakers for, and tells whether that is new. It counts where nothing else makes anybody sure, and is
// itself less than sure however confident the model is, so that where people are asked they are asked all the same. The transcript is held.
func (s *Service) ProposeRoles(ctx context.Context, tx pgx.Tx, c *Content, proposed []conversation.RoleSuggestion) (bool, error) {
	n := len(proposed)
	ids, roles, confidences := make([]SpeakerID, n), make([]string, n), make([]float64, n)
	for i, r := range proposed {
		ids[i], roles[i], confidences[i] = c.SpeakerIDs[r.Speaker], string(r.Role), min(r.Confidence, conversation.SureRole-0.01)
	}
	tag, err := tx.Exec(ctx, `
		UPDATE speakers sp SET proposed_role = n.role, proposed_confidence = n.confidence
		FROM unnest($3::uuid[], $4::text[], $5::float8[]) AS n (id, role, confidence)
		WHERE sp.org_id = $1 AND sp.transcript_id = $2 AND sp.id = n.id
			AND (sp.proposed_role, sp.proposed_confidence) IS DISTINCT FROM (n.role, n.confidence)`, c.Session.Org, c.ID, ids, roles, confidences)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, suggestRoles(ctx, tx, c.Session, c.ID)
}

// ForgetRoles removes what a model takes speakers for. The transcript is held.
func (s *Service) ForgetRoles(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID) error {
	tag, err := tx.Exec(ctx, `
		UPDATE speakers SET proposed_role = NULL, proposed_confidence = NULL
		WHERE org_id = $1 AND transcript_id = $2 AND proposed_role IS NOT NULL`, ref.Org, key)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return suggestRoles(ctx, tx, ref, key)
}

// people are those whom the calendar expects in a session.
func people(ctx context.Context, tx pgx.Tx, ref session.Ref) (p conversation.People, err error) {
	var client string
	err = tx.QueryRow(ctx, `
		SELECT u.name, c.name,
			ARRAY(SELECT name FROM participants WHERE org_id = $1 AND session_id = $2 AND role = 'CLIENT' ORDER BY id),
			ARRAY(SELECT name FROM participants WHERE org_id = $1 AND session_id = $2 AND role IN ('OBSERVER', 'OTHER') ORDER BY id)
		FROM clients c, users u WHERE c.org_id = $1 AND c.id = $3 AND u.id = $4`, ref.Org, ref.ID, ref.ClientID, ref.CoachID).
		Scan(&p.Coach, &client, &p.Clients, &p.Others)
	p.Clients = append(p.Clients, client)
	return p, err
}

// Names are all that is known of how those who take part in a session are called.
func (s *Service) Names(ctx context.Context, db page.Querier, ref session.Ref) ([]string, error) {
	rows, err := db.Query(ctx, `
		SELECT name FROM users WHERE id = $4
		UNION ALL SELECT name FROM clients WHERE org_id = $1 AND id = $3
		UNION ALL SELECT u.name FROM clients c JOIN users u ON u.id = c.user_id WHERE c.org_id = $1 AND c.id = $3
		UNION ALL (SELECT name FROM participants WHERE org_id = $1 AND session_id = $2 ORDER BY id)`, ref.Org, ref.ID, ref.ClientID, ref.CoachID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Question asks the coach who is who, while results that depend on it wait.
type Question struct {
	Message  string
	Speakers []*Suggestion
}

// Suggestion is the role that a speaker seems to have.
type Suggestion struct {
	SpeakerID     SpeakerID
	SuggestedRole conversation.Role
	Confidence    *float64 // nil if a person has set the role
	Reason        *string
}

// Question is nil unless the transcript waits for its speakers' roles. speakers are all of the transcript's.
func (t *Transcript) Question(speakers []*Speaker) *Question {
	if t.Status != NeedsSpeakers {
		return nil
	}
	q := &Question{Message: "Who is the coach here, and who the client? Please confirm or correct the roles. What does not depend on them is ready; the rest follows."}
	for _, sp := range speakers {
		q.Speakers = append(q.Speakers, &Suggestion{SpeakerID: sp.ID, SuggestedRole: sp.Role, Confidence: sp.RoleConfidence, Reason: sp.RoleReason})
	}
	return q
}
