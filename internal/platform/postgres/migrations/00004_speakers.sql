-- Corrections of a transcript by a person: who is who, who said which line, and the words. Each is an edit that can be
-- undone; internal/coaching/transcript/edits.go says how.

-- +goose Up

-- Whether roles that nobody is sure of are asked about, or the likeliest taken.
ALTER TABLE organizations ADD COLUMN speaker_roles text NOT NULL DEFAULT 'ASK' CHECK (speaker_roles IN ('ASK', 'DECIDE'));

ALTER TABLE transcripts
    DROP CONSTRAINT transcripts_status_check,
    ADD CONSTRAINT transcripts_status_check
        CHECK (status IN ('UPLOADING', 'UPLOADED', 'PARSING', 'PARSED', 'ANALYZING', 'NEEDS_SPEAKERS', 'READY', 'FAILED'));

-- A merged speaker keeps the row and has no lines: they are the other's.
ALTER TABLE speakers
    ADD COLUMN merged_into uuid CHECK (merged_into <> id),
    ADD FOREIGN KEY (org_id, merged_into) REFERENCES speakers (org_id, id);
CREATE INDEX speakers_merged_into ON speakers (org_id, merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE transcript_edits (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    number        int NOT NULL CHECK (number > 0),
    kind          text NOT NULL CHECK (kind IN ('RENAME', 'ROLES', 'MERGE', 'SPLIT', 'REASSIGN', 'REVISE')),
    author_id     uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    undone_at     timestamptz,
    undone_by     uuid,
    UNIQUE (org_id, id),
    UNIQUE (org_id, transcript_id, number),
    CHECK ((undone_at IS NULL) = (undone_by IS NULL)),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, author_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, undone_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX transcript_edits_author ON transcript_edits (org_id, author_id);
CREATE INDEX transcript_edits_undone_by ON transcript_edits (org_id, undone_by);

-- What an edit changes: one facet of a speaker or an utterance, from before to after. Both alike: the edit only relies
-- on it, and neither may change under the other. What each facet holds stands in transcript/edits.go; words are held by
-- utterance_revisions and only referred to here.
CREATE TABLE transcript_edit_changes (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    edit_id    uuid NOT NULL,
    facet      text NOT NULL CHECK (facet IN ('NAME', 'ROLE', 'PRESENCE', 'SPEAKER', 'WORDS')),
    subject_id uuid NOT NULL,
    before     jsonb,
    after      jsonb,
    PRIMARY KEY (org_id, edit_id, facet, subject_id),
    FOREIGN KEY (org_id, edit_id) REFERENCES transcript_edits (org_id, id) ON DELETE CASCADE
);
CREATE INDEX transcript_edit_changes_subject ON transcript_edit_changes (org_id, subject_id, facet);

-- An utterance never changes: what it should have said stands here, and the latest counts.
CREATE TABLE utterance_revisions (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    utterance_id uuid NOT NULL,
    text         text NOT NULL CHECK (text <> ''),
    cues         jsonb NOT NULL,
    latest       boolean NOT NULL,
    author_id    uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (org_id, utterance_id) REFERENCES utterances (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, author_id) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX utterance_revisions_utterance ON utterance_revisions (org_id, utterance_id);
CREATE UNIQUE INDEX utterance_revisions_latest ON utterance_revisions (org_id, utterance_id) WHERE latest;
CREATE INDEX utterance_revisions_author ON utterance_revisions (org_id, author_id);

-- What a coach calls a speaker whenever a file of this client has the label. It goes with the client.
CREATE TABLE remembered_speakers (
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id    uuid NOT NULL,
    coach_id     uuid NOT NULL,
    label        text NOT NULL, -- normalised, see transcript/remember.go
    display_name text NOT NULL CHECK (display_name <> ''),
    role         text NOT NULL CHECK (role IN ('UNKNOWN', 'COACH', 'CLIENT', 'OTHER')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, client_id, coach_id, label),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX remembered_speakers_coach ON remembered_speakers (org_id, coach_id);

-- The quote no longer stands in what it cites, because a person has corrected the words.
ALTER TABLE citations ADD COLUMN words_changed boolean NOT NULL DEFAULT false;

-- +goose Down

ALTER TABLE citations DROP COLUMN words_changed;
DROP TABLE remembered_speakers, utterance_revisions, transcript_edit_changes, transcript_edits;
ALTER TABLE speakers DROP COLUMN merged_into;
UPDATE transcripts SET status = 'READY' WHERE status = 'NEEDS_SPEAKERS';
ALTER TABLE transcripts
    DROP CONSTRAINT transcripts_status_check,
    ADD CONSTRAINT transcripts_status_check
        CHECK (status IN ('UPLOADING', 'UPLOADED', 'PARSING', 'PARSED', 'ANALYZING', 'READY', 'FAILED'));
ALTER TABLE organizations DROP COLUMN speaker_roles;
