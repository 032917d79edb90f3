-- Questions about what was said, and their answers; docs/adr/0037-answers-are-copies.md.

-- +goose Up

CREATE TABLE ask_threads (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id      uuid NOT NULL,
    -- What is looked through: one of these, or all that the owner may search.
    client_id     uuid,
    engagement_id uuid,
    session_id    uuid,
    filter        jsonb CHECK (jsonb_typeof(filter) = 'object'),
    created_at    timestamptz NOT NULL DEFAULT now(),
    asked_at      timestamptz NOT NULL DEFAULT now(), -- the last question
    UNIQUE (org_id, id),
    CHECK (num_nonnulls(client_id, engagement_id, session_id, filter) <= 1),
    FOREIGN KEY (org_id, owner_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, engagement_id) REFERENCES engagements (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX ask_threads_owner ON ask_threads (org_id, owner_id, asked_at DESC, id DESC);
CREATE INDEX ask_threads_client ON ask_threads (org_id, client_id);
CREATE INDEX ask_threads_engagement ON ask_threads (org_id, engagement_id);
CREATE INDEX ask_threads_session ON ask_threads (org_id, session_id);

CREATE TABLE ask_messages (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    thread_id      uuid NOT NULL,
    ordinal        int NOT NULL CHECK (ordinal > 0),
    question       text NOT NULL CHECK (question <> ''),
    status         text NOT NULL DEFAULT 'WAITING' CHECK (status IN ('WAITING', 'ANSWERING', 'ANSWERED', 'FAILED')),
    failure_code   text CHECK ((failure_code IS NOT NULL) = (status = 'FAILED')),
    attempt        int NOT NULL DEFAULT 0, -- counts answers that were begun: an older one writes nothing any more
    insufficient   boolean NOT NULL DEFAULT false,
    dropped        int NOT NULL DEFAULT 0,
    degraded       text,
    engine         text,
    engine_version text,
    model          text,
    prompt_version text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    UNIQUE (org_id, id),
    UNIQUE (org_id, thread_id, ordinal),
    FOREIGN KEY (org_id, thread_id) REFERENCES ask_threads (org_id, id) ON DELETE CASCADE
);

-- An answer is apart from its question, for it is a copy of what was said, and goes with it; the question is the asker's.
CREATE TABLE ask_answers (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    message_id uuid NOT NULL,
    sentences  jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(sentences) = 'array'),
    PRIMARY KEY (org_id, message_id),
    FOREIGN KEY (org_id, message_id) REFERENCES ask_messages (org_id, id) ON DELETE CASCADE
);

-- The transcripts that an answer quotes. The answer goes with any of them (insight.Derived).
CREATE TABLE ask_sources (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    message_id    uuid NOT NULL,
    transcript_id uuid NOT NULL,
    PRIMARY KEY (org_id, message_id, transcript_id),
    FOREIGN KEY (org_id, message_id) REFERENCES ask_answers (org_id, message_id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE
);
CREATE INDEX ask_sources_transcript ON ask_sources (org_id, transcript_id);

-- +goose Down

DROP TABLE ask_sources;
DROP TABLE ask_answers;
DROP TABLE ask_messages;
DROP TABLE ask_threads;
