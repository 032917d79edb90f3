-- Searches are kept beside the filters of sessions: a search is a filter, or none, and what is looked for through it.

-- +goose Up

ALTER TABLE saved_filters
    ALTER COLUMN filter DROP NOT NULL, -- a mere filter has one
    ADD COLUMN query text,             -- what is looked for, as it was typed; NULL: a mere filter
    ADD COLUMN search jsonb;           -- how: mode, kinds, groupBy, orderBy
ALTER TABLE saved_filters ADD CONSTRAINT saved_filters_is_one CHECK (
    CASE WHEN query IS NULL THEN filter IS NOT NULL AND search IS NULL ELSE coalesce(jsonb_typeof(search) = 'object', false) END) NOT VALID;

-- +goose Down

DELETE FROM saved_filters WHERE query IS NOT NULL;
ALTER TABLE saved_filters DROP CONSTRAINT saved_filters_is_one;
ALTER TABLE saved_filters DROP COLUMN search, DROP COLUMN query, ALTER COLUMN filter SET NOT NULL;
