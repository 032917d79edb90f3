-- Which files were handed out of a transcript, for as long as they lie in the store: they go with it.

-- +goose Up

CREATE TABLE transcript_exports (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    transcript_id uuid NOT NULL,
    blob_key      text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, transcript_id, blob_key),
    FOREIGN KEY (org_id, transcript_id) REFERENCES transcripts (org_id, id) ON DELETE CASCADE
);
CREATE INDEX transcript_exports_age ON transcript_exports (created_at);

-- +goose Down

DROP TABLE transcript_exports;
