-- Language models that are paid by the token: what an organization has spent on them, what it is asking them right now, and what an
-- analysis waits for that could not ask.

-- +goose Up

-- What was spent, by month (UTC) and model. It outlives the analyses it was spent on: erasing a conversation gives no money back.
CREATE TABLE model_spending (
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    month         date NOT NULL,
    model         text NOT NULL,
    calls         int NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    PRIMARY KEY (org_id, month, model)
);

-- The calls under way, each with the most that it can cost. One whose process died expires, and then counts as having cost that.
CREATE TABLE model_calls (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    model         text NOT NULL,
    input_tokens  int NOT NULL,
    output_tokens int NOT NULL,
    cost_micros   bigint NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX model_calls_org ON model_calls (org_id, expires_at);

ALTER TABLE analysis_runs
    ADD COLUMN waiting_for text CHECK (waiting_for IN ('SERVICE', 'TURN', 'SPENDING_LIMIT')),
    ADD COLUMN resumes_at timestamptz;

-- +goose Down

ALTER TABLE analysis_runs DROP COLUMN resumes_at, DROP COLUMN waiting_for;
DROP TABLE model_calls;
DROP TABLE model_spending;
