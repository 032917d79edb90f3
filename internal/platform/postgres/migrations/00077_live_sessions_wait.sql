-- +goose Up

-- A live session whose session is over while a consent is missing: nothing is added to it, and what was said waits.
ALTER TABLE live_sessions ADD COLUMN waits boolean NOT NULL DEFAULT false;

-- +goose Down

ALTER TABLE live_sessions DROP COLUMN waits;
