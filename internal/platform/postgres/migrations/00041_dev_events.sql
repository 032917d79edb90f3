-- The last events of a development installation, for its page /dev/events: where nothing else publishes.

-- +goose Up

CREATE TABLE dev_events (
    id       uuid PRIMARY KEY, -- of the event
    org_id   uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    place    bigint GENERATED ALWAYS AS IDENTITY,
    document json NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dev_events_org ON dev_events (org_id);
CREATE UNIQUE INDEX dev_events_place ON dev_events (place);

-- +goose Down

DROP TABLE dev_events;
