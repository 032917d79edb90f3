package search

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Subject is what is written into the index as a whole: a group of documents.
type Subject string

// The subjects. A transcript's documents are its utterances, a session's are itself and its insights.
const (
	SubjectTranscript Subject = "transcript"
	SubjectSession    Subject = "session"
	SubjectNote       Subject = "note"
	SubjectGoal       Subject = "goal"
	SubjectAction     Subject = "action"
)

var subjects = []Subject{SubjectTranscript, SubjectSession, SubjectNote, SubjectGoal, SubjectAction}

func (s Subject) group(key id.UUID) string { return id.Format(string(s), key) }

// feeds read the documents of a subject from PostgreSQL, for the system and not for a viewer: $1 is the organization, $2 the subject's id.
// Tags are those of anybody: whose they are is the searcher's to know (scope.go).
var feeds = map[Subject]string{
	SubjectTranscript: `
		SELECT 'utterance', 'UTTERANCE', u.id, coalesce(t.language, ''), s.starts_at, '', coalesce(r.text, u.text), false, s.client_id, s.coach_id, s.engagement_id, s.id, t.id,
			sp.role, ARRAY(SELECT DISTINCT c.code FROM utterance_codes c WHERE c.org_id = $1 AND c.utterance_id = u.id ORDER BY 1), tags.ids, '', '', '', '', NULL::uuid, NULL::uuid[]
		FROM utterances u JOIN transcripts t ON t.org_id = $1 AND t.id = u.transcript_id JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
		JOIN speakers sp ON sp.org_id = $1 AND sp.id = u.speaker_id
		LEFT JOIN utterance_revisions r ON r.org_id = $1 AND r.utterance_id = u.id AND r.latest
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND (g.session_id = s.id OR g.client_id = s.client_id)) tags
		WHERE u.org_id = $1 AND u.transcript_id = $2 ORDER BY u.index`,
	SubjectSession: `
		SELECT 'session', 'SESSION', s.id, '', s.starts_at, coalesce(s.title, ''), '', true, s.client_id, s.coach_id, s.engagement_id, s.id, NULL::uuid,
			'', '{}'::text[], tags.ids, '', '', '', '', NULL::uuid, NULL::uuid[]
		FROM sessions s
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND (g.session_id = s.id OR g.client_id = s.client_id)) tags
		WHERE s.org_id = $1 AND s.id = $2 AND s.title IS NOT NULL
		UNION ALL
		SELECT 'insight', 'INSIGHT', i.id, coalesce(t.language, ''), s.starts_at, i.title, i.body, true, s.client_id, s.coach_id, s.engagement_id, s.id, i.transcript_id,
			'', '{}', tags.ids, i.kind, i.audience, i.status, '', NULL, NULL
		FROM insights i JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id JOIN transcripts t ON t.org_id = $1 AND t.id = i.transcript_id
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND (g.insight_id = i.id OR g.session_id = s.id OR g.client_id = s.client_id)) tags
		WHERE i.org_id = $1 AND i.session_id = $2 AND i.retracted_at IS NULL AND i.status <> 'DISMISSED'`,
	SubjectNote: `
		SELECT 'note', 'NOTE', n.id, '', n.created_at, '', n.body, false, n.client_id, coalesce(e.coach_id, c.coach_id), n.engagement_id, n.session_id, NULL::uuid,
			'', '{}'::text[], tags.ids, '', '', '', n.visibility, n.author_id, NULL::uuid[]
		FROM notes n JOIN clients c ON c.org_id = $1 AND c.id = n.client_id LEFT JOIN engagements e ON e.org_id = $1 AND e.id = n.engagement_id
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND (g.note_id = n.id OR g.client_id = n.client_id)) tags
		WHERE n.org_id = $1 AND n.id = $2 AND n.archived_at IS NULL`,
	SubjectGoal: `
		SELECT 'goal', 'GOAL', o.id, '', o.created_at, o.title, coalesce(o.description, ''), true, o.client_id, o.coach_id, o.engagement_id, NULL::uuid, NULL::uuid,
			'', '{}'::text[], tags.ids, '', '', o.status, '', NULL::uuid, NULL::uuid[]
		FROM goals o
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND g.client_id = o.client_id) tags
		WHERE o.org_id = $1 AND o.id = $2`,
	SubjectAction: `
		SELECT 'action', 'ACTION', o.id, '', o.created_at, o.title, coalesce(o.description, ''), true, o.client_id, o.coach_id, o.engagement_id, o.session_id, NULL::uuid,
			'', '{}'::text[], tags.ids, '', '', o.status, '', NULL::uuid,
			ARRAY(SELECT x.user_id FROM action_assignees x WHERE x.org_id = $1 AND x.action_id = o.id AND x.user_id IS NOT NULL)
		FROM action_items o
		CROSS JOIN LATERAL (SELECT array_agg(g.tag_id) AS ids FROM taggings g WHERE g.org_id = $1 AND g.client_id = o.client_id) tags
		WHERE o.org_id = $1 AND o.id = $2`,
}

// languageUnknown is the language of what says none: of notes and titles, and of files that name none. It is the one that most is written in.
const languageUnknown = "en"

// read makes the documents of a subject, none if it is gone.
func read(ctx context.Context, db page.Querier, org id.UUID, s Subject, key id.UUID, version int64) (_ []textsearch.Document, err error) {
	defer fault.Wrap(&err, "search.read(%s)", s.group(key))
	rows, err := db.Query(ctx, feeds[s], org, key)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (textsearch.Document, error) {
		var prefix, title, text string
		var own, client, coach id.UUID
		var engagement, session, transcript, author *id.UUID
		var speaker, insightKind, audience, status, visibility string
		var codes []string
		var tags, assignees []id.UUID
		var completes bool
		d := textsearch.Document{Group: s.group(key), Version: version}
		if err := row.Scan(&prefix, &d.Kind, &own, &d.Language, &d.At, &title, &text, &completes, &client, &coach, &engagement, &session, &transcript,
			&speaker, &codes, &tags, &insightKind, &audience, &status, &visibility, &author, &assignees); err != nil {
			return d, err
		}
		d.ID = id.Format(prefix, own)
		if d.Language == "" {
			d.Language = languageUnknown
		}
		d.Texts = map[string]string{fieldTitle: title, fieldText: text}
		if completes && len(title) <= textsearch.MaxKeyword {
			d.Complete = []string{title}
		}
		d.Keywords = map[string][]string{fieldClient: {client.String()}, fieldCoach: {coach.String()}}
		for field, key := range map[string]*id.UUID{fieldEngagement: engagement, fieldSession: session, fieldTranscript: transcript, fieldAuthor: author} {
			if key != nil {
				d.Keywords[field] = []string{key.String()}
			}
		}
		for field, code := range map[string]string{fieldSpeaker: speaker, fieldInsightKind: insightKind, fieldAudience: audience, fieldStatus: status, fieldVisibility: visibility} {
			if code != "" {
				d.Keywords[field] = []string{code}
			}
		}
		d.Keywords[fieldCode] = codes
		d.Keywords[fieldTag], d.Keywords[fieldAssignee] = texts(tags), texts(assignees)
		return d, nil
	})
}

func texts(ids []id.UUID) []string {
	all := make([]string, 0, min(len(ids), textsearch.MaxValues))
	seen := map[id.UUID]bool{}
	for _, key := range ids {
		if !seen[key] && len(all) < textsearch.MaxValues {
			seen[key] = true
			all = append(all, key.String())
		}
	}
	return all
}

// everything calls visit with the subjects of all organizations, by id, a thousand at a time.
func (s *Service) everything(ctx context.Context, visit func(org id.UUID, of Subject, key id.UUID) error) error {
	type row struct{ Org, ID id.UUID }
	for _, of := range subjects {
		var after id.UUID
		for {
			rows, err := s.db.Query(ctx, fmt.Sprintf(`SELECT org_id, id FROM %s WHERE id > $1 ORDER BY id LIMIT 1000`, tables[of]), after)
			if err != nil {
				return err
			}
			part, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
			if err != nil {
				return err
			}
			for _, r := range part {
				if err := visit(r.Org, of, r.ID); err != nil {
					return err
				}
			}
			if len(part) < 1000 {
				break
			}
			after = part[len(part)-1].ID
		}
	}
	return nil
}

// Lag is how long the oldest change waits that is not yet found, by its words and by what it is about.
func (s *Service) Lag(ctx context.Context) (words, meaning time.Duration, err error) {
	vectors := make([]string, len(subjects))
	for i, of := range subjects {
		vectors[i] = of.EmbedJob()
	}
	var ofWords, ofMeaning float64
	err = s.db.QueryRow(ctx, `
		WITH c AS (SELECT min(at) AS at FROM search_changes),
			j AS (SELECT kind = ANY($1) AS words, min(created_at) AS at FROM jobs WHERE kind = ANY($1 || $2) AND state IN ('PENDING', 'RUNNING') GROUP BY 1)
		SELECT coalesce(extract(epoch FROM clock_timestamp() - least(c.at, (SELECT j.at FROM j WHERE words))), 0)::float8,
			coalesce(extract(epoch FROM clock_timestamp() - least(c.at, (SELECT j.at FROM j WHERE NOT words))), 0)::float8 FROM c`, kinds(), vectors).Scan(&ofWords, &ofMeaning)
	duration := func(seconds float64) time.Duration { return max(0, time.Duration(seconds*float64(time.Second))) }
	return duration(ofWords), duration(ofMeaning), err
}
