-- What is done because a law or a policy asks for it: copies and erasures that people ask for, and sweeps of what is kept too long.
-- All of it holds ids, dates and counts, and so outlives what it is about.

-- +goose Up

-- What must be kept for a dispute is kept: neither swept nor erased.
ALTER TABLE clients ADD COLUMN legal_hold boolean NOT NULL DEFAULT false;

CREATE TABLE data_requests (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id    uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('EXPORT', 'ERASURE')),
    status       text NOT NULL CHECK (status IN ('WAITING', 'RUNNING', 'COMPLETED', 'DECLINED', 'FAILED')),
    requested_by uuid NOT NULL,
    decided_by   uuid,
    -- Of an erasure: the client's login, if it is nothing else here and so goes with the client.
    login_id     uuid,
    -- Rows or files of each store: in the copy, or erased.
    counts       jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    begun_at     timestamptz,
    completed_at timestamptz,
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, requested_by) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, decided_by) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, login_id) REFERENCES memberships (org_id, user_id)
);
-- Asking twice while one is under way is asking once.
CREATE UNIQUE INDEX data_requests_open ON data_requests (org_id, client_id, kind, requested_by) WHERE status IN ('WAITING', 'RUNNING');
CREATE INDEX data_requests_client ON data_requests (org_id, client_id);
CREATE INDEX data_requests_created ON data_requests (org_id, created_at, id);
CREATE INDEX data_requests_requested_by ON data_requests (org_id, requested_by);
CREATE INDEX data_requests_decided_by ON data_requests (org_id, decided_by);
CREATE INDEX data_requests_login ON data_requests (org_id, login_id);

-- One run of an organization's policy over what has become too old.
CREATE TABLE retention_sweeps (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    days        int NOT NULL CHECK (days > 0),
    counts      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    UNIQUE (org_id, id)
);
CREATE UNIQUE INDEX retention_sweeps_open ON retention_sweeps (org_id) WHERE finished_at IS NULL;
CREATE INDEX retention_sweeps_created ON retention_sweeps (org_id, created_at, id);

-- +goose Down

DROP TABLE retention_sweeps, data_requests;
ALTER TABLE clients DROP COLUMN legal_hold;
