-- Who a language model takes a speaker for, beside what rules make of it: both are looked at whenever roles are suggested anew. And what
-- an organization's owners let models cost in a month.

-- +goose Up

ALTER TABLE speakers
    ADD COLUMN proposed_role text CHECK (proposed_role IN ('COACH', 'CLIENT', 'OTHER')),
    ADD COLUMN proposed_confidence float8 CHECK (proposed_confidence BETWEEN 0 AND 1),
    ADD CONSTRAINT speakers_proposal CHECK ((proposed_role IS NULL) = (proposed_confidence IS NULL));

ALTER TABLE organizations ADD COLUMN model_monthly_limit_micros bigint CHECK (model_monthly_limit_micros >= 0);

-- +goose Down

ALTER TABLE organizations DROP COLUMN model_monthly_limit_micros;
ALTER TABLE speakers DROP CONSTRAINT speakers_proposal, DROP COLUMN proposed_confidence, DROP COLUMN proposed_role;
