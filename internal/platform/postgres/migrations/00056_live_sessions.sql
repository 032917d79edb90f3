-- Sessions that are written down while they go on; docs/adr/0036-live-words-are-working-data.md.

-- +goose Up

-- One stretch of listening to a session. Of those of one session only one goes on at a time: it has one source.
CREATE TABLE live_sessions (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id         uuid NOT NULL,
    source             text NOT NULL CHECK (source <> ''),
    status             text NOT NULL DEFAULT 'LIVE' CHECK (status IN ('LIVE', 'PAUSED', 'ENDED')),
    end_reason         text CHECK (end_reason IN ('BY_COACH', 'SOURCE_LOST', 'CONSENT_WITHDRAWN')),
    language           text,
    shared_with_client boolean NOT NULL DEFAULT false,
    -- [{label, role, given}] in the order of first words; an utterance names its speaker by the place in it, from 0.
    speakers           jsonb NOT NULL DEFAULT '[]',
    started_by         uuid NOT NULL REFERENCES users (id),
    started_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    heard_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_at          timestamptz,
    ended_at           timestamptz,
    -- The number of the latest change to an utterance: each has the number of its own latest.
    revision           bigint NOT NULL DEFAULT 0,
    size               bigint NOT NULL DEFAULT 0, -- bytes of all texts
    -- How many chunks the source may send at once, as it stood when it sent the last.
    allowance          double precision,
    transcript_id      uuid,
    measures           jsonb, -- of what is final; NULL where nobody may measure
    UNIQUE (org_id, id),
    CHECK ((status = 'ENDED') = (ended_at IS NOT NULL)),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE SET NULL (transcript_id)
);
CREATE UNIQUE INDEX live_sessions_going ON live_sessions (org_id, session_id) WHERE status <> 'ENDED';
CREATE INDEX live_sessions_session ON live_sessions (org_id, session_id, started_at);
CREATE INDEX live_sessions_transcript ON live_sessions (org_id, transcript_id);
CREATE INDEX live_sessions_started_by ON live_sessions (started_by);

-- What was said, as the source has it now. Words stay for a day after the end: the transcript has them by then.
CREATE TABLE live_utterances (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL,
    live_session_id uuid NOT NULL,
    chunk_id        text NOT NULL CHECK (chunk_id <> ''),
    ordinal         bigint NOT NULL, -- the number of its first change: of two that begin together it came first that has the lower
    revision        bigint NOT NULL,
    speaker         smallint, -- NULL if the source does not know
    text            text NOT NULL,
    start_ms        bigint NOT NULL CHECK (start_ms >= 0),
    end_ms          bigint NOT NULL CHECK (end_ms >= start_ms),
    final           boolean NOT NULL,
    UNIQUE (org_id, live_session_id, chunk_id),
    FOREIGN KEY (org_id, live_session_id) REFERENCES live_sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX live_utterances_revision ON live_utterances (org_id, live_session_id, revision);
CREATE INDEX live_utterances_start ON live_utterances (org_id, live_session_id, start_ms, ordinal);

-- +goose Down

DROP TABLE live_utterances;
DROP TABLE live_sessions;
