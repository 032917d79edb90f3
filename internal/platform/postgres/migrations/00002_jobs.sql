-- What must be done later, durably. A job is a row; docs/adr/0004-jobs-are-rows.md says why and who writes which column.

-- +goose Up

CREATE TABLE jobs (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    kind            text NOT NULL CHECK (kind <> ''),
    entity_id       uuid NOT NULL,
    state           text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'RUNNING', 'DONE', 'DEAD')),
    attempt         int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts    int NOT NULL CHECK (max_attempts > 0),
    run_at          timestamptz NOT NULL,
    -- Who runs it, and until when the others keep their hands off.
    lease           uuid,
    lease_until     timestamptz,
    -- When the row next wants a worker: run_at while PENDING, lease_until while RUNNING, never afterwards. Package jobs
    -- writes it with every change of state; between two changes a queue moves it while it holds the row.
    due_at          timestamptz,
    -- The queue's hold on the row. Every change of state by package jobs ends it.
    receipt         uuid,
    -- For operators: a code and words about ids, never content.
    last_error_code text,
    last_error      text,
    trace_context   text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    CHECK ((state = 'RUNNING') = (lease IS NOT NULL)),
    CHECK ((state = 'RUNNING') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('DONE', 'DEAD')) = (finished_at IS NOT NULL)),
    CHECK (due_at IS NULL OR state IN ('PENDING', 'RUNNING'))
) WITH (
    -- Rows change several times within seconds and the live ones are few among many: vacuum early.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX jobs_entity ON jobs (org_id, kind, entity_id, id);
-- One waiting and one running job per subject. The first makes a second enqueue a no-op, the second makes jobs about one
-- subject run one after the other.
CREATE UNIQUE INDEX jobs_pending ON jobs (org_id, kind, entity_id) WHERE state = 'PENDING';
CREATE UNIQUE INDEX jobs_running ON jobs (org_id, kind, entity_id) WHERE state = 'RUNNING';
CREATE INDEX jobs_due ON jobs (org_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_next ON jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_in_flight ON jobs (org_id, due_at) WHERE state = 'RUNNING' OR receipt IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (org_id, id) WHERE state = 'DEAD';
CREATE INDEX jobs_done ON jobs (finished_at) WHERE state = 'DONE';

-- +goose Down

DROP TABLE jobs;
