-- What a coach is told while a session goes on; docs/guides/live.md.

-- +goose Up

ALTER TABLE live_sessions ADD COLUMN rules jsonb; -- from where on something is noticed; NULL if nobody is to be told
ALTER TABLE live_sessions ADD COLUMN nudge_kinds text[] NOT NULL DEFAULT '{}';
ALTER TABLE live_sessions ADD COLUMN nudged_ms bigint; -- how far the session had come when the coach was last told something

-- What the coach was told, and of which chunks. It goes with the words.
CREATE TABLE live_nudges (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL,
    live_session_id uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('COMMITMENT_HEARD', 'ADVICE_WITHOUT_PERMISSION', 'AGENDA_ITEM_OPEN', 'SILENCE_BROKEN', 'LONG_MONOLOGUE',
        'STACKED_QUESTIONS')),
    at_ms           bigint NOT NULL,
    value           double precision NOT NULL,
    threshold       double precision NOT NULL,
    chunk_ids       text[] NOT NULL CHECK (chunk_ids <> '{}'),
    topic_ids       uuid[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    dismissed_at    timestamptz,
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, live_session_id) REFERENCES live_sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX live_nudges_session ON live_nudges (org_id, live_session_id, at_ms);

-- +goose Down

DROP TABLE live_nudges;
ALTER TABLE live_sessions DROP COLUMN nudged_ms;
ALTER TABLE live_sessions DROP COLUMN nudge_kinds;
ALTER TABLE live_sessions DROP COLUMN rules;
