-- Events that other systems are to be told of, written in the transaction that makes them true and deleted when they are published;
-- docs/adr/0026-events-leave-through-an-outbox.md.

-- +goose Up

CREATE TABLE outbox (
    id         uuid PRIMARY KEY, -- of the event, for good
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    type       text NOT NULL CHECK (type <> ''),
    subject    text NOT NULL CHECK (subject <> ''),
    data       json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When a relay may take it: in the future while one holds it, or while it waits after a failure; null once it was given up.
    due_at     timestamptz DEFAULT clock_timestamp(),
    attempts   int NOT NULL DEFAULT 0,
    error_code text,
    failed_at  timestamptz,
    CHECK (due_at IS NOT NULL OR failed_at IS NOT NULL)
) WITH (
    -- Rows live for milliseconds: vacuum early.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX outbox_due ON outbox (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_subject ON outbox (org_id, subject, seq);
CREATE INDEX outbox_refused ON outbox (seq) WHERE due_at IS NULL;

-- +goose Down

DROP TABLE outbox;
