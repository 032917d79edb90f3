-- What telling people of actions and mailing invitations needs to know.

-- +goose Up

-- The day for which an assignee was told that the action is due. An action that is moved to another day differs from it, and is told of again.
ALTER TABLE action_assignees ADD COLUMN told_due_on date;
CREATE INDEX action_items_due ON action_items (due_on, id) WHERE status IN ('OPEN', 'IN_PROGRESS');

-- The hashes of the tokens in the mails that invite, beside that of the token which was shown: a mail has a token of its own.
ALTER TABLE invitations ADD COLUMN mailed_hashes bytea[] NOT NULL DEFAULT '{}';
CREATE INDEX invitations_mailed ON invitations USING gin (mailed_hashes);

-- A mail goes to a member, or to who is invited and is none yet.
ALTER TABLE email_deliveries
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN invitation_id uuid,
    ADD CONSTRAINT email_deliveries_recipient CHECK (num_nonnulls(user_id, invitation_id) = 1),
    ADD CONSTRAINT email_deliveries_invitation FOREIGN KEY (org_id, invitation_id) REFERENCES invitations (org_id, id) ON DELETE CASCADE;
CREATE INDEX email_deliveries_of_invitation ON email_deliveries (org_id, invitation_id, created_at, id);
CREATE INDEX email_deliveries_of_person ON email_deliveries (org_id, user_id, created_at, id);

-- +goose Down

DELETE FROM email_deliveries WHERE user_id IS NULL;
DROP INDEX email_deliveries_of_person, email_deliveries_of_invitation;
ALTER TABLE email_deliveries
    DROP CONSTRAINT email_deliveries_invitation,
    DROP CONSTRAINT email_deliveries_recipient,
    DROP COLUMN invitation_id,
    ALTER COLUMN user_id SET NOT NULL;
DROP INDEX invitations_mailed;
ALTER TABLE invitations DROP COLUMN mailed_hashes;
DROP INDEX action_items_due;
ALTER TABLE action_assignees DROP COLUMN told_due_on;
