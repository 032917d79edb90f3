-- The start that a session was reminded of, by how long before. A session that is moved differs from it, and is reminded
-- of again.

-- +goose Up

CREATE TABLE session_reminders (
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id   uuid NOT NULL,
    lead_minutes int NOT NULL CHECK (lead_minutes > 0),
    starts_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, session_id, lead_minutes),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_upcoming ON sessions (starts_at, id) WHERE status = 'SCHEDULED' AND archived_at IS NULL;

-- +goose Down

DROP INDEX sessions_upcoming;
DROP TABLE session_reminders;
