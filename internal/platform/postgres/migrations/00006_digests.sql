-- What an analysis says beside its insights: a code for each utterance, a summary, evidence of the coach's skills; and of a
-- commitment who and when.
--
-- All of it is derived and owned by the run that found it: the next run replaces it.

-- +goose Up

CREATE TABLE utterance_codes (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    utterance_id  uuid NOT NULL,
    run_id        uuid NOT NULL,
    scheme        text NOT NULL,
    code          text NOT NULL,
    main          boolean NOT NULL,
    confidence    double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    source        text NOT NULL CHECK (source IN ('RULE', 'MODEL', 'LLM', 'HUMAN')),
    rule          text,
    PRIMARY KEY (org_id, utterance_id, source, scheme, code),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, utterance_id) REFERENCES utterances (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, run_id) REFERENCES analysis_runs (org_id, id) ON DELETE CASCADE
);
CREATE INDEX utterance_codes_transcript ON utterance_codes (org_id, transcript_id);
CREATE INDEX utterance_codes_run ON utterance_codes (org_id, run_id);

-- points and skills are arrays of objects, each with its checked quotes.
CREATE TABLE digests (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    session_id    uuid NOT NULL,
    run_id        uuid NOT NULL,
    points        jsonb NOT NULL,
    skills        jsonb NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, transcript_id),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id),
    FOREIGN KEY (org_id, run_id) REFERENCES analysis_runs (org_id, id) ON DELETE CASCADE
);
CREATE INDEX digests_session ON digests (org_id, session_id);
CREATE INDEX digests_run ON digests (org_id, run_id);

ALTER TABLE insights
    ADD COLUMN committed_speaker_id uuid,
    ADD COLUMN due text,
    ADD COLUMN due_on date,
    ADD CONSTRAINT insights_committed_speaker FOREIGN KEY (org_id, committed_speaker_id) REFERENCES speakers (org_id, id)
        ON DELETE SET NULL (committed_speaker_id);
CREATE INDEX insights_committed_speaker ON insights (org_id, committed_speaker_id);

-- +goose Down

ALTER TABLE insights
    DROP CONSTRAINT insights_committed_speaker,
    DROP COLUMN due_on,
    DROP COLUMN due,
    DROP COLUMN committed_speaker_id;
DROP TABLE digests;
DROP TABLE utterance_codes;
