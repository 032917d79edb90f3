-- What a language model has answered about a part of a transcript, so that an analysis that was interrupted, or a new one of which
-- only a part is new, does not pay for the same answer twice. It is derived from what was said, and goes with it.
--
-- calls is json and not jsonb, which would refuse what a model may well write: an escaped NUL, half a character.

-- +goose Up

CREATE TABLE model_answers (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    request_hash  bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    calls         json NOT NULL,
    unreadable    int NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, transcript_id, request_hash),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE
);

-- +goose Down

DROP TABLE model_answers;
