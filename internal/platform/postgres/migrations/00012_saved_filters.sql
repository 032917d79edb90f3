-- The filters of sessions that people keep under a name.

-- +goose Up

CREATE TABLE saved_filters (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id   uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    -- Of the shape of filter. Ids in it are of things that may be gone: they find nothing.
    version    int NOT NULL CHECK (version > 0),
    filter     jsonb NOT NULL CHECK (jsonb_typeof(filter) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, owner_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX saved_filters_name ON saved_filters (org_id, owner_id, lower(name));

-- +goose Down

DROP TABLE saved_filters;
