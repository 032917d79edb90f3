-- What asking a model has to wait for, where its service does not take our requests, and where vectors are to be made; docs/adr/0042-vectors-wait.md.

-- +goose Up

ALTER TABLE analysis_runs DROP CONSTRAINT analysis_runs_waiting_for_check,
    ADD CONSTRAINT analysis_runs_waiting_for_check CHECK (waiting_for IN ('SERVICE', 'ACCESS', 'TURN', 'SPENDING_LIMIT')) NOT VALID;

-- Why the jobs that make an organization's vectors wait, and until when none of them asks the model.
CREATE TABLE search_waits (
    org_id      uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    waiting_for text NOT NULL CHECK (waiting_for IN ('SERVICE', 'ACCESS', 'TURN', 'SPENDING_LIMIT')),
    since       timestamptz NOT NULL,
    resumes_at  timestamptz NOT NULL
);

-- +goose Down

DROP TABLE search_waits;
UPDATE analysis_runs SET waiting_for = 'SERVICE' WHERE waiting_for = 'ACCESS';
ALTER TABLE analysis_runs DROP CONSTRAINT analysis_runs_waiting_for_check,
    ADD CONSTRAINT analysis_runs_waiting_for_check CHECK (waiting_for IN ('SERVICE', 'TURN', 'SPENDING_LIMIT'));
