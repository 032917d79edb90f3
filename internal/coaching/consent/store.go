package consent

import (
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

const latestVersion = "coalesce((SELECT max(l.version) FROM consent_texts l WHERE l.org_id = $1 AND l.scope = cs.scope), 1)"

var consents = page.Table[Consent]{
	From: "consents cs LEFT JOIN clients c ON c.org_id = $1 AND c.id = cs.client_id " +
		"LEFT JOIN participants p ON p.org_id = $1 AND p.id = cs.participant_id " +
		"LEFT JOIN sessions s ON s.org_id = $1 AND s.id = p.session_id " +
		"LEFT JOIN consent_texts t ON t.org_id = $1 AND t.scope = cs.scope AND t.version = cs.text_version",
	ID: "cs.id",
	Columns: "cs.id, cs.client_id, cs.participant_id, cs.scope, cs.text_version, cs.source, cs.given_at, cs.recorded_by, " +
		"coalesce(cs.recorded_by <> coalesce(c.user_id, p.user_id), true), cs.withdrawn_at, cs.withdrawn_by, " +
		"cs.text_version IS DISTINCT FROM " + latestVersion + ", t.text",
	Dest: func(k *Consent) []any {
		return []any{&k.Grants, &k.ID, &k.ClientID, &k.ParticipantID, &k.Scope, &k.TextVersion, &k.Source, &k.GivenAt, &k.RecordedByID,
			&k.OnBehalf, &k.WithdrawnAt, &k.WithdrawnByID, &k.Outdated, &k.published}
	},
	Key: func(k *Consent) id.UUID { return k.ID.UUID },
}

var latestFirst = page.Order[Consent]{Name: "consent-given", Keys: []page.Key[Consent]{
	{SQL: "cs.given_at", Type: "timestamptz", Desc: true, Of: func(k *Consent) string { return page.Time(k.GivenAt) }},
	{SQL: "cs.id", Type: "uuid", Desc: true, Of: func(k *Consent) string { return k.ID.UUID.String() }},
}}
