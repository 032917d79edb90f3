-- Who is invited to an organization. The token that accepts an invitation is shown once and kept as a hash.

-- +goose Up

CREATE TABLE invitations (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email       text NOT NULL CHECK (email <> ''),
    roles       text[] NOT NULL CHECK (
        cardinality(roles) > 0
        AND roles <@ ARRAY['OWNER', 'ADMIN', 'COACH', 'SUPERVISOR', 'CLIENT', 'SPONSOR']),
    token_hash  bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    invited_by  uuid NOT NULL,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    revoked_at  timestamptz,
    CHECK (num_nonnulls(accepted_at, revoked_at) <= 1),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, invited_by) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX invitations_open ON invitations (org_id, lower(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_invited_by ON invitations (org_id, invited_by);
CREATE INDEX invitations_created ON invitations (org_id, created_at, id);
CREATE INDEX invitations_email ON invitations (lower(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- +goose Down

DROP TABLE invitations;
