-- What coach and client want to talk about in a session. What stays open goes to the next session as a topic of its own
-- that says where it came from.

-- +goose Up

CREATE TABLE agenda_topics (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id   uuid NOT NULL,
    position     int NOT NULL,
    title        text NOT NULL CHECK (title <> ''),
    notes        text CHECK (notes <> ''),
    status       text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'DISCUSSED', 'DEFERRED')),
    added_by     uuid NOT NULL,
    carried_from uuid CHECK (carried_from <> id),
    -- When it was taken to a later session: once, also if somebody removes it there.
    carried_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, carried_from),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, added_by) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, carried_from) REFERENCES agenda_topics (org_id, id) ON DELETE SET NULL (carried_from)
);
CREATE INDEX agenda_topics_session ON agenda_topics (org_id, session_id, position, id);
CREATE INDEX agenda_topics_added_by ON agenda_topics (org_id, added_by);

-- +goose Down

DROP TABLE agenda_topics;
