-- What people write down, about a client, an engagement or a session.
--
-- client_id is always there; engagement_id of what belongs to an engagement, sessions included; session_id of a session's.
-- A note's words are those of its latest version. No version is visible to more people than the note: making a note narrower
-- makes all its versions narrower, and making it wider leaves the earlier ones as they are. internal/coaching/note says why.

-- +goose Up

CREATE TABLE notes (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    author_id     uuid NOT NULL,
    client_id     uuid NOT NULL,
    engagement_id uuid,
    session_id    uuid CHECK (session_id IS NULL OR engagement_id IS NOT NULL),
    visibility    text NOT NULL CHECK (visibility IN ('PRIVATE', 'SHARED_WITH_CLIENT', 'SHARED_WITH_ORG')),
    version       int NOT NULL CHECK (version > 0),
    body          text NOT NULL CHECK (octet_length(body) <= 100000),
    archived_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, author_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, engagement_id) REFERENCES engagements (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX notes_author ON notes (org_id, author_id, created_at, id);
CREATE INDEX notes_client ON notes (org_id, client_id, created_at, id);
CREATE INDEX notes_engagement ON notes (org_id, engagement_id, created_at, id) WHERE engagement_id IS NOT NULL;
CREATE INDEX notes_session ON notes (org_id, session_id, created_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX notes_created ON notes (org_id, created_at, id);
CREATE INDEX notes_updated ON notes (org_id, updated_at, id);

CREATE TABLE note_versions (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    note_id    uuid NOT NULL,
    number     int NOT NULL CHECK (number > 0),
    author_id  uuid NOT NULL,
    visibility text NOT NULL CHECK (visibility IN ('PRIVATE', 'SHARED_WITH_CLIENT', 'SHARED_WITH_ORG')),
    body       text NOT NULL CHECK (octet_length(body) <= 100000),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, note_id, number),
    FOREIGN KEY (org_id, note_id) REFERENCES notes (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, author_id) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX note_versions_author ON note_versions (org_id, author_id);

-- Who is named in a note.
CREATE TABLE note_mentions (
    org_id  uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    note_id uuid NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (org_id, note_id, user_id),
    FOREIGN KEY (org_id, note_id) REFERENCES notes (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX note_mentions_user ON note_mentions (org_id, user_id);

ALTER TABLE taggings
    ADD COLUMN note_id uuid,
    DROP CONSTRAINT taggings_check,
    ADD CONSTRAINT taggings_check CHECK (num_nonnulls(client_id, session_id, insight_id, note_id) = 1),
    ADD CONSTRAINT taggings_tag_note UNIQUE (org_id, tag_id, note_id),
    ADD FOREIGN KEY (org_id, note_id) REFERENCES notes (org_id, id) ON DELETE CASCADE;
CREATE INDEX taggings_note ON taggings (org_id, note_id) WHERE note_id IS NOT NULL;

-- +goose Down

DELETE FROM taggings WHERE note_id IS NOT NULL;
ALTER TABLE taggings
    DROP CONSTRAINT taggings_check,
    DROP COLUMN note_id,
    ADD CONSTRAINT taggings_check CHECK (num_nonnulls(client_id, session_id, insight_id) = 1);
DROP TABLE note_mentions, note_versions, notes;
