-- How engagements and sessions go on and end: what a sponsor may see, who called off what and why, and what counts
-- against the sessions agreed.

-- +goose Up

-- What the sponsor may see beside the engagement itself. A goal is shared with the sponsor one by one; GOALS lets such
-- sharing have an effect.
ALTER TABLE engagement_sponsors
    ADD COLUMN grants text[] NOT NULL DEFAULT '{SESSION_DATES,PROGRESS,GOALS}'
        CHECK (grants <@ ARRAY['SESSION_DATES', 'PROGRESS', 'GOALS']);

ALTER TABLE engagements
    ADD COLUMN reopened_at   timestamptz,
    ADD COLUMN reopened_by   uuid,
    ADD COLUMN reopen_reason text CHECK (reopen_reason <> ''),
    ADD CHECK (num_nulls(reopened_at, reopened_by, reopen_reason) IN (0, 3)),
    ADD FOREIGN KEY (org_id, reopened_by) REFERENCES memberships (org_id, user_id);
CREATE INDEX engagements_reopened_by ON engagements (org_id, reopened_by) WHERE reopened_by IS NOT NULL;

-- A session that was not held may still use up one of those agreed, if the coach says so.
ALTER TABLE sessions
    ADD COLUMN uses_session        boolean NOT NULL DEFAULT false,
    ADD COLUMN cancelled_at        timestamptz,
    ADD COLUMN cancelled_by        text CHECK (cancelled_by IN ('COACH', 'CLIENT', 'ENGAGEMENT')),
    ADD COLUMN cancelled_late      boolean,
    ADD COLUMN cancellation_reason text CHECK (cancellation_reason <> ''),
    ADD CHECK (num_nulls(cancelled_at, cancelled_by, cancelled_late) IN (0, 3));

-- +goose Down

ALTER TABLE sessions
    DROP COLUMN uses_session,
    DROP COLUMN cancelled_at,
    DROP COLUMN cancelled_by,
    DROP COLUMN cancelled_late,
    DROP COLUMN cancellation_reason;
ALTER TABLE engagements
    DROP COLUMN reopened_at,
    DROP COLUMN reopened_by,
    DROP COLUMN reopen_reason;
ALTER TABLE engagement_sponsors DROP COLUMN grants;
