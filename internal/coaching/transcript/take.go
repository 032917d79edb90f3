package transcript

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Take makes a transcript of what was written down while the session went on, in the caller's transaction and v's name; for the domains above.
// It is what the import of the same document as a file of our own would make, which is also what it has as its original. known are the roles
// that a person has given speakers, by their labels.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, v auth.Viewer, ref session.Ref, doc *format.Document, known map[string]conversation.Role, shared bool) (key ID, err error) {
	defer fault.Wrap(&err, "transcript.Take(%s)", ref.ID)
	var content bytes.Buffer
	if err := format.Export(&content, doc, format.JSON); err != nil {
		return key, err
	}
	if doc, err = format.Parse(content.Bytes(), format.Options{}); err != nil {
		return key, err
	}
	key, there, err := s.store(ctx, tx, v, ref, content.Bytes(), "", doc)
	if err == nil && there { // said again as it was: nobody can be asked whether one that is put away was meant
		err = s.archive(ctx, tx, v, ref, key, false)
	}
	if err != nil {
		return key, err
	}
	if _, err := tx.Exec(ctx, `UPDATE transcripts SET shared_with_client = $3 WHERE org_id = $1 AND id = $2`, ref.Org, key, shared); err != nil || len(known) == 0 {
		return key, err
	}
	labels := slices.Sorted(maps.Keys(known))
	roles := make([]string, len(labels))
	for i, label := range labels {
		roles[i] = string(known[label])
	}
	if _, err := tx.Exec(ctx, `
		UPDATE speakers sp SET role = n.role, role_confidence = NULL, role_reason = NULL
		FROM unnest($3::text[], $4::text[]) AS n (label, role)
		WHERE sp.org_id = $1 AND sp.transcript_id = $2 AND sp.label = n.label`, ref.Org, key, labels, roles); err != nil {
		return key, fmt.Errorf("roles: %w", err)
	}
	return key, suggestRoles(ctx, tx, ref, key)
}

// Recognise returns the role of each speaker whose name says it, or is remembered, surely enough to count without being asked about; for the
// domains above, which have no transcript yet. The others are UNKNOWN.
func (s *Service) Recognise(ctx context.Context, tx pgx.Tx, ref session.Ref, speakers []conversation.Speaker) ([]conversation.Role, error) {
	labels := make([]string, len(speakers))
	for i, sp := range speakers {
		labels[i] = sp.Name
	}
	expected, err := people(ctx, tx, ref)
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	rows, err := tx.Query(ctx, `
		SELECT coalesce(m.display_name, sp.label), coalesce(m.role, 'UNKNOWN') FROM unnest($4::text[]) WITH ORDINALITY AS sp (label, place)
		LEFT JOIN remembered_speakers m ON `+remembers("m", "sp", "$2", "$3")+` ORDER BY sp.place`, ref.Org, ref.ClientID, ref.CoachID, labels)
	if err != nil {
		return nil, err
	}
	called := slices.Clone(speakers)
	remembered := make([]conversation.Role, 0, len(speakers))
	var name string
	var role conversation.Role
	if _, err := pgx.ForEachRow(rows, []any{&name, &role}, func() error {
		called[len(remembered)].Name = name
		remembered = append(remembered, role)
		return nil
	}); err != nil {
		return nil, err
	}
	roles := make([]conversation.Role, len(speakers))
	for i, r := range conversation.SuggestRoles(called, nil, expected, remembered) {
		if roles[i] = conversation.RoleUnknown; r.Confidence >= conversation.SureRole {
			roles[i] = r.Role
		}
	}
	return roles, nil
}
