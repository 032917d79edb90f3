-- The dead jobs of an organization, the latest first.

-- +goose Up

CREATE INDEX jobs_dead_since ON jobs (org_id, finished_at, id) WHERE state = 'DEAD';

-- +goose Down

DROP INDEX jobs_dead_since;
