-- What people are told, how they want to be told, and the mails that told them. No row holds words: what a notification
-- says is made when it is read, with its recipient's eyes.

-- +goose Up

CREATE TABLE notification_settings (
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL,
    -- Minutes of the local day; both null for no quiet hours. A person without a row has the defaults of the program.
    quiet_from  int CHECK (quiet_from BETWEEN 0 AND 1439),
    quiet_until int CHECK (quiet_until BETWEEN 0 AND 1439 AND quiet_until <> quiet_from),
    digest_hour int NOT NULL CHECK (digest_hour BETWEEN 0 AND 23),
    PRIMARY KEY (org_id, user_id),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
);

-- What differs from the defaults.
CREATE TABLE notification_preferences (
    org_id  uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    type    text NOT NULL,
    in_app  boolean NOT NULL,
    email   text NOT NULL CHECK (email IN ('IMMEDIATE', 'DIGEST', 'OFF')),
    PRIMARY KEY (org_id, user_id, type),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);

CREATE TABLE email_deliveries (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL,
    type        text NOT NULL, -- of notification, or DAILY_DIGEST
    period      date,          -- the day that a digest is for
    state       text NOT NULL DEFAULT 'QUEUED' CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'SUPPRESSED')),
    reason      text,          -- a code, where it was not sent
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (org_id, id),
    UNIQUE (org_id, user_id, type, period),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX email_deliveries_created ON email_deliveries (org_id, created_at, id);

CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL, -- the recipient
    type        text NOT NULL,
    subject     text NOT NULL, -- the prefix of the id of what it is about
    subject_id  uuid NOT NULL,
    session_id  uuid,
    client_id   uuid,
    actor_id    uuid,          -- who did it, null if nobody
    dedup_key   text NOT NULL,
    in_app      boolean NOT NULL,
    email       text NOT NULL CHECK (email IN ('IMMEDIATE', 'DIGEST', 'OFF')), -- as preferred when it happened
    delivery_id uuid,          -- the mail that told it
    until       timestamptz,   -- when it is no news any more
    created_at  timestamptz NOT NULL,
    read_at     timestamptz,
    UNIQUE (org_id, user_id, type, dedup_key),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, delivery_id) REFERENCES email_deliveries (org_id, id) ON DELETE SET NULL (delivery_id)
);
CREATE INDEX notifications_newest ON notifications (org_id, user_id, created_at, id) WHERE in_app;
CREATE INDEX notifications_unread ON notifications (org_id, user_id) WHERE in_app AND read_at IS NULL;
CREATE INDEX notifications_waiting ON notifications (org_id, user_id, created_at) WHERE email = 'DIGEST' AND delivery_id IS NULL AND read_at IS NULL;
CREATE INDEX notifications_session ON notifications (org_id, session_id);
CREATE INDEX notifications_client ON notifications (org_id, client_id);
CREATE INDEX notifications_delivery ON notifications (org_id, delivery_id);
CREATE INDEX notifications_age ON notifications (created_at);

-- Addresses that get no mail, as the SHA-256 of their lower-case form: it outlives the person, and says nothing.
CREATE TABLE mail_suppressions (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    address    bytea NOT NULL CHECK (length(address) = 32),
    reason     text NOT NULL CHECK (reason IN ('BOUNCED', 'COMPLAINED', 'UNSUBSCRIBED')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, address)
);

-- The key that signs an organization's links to unsubscribe.
CREATE TABLE unsubscribe_keys (
    org_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    secret bytea NOT NULL CHECK (length(secret) = 32)
);

-- +goose Down

DROP TABLE unsubscribe_keys;
DROP TABLE mail_suppressions;
DROP TABLE notifications;
DROP TABLE email_deliveries;
DROP TABLE notification_preferences;
DROP TABLE notification_settings;
