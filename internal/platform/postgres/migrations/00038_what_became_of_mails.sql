-- What is heard of a mail after it has left, and suppressions that an operator has lifted.

-- +goose Up

ALTER TABLE email_deliveries
    DROP CONSTRAINT email_deliveries_state_check,
    ADD CONSTRAINT email_deliveries_state_check CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'SUPPRESSED', 'BOUNCED', 'COMPLAINED'));

-- What happened before it was lifted suppresses no more, however late it is heard, and however often.
ALTER TABLE mail_suppressions ADD COLUMN lifted_at timestamptz;

-- +goose Down

DELETE FROM mail_suppressions WHERE lifted_at IS NOT NULL;
ALTER TABLE mail_suppressions DROP COLUMN lifted_at;
UPDATE email_deliveries SET state = CASE state WHEN 'BOUNCED' THEN 'FAILED' ELSE 'SENT' END WHERE state IN ('BOUNCED', 'COMPLAINED');
ALTER TABLE email_deliveries
    DROP CONSTRAINT email_deliveries_state_check,
    ADD CONSTRAINT email_deliveries_state_check CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'SUPPRESSED'));
