-- Vectors of insights, notes, goals and actions, beside those of conversations; docs/adr/0031-vectors-are-copies.md.

-- +goose Up

ALTER TABLE search_embeddings ADD COLUMN subject text NOT NULL DEFAULT 'transcript' CHECK (subject IN ('transcript', 'session', 'note', 'goal', 'action'));
COMMENT ON COLUMN search_embeddings.transcript_id IS 'the id of the subject, which was a transcript when there were no others';

-- What has vectors while those whom it concerns consent to analysis follows their consents, too.
-- +goose StatementBegin
DO $$
DECLARE
    op text;
BEGIN
    FOREACH op IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        EXECUTE format('CREATE TRIGGER search_client_%s AFTER %s ON consents REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION search_changed(%L, %L, %L)',
            lower(op), op, CASE op WHEN 'INSERT' THEN 'NEW TABLE AS now_rows' WHEN 'DELETE' THEN 'OLD TABLE AS now_rows' ELSE 'OLD TABLE AS was NEW TABLE AS now_rows' END,
            'client', 'CASE WHEN n.participant_id IS NULL AND n.scope = ''AI_ANALYSIS'' THEN n.client_id END', 'withdrawn_at');
    END LOOP;
END $$;
-- +goose StatementEnd
CREATE TRIGGER search_session_consents AFTER UPDATE ON sessions REFERENCING OLD TABLE AS was NEW TABLE AS now_rows
    FOR EACH STATEMENT EXECUTE FUNCTION search_changed('session', 'n.id', 'consents');

-- What is there already; and conversations, whose passages are shorter now.
INSERT INTO search_changes (org_id, subject, subject_id)
SELECT org_id, 'session', id FROM sessions
UNION ALL SELECT org_id, 'note', id FROM notes UNION ALL SELECT org_id, 'goal', id FROM goals UNION ALL SELECT org_id, 'action', id FROM action_items;
INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, due_at)
SELECT gen_random_uuid(), e.org_id, 'transcript.embed', e.transcript_id, 10, now(), now() FROM (SELECT DISTINCT org_id, transcript_id FROM search_embeddings) e
ON CONFLICT DO NOTHING;

-- +goose Down

DROP TRIGGER search_session_consents ON sessions;
DROP TRIGGER search_client_insert ON consents;
DROP TRIGGER search_client_update ON consents;
DROP TRIGGER search_client_delete ON consents;
DELETE FROM search_embeddings WHERE subject <> 'transcript';
ALTER TABLE search_embeddings DROP COLUMN subject;
