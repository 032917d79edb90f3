-- The mails that were handed to Amazon SES, which knows no idempotency: by our name and by SES's own, under which bounces and
-- complaints come back.

-- +goose Up

CREATE TABLE ses_messages (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    id         text NOT NULL,        -- of the mail
    ses_id     text UNIQUE,          -- null until SES has taken it
    claimed_at timestamptz NOT NULL, -- by the process that sends it
    PRIMARY KEY (org_id, id)
);
CREATE INDEX ses_messages_age ON ses_messages (claimed_at);

-- +goose Down

DROP TABLE ses_messages;
