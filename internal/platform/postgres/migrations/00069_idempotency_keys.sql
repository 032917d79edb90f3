-- A request that is sent again with its Idempotency-Key is done once (docs/adr/0044-a-request-sent-again.md).

-- +goose Up

-- What a request was answered with, encrypted with what only its client has; the name is made of the person and the client's key, and says neither.
-- No foreign key: it is over within a day, and an organization may be gone by then.
CREATE TABLE idempotency_keys (
    org_id uuid NOT NULL,
    name   text NOT NULL,
    value  bytea NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (org_id, name)
);
CREATE INDEX idempotency_keys_until ON idempotency_keys (until);

-- +goose Down

DROP TABLE idempotency_keys;
