-- Every row of saved_filters is a filter or a search (00064).

-- +goose Up

ALTER TABLE saved_filters VALIDATE CONSTRAINT saved_filters_is_one;

-- +goose Down

ALTER TABLE saved_filters DROP CONSTRAINT saved_filters_is_one;
ALTER TABLE saved_filters ADD CONSTRAINT saved_filters_is_one CHECK (
    CASE WHEN query IS NULL THEN filter IS NOT NULL AND search IS NULL ELSE coalesce(jsonb_typeof(search) = 'object', false) END) NOT VALID;
