-- When a mail was let through to be sent: what the limits on mails are counted by. Null for one that waits, or was not to be sent.

-- +goose Up

ALTER TABLE email_deliveries ADD COLUMN admitted_at timestamptz;
CREATE INDEX email_deliveries_admitted ON email_deliveries (org_id, admitted_at) WHERE admitted_at IS NOT NULL;
CREATE INDEX email_deliveries_admitted_to ON email_deliveries (org_id, user_id, admitted_at) WHERE admitted_at IS NOT NULL;

-- +goose Down

ALTER TABLE email_deliveries DROP COLUMN admitted_at;
