-- Which vectors were made of what was said, and with which model an organization's conversations are searched;
-- docs/adr/0031-vectors-are-copies.md.

-- +goose Up

CREATE TABLE search_embeddings (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- No reference: the row outlives the transcript until a job has removed its vectors, which may be kept by a service.
    transcript_id uuid NOT NULL,
    model         text NOT NULL CHECK (model <> ''),
    ids           text[] NOT NULL, -- that may be in the store
    hash          bytea, -- of the passages that are; null while they are being put there
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, transcript_id, model)
);

CREATE TABLE search_models (
    org_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    model  text NOT NULL CHECK (model <> ''),
    since  timestamptz NOT NULL DEFAULT now()
);

-- +goose Down

DROP TABLE search_models;
DROP TABLE search_embeddings;
