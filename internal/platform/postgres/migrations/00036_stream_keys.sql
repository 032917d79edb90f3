-- What makes cursors of events opaque: how many events there are that somebody does not see must not be read from those of the others.

-- +goose Up

CREATE TABLE stream_keys (
    org_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    secret bytea NOT NULL CHECK (length(secret) = 16)
);

-- +goose Down

DROP TABLE stream_keys;
