package transcript

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
)

// What a coach calls the speaker behind a label is remembered for the label's next appearance with the same client: a
// recorder that wrote "iPhone" for Ana writes it again. It is the coach's own, for one client may have two coaches.

// Normalised is a label or a name as it is compared: case, width and white space do not matter.
func Normalised(column string) string {
	return `lower(regexp_replace(btrim(normalize(` + column + `, NFKC)), '\s+', ' ', 'g'))`
}

// remembers joins remembered_speakers m to speakers sp by their label; client and coach are parameters or columns.
func remembers(m, sp, client, coach string) string {
	return fmt.Sprintf("%s.org_id = $1 AND %[1]s.client_id = %[3]s AND %[1]s.coach_id = %[4]s AND %[1]s.label = %[5]s",
		m, sp, client, coach, Normalised(sp+".label"))
}

// nameless tells whether a label numbers its speaker instead of naming one: what is "Speaker 2" today may be anybody
// tomorrow.
func nameless(label string) bool {
	for w := range strings.FieldsFuncSeq(strings.ToLower(label), func(r rune) bool { return r == ' ' || r == '_' || r == '-' || r == '#' }) {
		w = strings.TrimRight(w, "0123456789")
		switch w {
		case "", "speaker", "spk", "participant", "unknown", "unidentified", "user", "guest", "person", "voice", "caller", "channel", "track":
		default:
			if len(w) > 1 {
				return false
			}
		}
	}
	return true
}

// remember keeps a speaker's name and role for the next session, or forgets what was kept for the label.
func (e *editing) remember(ctx context.Context, key SpeakerID, name string, keep bool) error {
	e.remembered = true
	if !keep {
		_, err := e.tx.Exec(ctx, `DELETE FROM remembered_speakers m USING speakers sp WHERE sp.org_id = $1 AND sp.id = $2 AND `+
			remembers("m", "sp", "$3", "$4"), e.v.Org, key, e.ref.ClientID, e.ref.CoachID)
		return err
	}
	_, err := e.tx.Exec(ctx, `
		INSERT INTO remembered_speakers (org_id, client_id, coach_id, label, display_name, role)
		SELECT $1, $3, $4, `+Normalised("label")+`, $5, CASE WHEN coalesce(role_confidence, 1) >= $6 THEN role ELSE 'UNKNOWN' END
		FROM speakers WHERE org_id = $1 AND id = $2
		ON CONFLICT (org_id, client_id, coach_id, label) DO UPDATE SET display_name = excluded.display_name, role = excluded.role`,
		e.v.Org, key, e.ref.ClientID, e.ref.CoachID, name, conversation.SureRole)
	return err
}

// rememberRoles has the roles of remembered speakers follow what a person says they are.
func (e *editing) rememberRoles(ctx context.Context, keys []SpeakerID, roles []string) error {
	_, err := e.tx.Exec(ctx, `
		UPDATE remembered_speakers m SET role = n.role
		FROM unnest($4::uuid[], $5::text[]) AS n (id, role) JOIN speakers sp ON sp.org_id = $1 AND sp.id = n.id
		WHERE `+remembers("m", "sp", "$2", "$3")+` AND m.display_name = sp.display_name`, e.v.Org, e.ref.ClientID, e.ref.CoachID, keys, roles)
	return err
}

// recall returns the names that labels of a file had before, and for the others the labels themselves.
func recall(ctx context.Context, tx pgx.Tx, ref session.Ref, labels []string) ([]string, error) {
	names := slices.Clone(labels)
	rows, err := tx.Query(ctx, `
		SELECT sp.place, m.display_name FROM unnest($4::text[]) WITH ORDINALITY AS sp (label, place) JOIN remembered_speakers m ON `+
		remembers("m", "sp", "$2", "$3"), ref.Org, ref.ClientID, ref.CoachID, labels)
	if err != nil {
		return nil, err
	}
	var place int
	var name string
	_, err = pgx.ForEachRow(rows, []any{&place, &name}, func() error {
		names[place-1] = name
		return nil
	})
	return names, err
}
