-- What a language model is shown of who people are: their names as they were said, or placeholders.

-- +goose Up

ALTER TABLE organizations ADD COLUMN model_sees text NOT NULL DEFAULT 'NAMES' CHECK (model_sees IN ('NAMES', 'PLACEHOLDERS'));

-- +goose Down

ALTER TABLE organizations DROP COLUMN model_sees;
