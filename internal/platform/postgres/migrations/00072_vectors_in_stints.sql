-- How far the vectors of something long are made, so that a job goes on where another one stopped and others have their turn between.

-- +goose Up

ALTER TABLE search_embeddings ADD COLUMN making bytea; -- the hash of the passages whose vectors are being made; null while none are
ALTER TABLE search_embeddings ADD COLUMN made integer NOT NULL DEFAULT 0; -- of them, from the first on

-- +goose Down

ALTER TABLE search_embeddings DROP COLUMN made;
ALTER TABLE search_embeddings DROP COLUMN making;
