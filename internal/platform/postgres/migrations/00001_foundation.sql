-- The practice: who is in it, who coaches whom, what was said, and what was found in it.
--
-- House rules (a test keeps them): every table but users and user_identities carries org_id; a foreign key between two
-- tables of an organization contains org_id, so that no row can point into another organization; every foreign key has
-- an index. A person inside an organization is referred to through memberships(org_id, user_id).

-- +goose Up

CREATE TABLE organizations (
    id             uuid PRIMARY KEY,
    slug           text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9.-]{1,62}$'),
    name           text NOT NULL CHECK (name <> ''),
    retention_days int CHECK (retention_days > 0),
    ai_enabled     boolean NOT NULL DEFAULT true,
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- People are global: one person may belong to several organizations.
CREATE TABLE users (
    id         uuid PRIMARY KEY,
    email      text NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    time_zone  text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- The subject of an identity provider that signs in as a user.
CREATE TABLE user_identities (
    issuer     text NOT NULL,
    subject    text NOT NULL,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX user_identities_user ON user_identities (user_id);

CREATE TABLE memberships (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    roles      text[] NOT NULL CHECK (
        cardinality(roles) > 0
        AND roles <@ ARRAY['OWNER', 'ADMIN', 'COACH', 'SUPERVISOR', 'CLIENT', 'SPONSOR']),
    status     text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'REVOKED')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

-- Which supervisor is assigned to which coach.
CREATE TABLE supervisions (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    supervisor_id uuid NOT NULL,
    coach_id      uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, supervisor_id, coach_id),
    FOREIGN KEY (org_id, supervisor_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX supervisions_coach ON supervisions (org_id, coach_id);

CREATE TABLE clients (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    coach_id    uuid NOT NULL,
    user_id     uuid,
    name        text NOT NULL CHECK (name <> ''),
    email       text,
    lifecycle   text NOT NULL DEFAULT 'ACTIVE'
        CHECK (lifecycle IN ('LEAD', 'ACTIVE', 'AT_RISK', 'DORMANT', 'CHURNED')),
    archived_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX clients_coach ON clients (org_id, coach_id, name, id);
CREATE INDEX clients_user ON clients (org_id, user_id);
CREATE INDEX clients_name ON clients (org_id, name, id);

CREATE TABLE engagements (
    id                uuid PRIMARY KEY,
    org_id            uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id         uuid NOT NULL,
    coach_id          uuid NOT NULL,
    title             text NOT NULL CHECK (title <> ''),
    status            text NOT NULL DEFAULT 'DRAFT'
        CHECK (status IN ('DRAFT', 'ACTIVE', 'PAUSED', 'COMPLETED', 'CANCELLED')),
    sessions_included int CHECK (sessions_included > 0),
    starts_on         date,
    ends_on           date CHECK (ends_on >= starts_on),
    archived_at       timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, id, client_id, coach_id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX engagements_client ON engagements (org_id, client_id);
CREATE INDEX engagements_coach ON engagements (org_id, coach_id, created_at, id);
CREATE INDEX engagements_created ON engagements (org_id, created_at, id);

CREATE TABLE engagement_sponsors (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    engagement_id uuid NOT NULL,
    user_id       uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, engagement_id, user_id),
    FOREIGN KEY (org_id, engagement_id) REFERENCES engagements (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX engagement_sponsors_user ON engagement_sponsors (org_id, user_id);

-- client_id and coach_id repeat the engagement's, so that "whose session is this" needs no join in any scope; the
-- four-column foreign key keeps them equal to it.
CREATE TABLE sessions (
    id               uuid PRIMARY KEY,
    org_id           uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    engagement_id    uuid NOT NULL,
    client_id        uuid NOT NULL,
    coach_id         uuid NOT NULL,
    number           int NOT NULL CHECK (number > 0),
    type             text NOT NULL DEFAULT 'COACHING'
        CHECK (type IN ('INTAKE', 'COACHING', 'REVIEW', 'GROUP', 'CHEMISTRY')),
    status           text NOT NULL DEFAULT 'SCHEDULED'
        CHECK (status IN ('SCHEDULED', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED', 'NO_SHOW')),
    title            text,
    starts_at        timestamptz NOT NULL,
    duration_minutes int NOT NULL CHECK (duration_minutes BETWEEN 1 AND 1440),
    archived_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, engagement_id, number),
    FOREIGN KEY (org_id, engagement_id, client_id, coach_id)
        REFERENCES engagements (org_id, id, client_id, coach_id) ON UPDATE CASCADE
);
CREATE INDEX sessions_engagement ON sessions (org_id, engagement_id, client_id, coach_id);
CREATE INDEX sessions_client ON sessions (org_id, client_id, starts_at, id);
CREATE INDEX sessions_coach ON sessions (org_id, coach_id, starts_at, id);
CREATE INDEX sessions_starts ON sessions (org_id, starts_at, id);

CREATE TABLE participants (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    user_id    uuid,
    client_id  uuid,
    name       text NOT NULL CHECK (name <> ''),
    role       text NOT NULL CHECK (role IN ('COACH', 'CLIENT', 'OBSERVER', 'OTHER')),
    consents   text[] NOT NULL DEFAULT '{}'
        CHECK (consents <@ ARRAY['RECORDING', 'TRANSCRIPTION', 'AI_ANALYSIS', 'SUPERVISION', 'SHARE_WITH_ORG']),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id)
);
CREATE INDEX participants_session ON participants (org_id, session_id);
CREATE INDEX participants_user ON participants (org_id, user_id);
CREATE INDEX participants_client ON participants (org_id, client_id);

CREATE TABLE transcripts (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id         uuid NOT NULL,
    version            int NOT NULL CHECK (version > 0),
    status             text NOT NULL
        CHECK (status IN ('UPLOADING', 'UPLOADED', 'PARSING', 'PARSED', 'ANALYZING', 'READY', 'FAILED')),
    failure_code       text,
    failure_message    text,
    format             text NOT NULL,
    filename           text,
    title              text,
    language           text,
    duration_ms        bigint CHECK (duration_ms >= 0),
    utterance_count    int NOT NULL DEFAULT 0,
    sha256             bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes         int NOT NULL,
    warnings           jsonb NOT NULL DEFAULT '[]',
    shared_with_client boolean NOT NULL DEFAULT false,
    imported_by        uuid NOT NULL,
    archived_at        timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, session_id, version),
    UNIQUE (org_id, session_id, sha256),
    CHECK ((status = 'FAILED') = (failure_code IS NOT NULL)),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id),
    FOREIGN KEY (org_id, imported_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX transcripts_imported_by ON transcripts (org_id, imported_by);

-- The file as it came, byte for byte; apart from the row that every list reads.
CREATE TABLE transcript_originals (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    content       bytea NOT NULL,
    PRIMARY KEY (org_id, transcript_id),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE
);

CREATE TABLE speakers (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id   uuid NOT NULL,
    ordinal         int NOT NULL CHECK (ordinal >= 0),
    label           text NOT NULL,
    display_name    text NOT NULL CHECK (display_name <> ''),
    role            text NOT NULL DEFAULT 'UNKNOWN' CHECK (role IN ('UNKNOWN', 'COACH', 'CLIENT', 'OTHER')),
    role_confidence double precision CHECK (role_confidence BETWEEN 0 AND 1),
    role_reason     text,
    role_set_by     uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id, ordinal),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_set_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX speakers_role_set_by ON speakers (org_id, role_set_by);

CREATE TABLE utterances (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    index         int NOT NULL CHECK (index >= 0),
    speaker_id    uuid NOT NULL,
    start_ms      bigint CHECK (start_ms >= 0),
    end_ms        bigint CHECK (end_ms >= start_ms),
    text          text NOT NULL,
    cues          jsonb NOT NULL DEFAULT '[]',
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id, index),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, speaker_id) REFERENCES speakers (org_id, id)
);
CREATE INDEX utterances_speaker ON utterances (org_id, speaker_id);

-- One attempt to understand one transcript. It owns every row derived in it.
CREATE TABLE analysis_runs (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id  uuid NOT NULL,
    session_id     uuid NOT NULL,
    status         text NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'SUPERSEDED')),
    engine         text NOT NULL,
    engine_version text NOT NULL,
    model          text,
    prompt_version text,
    input_hash     bytea NOT NULL CHECK (octet_length(input_hash) = 32),
    input_tokens   int NOT NULL DEFAULT 0,
    output_tokens  int NOT NULL DEFAULT 0,
    cost_micros    bigint NOT NULL DEFAULT 0,
    insight_count  int NOT NULL DEFAULT 0,
    rejected_count int NOT NULL DEFAULT 0,
    error_code     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id, input_hash),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id)
);
CREATE INDEX analysis_runs_session ON analysis_runs (org_id, session_id, created_at, id);

-- The measures of a transcript: those of the run that measured it last.
CREATE TABLE session_metrics (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id      uuid NOT NULL,
    session_id         uuid NOT NULL,
    run_id             uuid NOT NULL,
    definition_version int NOT NULL,
    measures           jsonb NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id),
    FOREIGN KEY (org_id, run_id) REFERENCES analysis_runs (org_id, id) ON DELETE CASCADE
);
CREATE INDEX session_metrics_session ON session_metrics (org_id, session_id);
CREATE INDEX session_metrics_run ON session_metrics (org_id, run_id);

-- fingerprint is a hash of what an analyser said about which words: the same finding of a repeated or later run is the
-- same insight, so that a redelivered job doubles nothing and a person's review survives a new run.
CREATE TABLE insights (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    session_id     uuid NOT NULL,
    transcript_id  uuid NOT NULL,
    run_id         uuid NOT NULL,
    fingerprint    bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    ordinal        int NOT NULL,
    kind           text NOT NULL CHECK (kind IN (
        'THEME', 'BREAKTHROUGH', 'BLOCKER', 'COMMITMENT', 'CHANGE_TALK', 'SUSTAIN_TALK', 'STRENGTH', 'VALUE',
        'EMOTION_SHIFT', 'RISK_FLAG', 'COACH_SKILL', 'QUESTION_OF_NOTE')),
    audience       text NOT NULL CHECK (audience IN ('COACH_ONLY', 'CLIENT', 'BOTH')),
    title          text NOT NULL CHECK (title <> ''),
    body           text NOT NULL,
    confidence     double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    status         text NOT NULL DEFAULT 'PROPOSED' CHECK (status IN ('PROPOSED', 'ACCEPTED', 'EDITED', 'DISMISSED')),
    original_title text,
    original_body  text,
    reviewed_by    uuid,
    reviewed_at    timestamptz,
    retracted_at   timestamptz,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id, fingerprint),
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, run_id) REFERENCES analysis_runs (org_id, id),
    FOREIGN KEY (org_id, reviewed_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX insights_session ON insights (org_id, session_id, created_at, id);
CREATE INDEX insights_created ON insights (org_id, created_at, id);
CREATE INDEX insights_run ON insights (org_id, run_id);
CREATE INDEX insights_reviewed_by ON insights (org_id, reviewed_by);

CREATE TABLE citations (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    insight_id    uuid NOT NULL,
    ordinal       int NOT NULL,
    transcript_id uuid NOT NULL,
    first_index   int NOT NULL,
    last_index    int NOT NULL CHECK (last_index >= first_index),
    quote         text NOT NULL CHECK (quote <> ''),
    start_ms      bigint,
    end_ms        bigint,
    UNIQUE (org_id, id),
    UNIQUE (org_id, insight_id, ordinal),
    FOREIGN KEY (org_id, insight_id) REFERENCES insights (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, transcript_id, first_index) REFERENCES utterances (org_id, transcript_id, index) ON DELETE CASCADE,
    FOREIGN KEY (org_id, transcript_id, last_index) REFERENCES utterances (org_id, transcript_id, index) ON DELETE CASCADE
);
CREATE INDEX citations_first ON citations (org_id, transcript_id, first_index);
CREATE INDEX citations_last ON citations (org_id, transcript_id, last_index);

-- A tag belongs to the person who made it: a coach's vocabulary says something about her clients.
CREATE TABLE tags (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id   uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    color      text NOT NULL CHECK (color ~ '^#[0-9a-f]{6}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, owner_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX tags_name ON tags (org_id, owner_id, lower(name));

CREATE TABLE taggings (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    tag_id     uuid NOT NULL,
    client_id  uuid,
    session_id uuid,
    insight_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(client_id, session_id, insight_id) = 1),
    UNIQUE (org_id, tag_id, client_id),
    UNIQUE (org_id, tag_id, session_id),
    UNIQUE (org_id, tag_id, insight_id),
    FOREIGN KEY (org_id, tag_id) REFERENCES tags (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, insight_id) REFERENCES insights (org_id, id) ON DELETE CASCADE
);
CREATE INDEX taggings_client ON taggings (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX taggings_session ON taggings (org_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX taggings_insight ON taggings (org_id, insight_id) WHERE insight_id IS NOT NULL;

-- +goose Down

DROP TABLE taggings, tags, citations, insights, session_metrics, analysis_runs, utterances, speakers,
    transcript_originals, transcripts, participants, sessions, engagement_sponsors, engagements, clients,
    supervisions, memberships, user_identities, users, organizations;
