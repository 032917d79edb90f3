-- What has changed and is to be found by its new words: noted by triggers, so that nothing that writes can forget it, and in the
-- transaction that changes it. A row is only ever added, which locks nobody out; internal/coaching/search makes jobs of them.

-- +goose Up

-- No foreign key: an organization may be gone by the time.
CREATE TABLE search_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     uuid NOT NULL,
    subject    text NOT NULL CHECK (subject IN ('transcript', 'session', 'note', 'goal', 'action', 'client', 'engagement')),
    subject_id uuid NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX search_changes_org ON search_changes (org_id);

-- Orders what is written into an index: taken before the rows are read of which a document is made.
CREATE SEQUENCE search_versions;

-- search_changed notes the subjects of the rows that a statement has changed. Its arguments: the subject, the expression for its id on a row
-- n, and, of an update, the columns of which one must differ, "" for any.
-- +goose StatementBegin
CREATE FUNCTION search_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted bigint;
    which text := '';
BEGIN
    IF TG_OP = 'UPDATE' AND TG_ARGV[2] <> '' THEN
        which := format(' JOIN was o ON o.id = n.id AND (%s) IS DISTINCT FROM (%s)',
            regexp_replace(TG_ARGV[2], '(\w+)', 'o.\1', 'g'), regexp_replace(TG_ARGV[2], '(\w+)', 'n.\1', 'g'));
    END IF;
    EXECUTE format('INSERT INTO search_changes (org_id, subject, subject_id)
        SELECT DISTINCT n.org_id, %L, s.id FROM now_rows n%s CROSS JOIN LATERAL (SELECT %s) s(id) WHERE s.id IS NOT NULL', TG_ARGV[0], which, TG_ARGV[1]);
    GET DIAGNOSTICS noted = ROW_COUNT;
    IF noted > 0 THEN
        PERFORM pg_notify('search_changed', '');
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    t record;
    op text;
BEGIN
    FOR t IN SELECT * FROM (VALUES
        ('utterances', 'transcript', 'n.transcript_id', ''),
        ('utterance_revisions', 'transcript', '(SELECT u.transcript_id FROM utterances u WHERE u.org_id = n.org_id AND u.id = n.utterance_id)', ''),
        ('utterance_codes', 'transcript', 'n.transcript_id', ''),
        ('speakers', 'transcript', 'n.transcript_id', 'role, display_name, merged_into'),
        ('transcripts', 'transcript', 'n.id', 'language, session_id'),
        ('sessions', 'session', 'n.id', 'title, starts_at, client_id, coach_id, engagement_id'),
        ('insights', 'session', 'n.session_id', 'kind, audience, status, title, body, retracted_at, session_id, transcript_id'),
        ('notes', 'note', 'n.id', 'body, visibility, archived_at, client_id, engagement_id, session_id'),
        ('goals', 'goal', 'n.id', 'title, description, client_id, coach_id, engagement_id, status'),
        ('action_items', 'action', 'n.id', 'title, description, client_id, coach_id, engagement_id, session_id, status'),
        ('action_assignees', 'action', 'n.action_id', ''),
        ('clients', 'client', 'n.id', 'coach_id'),
        ('engagements', 'engagement', 'n.id', 'coach_id'),
        ('taggings', 'session', 'coalesce(n.session_id, (SELECT i.session_id FROM insights i WHERE i.org_id = n.org_id AND i.id = n.insight_id))', ''),
        ('taggings', 'note', 'n.note_id', ''),
        ('taggings', 'client', 'n.client_id', '')) v(name, subject, id, columns)
    LOOP
        FOREACH op IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
            -- Nothing is written of a new client or engagement, and what a transcript or speaker says is in its utterances.
            CONTINUE WHEN t.name IN ('clients', 'engagements', 'transcripts', 'speakers') AND op <> 'UPDATE';
            EXECUTE format('CREATE TRIGGER search_%s_%s AFTER %s ON %s REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION search_changed(%L, %L, %L)',
                t.subject, lower(op), op, t.name,
                CASE op WHEN 'INSERT' THEN 'NEW TABLE AS now_rows' WHEN 'DELETE' THEN 'OLD TABLE AS now_rows' ELSE 'OLD TABLE AS was NEW TABLE AS now_rows' END,
                t.subject, t.id, t.columns);
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd

-- What is there already.
INSERT INTO search_changes (org_id, subject, subject_id)
SELECT org_id, 'transcript', id FROM transcripts UNION ALL SELECT org_id, 'session', id FROM sessions
UNION ALL SELECT org_id, 'note', id FROM notes UNION ALL SELECT org_id, 'goal', id FROM goals UNION ALL SELECT org_id, 'action', id FROM action_items;

-- +goose Down

DROP FUNCTION search_changed CASCADE;
DROP SEQUENCE search_versions;
DROP TABLE search_changes;
