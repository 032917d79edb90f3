-- Live events with cursors. A topic's row is its counter: it is locked from the moment an event takes a number until the
-- publisher commits, so numbers become visible in their own order and without gaps. A sequence would promise neither.

-- +goose Up

CREATE TABLE stream_topics (
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    topic       text NOT NULL CHECK (topic <> '' AND octet_length(topic) <= 200),
    last_cursor bigint NOT NULL,
    -- Events up to and including this one may be gone.
    trimmed_to  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, topic),
    CHECK (trimmed_to <= last_cursor)
) WITH (fillfactor = 50); -- the counter moves often and is in no index: leave room for the new version beside the old

CREATE TABLE stream_events (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    topic      text NOT NULL,
    cursor     bigint NOT NULL,
    kind       text NOT NULL CHECK (kind <> ''),
    data       json NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, topic, cursor),
    FOREIGN KEY (org_id, topic) REFERENCES stream_topics (org_id, topic) ON DELETE CASCADE
);
CREATE INDEX stream_events_age ON stream_events (created_at);

-- +goose Down

DROP TABLE stream_events, stream_topics;
