-- What changes is seen by who should: by those who keep an answer, those whose stream rests on a right that they may have lost, and those
-- who are behind and need the last of several events only. By triggers, so that nothing that writes can forget it.

-- +goose Up

-- What an event makes the earlier ones of the same key superfluous for; NULL for none.
ALTER TABLE stream_events ADD COLUMN key text;

-- A random number for each connection that has written to a table in an organization, another one with each statement. An answer that was
-- computed from some tables holds for as long as the sum of their numbers is the same. Each connection has a row of its own, so that none waits for another.
-- No foreign key: an organization may be gone by the time.
CREATE TABLE stamps (
    org_id  uuid NOT NULL,
    tag     text NOT NULL,
    backend int NOT NULL,
    stamp   bigint NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, tag, backend)
) WITH (fillfactor = 50);
CREATE INDEX stamps_at ON stamps (at);

-- +goose StatementBegin
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stamps (org_id, tag, backend, stamp, at)
    SELECT n.org_id, TG_TABLE_NAME, pg_backend_pid(), ((random() - 0.5) * 4503599627370496)::bigint, clock_timestamp()
        FROM (SELECT DISTINCT org_id FROM now_rows) n
    ON CONFLICT (org_id, tag, backend) DO UPDATE SET stamp = EXCLUDED.stamp, at = EXCLUDED.at;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Tells which session or client somebody may have lost sight of, <organization>:<id>; without an id it may be any. The argument is the SQL of the
-- id on a row o as it was; of an update only where the second, on o and n as it is, holds, unless it is empty.
-- +goose StatementBegin
CREATE FUNCTION access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_ARGV[1] = '' THEN
        EXECUTE format('SELECT pg_notify(''access'', k.key) FROM (SELECT DISTINCT o.org_id || '':'' || %s AS key FROM was o) k', TG_ARGV[0]);
    ELSE
        EXECUTE format('SELECT pg_notify(''access'', k.key) FROM (SELECT DISTINCT o.org_id || '':'' || %s AS key FROM was o JOIN now_rows n ON n.id = o.id WHERE %s) k', TG_ARGV[0], TG_ARGV[1]);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES
        ('sessions', 'one', 'o.id', '(o.coach_id, o.client_id) IS DISTINCT FROM (n.coach_id, n.client_id) OR NOT o.consents <@ n.consents OR o.archived_at IS NULL AND n.archived_at IS NOT NULL'),
        ('clients', 'one', 'o.id', 'o.coach_id IS DISTINCT FROM n.coach_id OR o.archived_at IS NULL AND n.archived_at IS NOT NULL'),
        ('clients', 'theirs', quote_literal(''), 'o.user_id IS NOT NULL AND o.user_id IS DISTINCT FROM n.user_id'), -- and all that is about them
        ('engagements', 'one', 'o.client_id', '(o.coach_id, o.client_id) IS DISTINCT FROM (n.coach_id, n.client_id)'),
        ('supervisions', 'any', quote_literal(''), ''),
        ('engagement_sponsors', 'any', quote_literal(''), '')) v(name, what, id, lost)
    LOOP
        EXECUTE format('CREATE TRIGGER access_%s_changed AFTER UPDATE ON %s REFERENCING OLD TABLE AS was NEW TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION access_changed(%L, %L)',
            t.what, t.name, t.id, t.lost);
        EXECUTE format('CREATE TRIGGER access_%s_ended AFTER DELETE ON %s REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION access_changed(%L)', t.what, t.name, t.id);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    t text;
    op text;
BEGIN
    FOREACH t IN ARRAY ARRAY['memberships', 'supervisions', 'clients', 'engagements', 'engagement_sponsors', 'sessions', 'participants', 'transcripts',
        'session_metrics', 'insights', 'goals', 'goal_check_ins', 'action_items', 'action_assignees', 'consents'] LOOP
        FOREACH op IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
            EXECUTE format('CREATE TRIGGER stamp_%s AFTER %s ON %s REFERENCING %s TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION stamp()',
                lower(op), op, t, CASE op WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END);
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION access_changed CASCADE;
DROP FUNCTION stamp CASCADE;
DROP TABLE stamps;
ALTER TABLE stream_events DROP COLUMN key;
