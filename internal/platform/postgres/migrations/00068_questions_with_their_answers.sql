-- Conversations get vectors of other passages: a question always stands in that of its answer; docs/search.md.

-- +goose Up

INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, due_at)
SELECT gen_random_uuid(), e.org_id, 'transcript.embed', e.transcript_id, 10, now(), now() FROM search_embeddings e WHERE e.subject = 'transcript' GROUP BY e.org_id, e.transcript_id
ON CONFLICT DO NOTHING;

-- +goose Down

SELECT 1; -- vectors follow what stands there, whichever passages the program makes of it
