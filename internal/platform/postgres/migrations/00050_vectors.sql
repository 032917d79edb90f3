-- Vectors of texts, for those who keep them here and not in a service: what package vector/exact stands on;
-- docs/adr/0031-vectors-are-copies.md.

-- +goose Up

-- The vectors that one model has made for one organization. changes counts the transactions that changed them, in the order of their commits:
-- whoever writes holds this row until then.
CREATE TABLE vector_spaces (
    org_id    uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    model     text NOT NULL CHECK (model <> ''),
    dimension int NOT NULL CHECK (dimension > 0),
    -- It begins at the time, so that a space that was dropped and made anew is not taken for what it was.
    changes   bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    vectors   int NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, model)
);

-- What belongs together, and after which change it was last touched: a process that has read it before reads it again if that is another one.
CREATE TABLE vector_groups (
    org_id   uuid NOT NULL,
    model    text NOT NULL,
    group_id text NOT NULL CHECK (group_id <> ''),
    changed  bigint NOT NULL,
    vectors  int NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, model, group_id),
    FOREIGN KEY (org_id, model) REFERENCES vector_spaces (org_id, model) ON DELETE CASCADE
);

CREATE TABLE vectors (
    org_id   uuid NOT NULL,
    model    text NOT NULL,
    id       text NOT NULL CHECK (id <> ''),
    group_id text NOT NULL,
    at       timestamptz NOT NULL,
    keywords jsonb NOT NULL,
    numbers  bytea NOT NULL, -- float32, little endian
    PRIMARY KEY (org_id, model, id),
    FOREIGN KEY (org_id, model, group_id) REFERENCES vector_groups (org_id, model, group_id) ON DELETE CASCADE
);
CREATE INDEX vectors_group ON vectors (org_id, model, group_id);
ALTER TABLE vectors ALTER COLUMN numbers SET STORAGE EXTERNAL; -- numbers do not compress

-- +goose Down

DROP TABLE vectors;
DROP TABLE vector_groups;
DROP TABLE vector_spaces;
