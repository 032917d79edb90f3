-- What an erasure needs to find all that names a person, and a copy to be handed out to the right one and be accounted for.

-- +goose Up

-- How a client was called and written to before: invitations, mails and texts still say it.
CREATE TABLE client_formers (
    org_id    uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id uuid NOT NULL,
    value     text NOT NULL CHECK (value <> ''), -- a name or an address
    until     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, client_id, value),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE
);

ALTER TABLE data_requests
    -- The coach whose conversations are in a copy, and who alone hands it out; null: it has all, and is the client's.
    ADD COLUMN coach_id uuid,
    -- The transcripts in it: fetching it is reading them. Null: there is no copy.
    ADD COLUMN transcript_ids uuid[],
    ADD FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id);
CREATE INDEX data_requests_coach ON data_requests (org_id, coach_id);

-- +goose Down

ALTER TABLE data_requests DROP COLUMN transcript_ids, DROP COLUMN coach_id;
DROP TABLE client_formers;
