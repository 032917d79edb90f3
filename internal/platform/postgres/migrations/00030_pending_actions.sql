-- What is still to be done, by when it is due: a home screen asks for it, in a practice that has done thousands of things.

-- +goose Up

CREATE INDEX action_items_pending ON action_items (org_id, due_at, id) WHERE status IN ('OPEN', 'IN_PROGRESS');

-- +goose Down

DROP INDEX action_items_pending;
