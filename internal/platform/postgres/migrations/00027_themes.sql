-- What comes up in several of a client's sessions with a coach.

-- +goose Up

-- A theme holds what people have decided about it, and the topic that tells it from others. Which insights are of it they say
-- themselves; whatever is shown of a theme is computed from those that the viewer may see.
CREATE TABLE themes (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id      uuid NOT NULL,
    coach_id       uuid NOT NULL,
    key            text NOT NULL CHECK (key <> ''),   -- of its topic: theme.Key
    topic          text NOT NULL CHECK (topic <> ''), -- as an analyser said it first
    label          text CHECK (label <> ''),          -- what a person calls it
    merged_into_id uuid,                              -- never into one that was merged itself
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, id, client_id, coach_id),
    UNIQUE (org_id, client_id, coach_id, key),
    CHECK (merged_into_id <> id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, merged_into_id, client_id, coach_id) REFERENCES themes (org_id, id, client_id, coach_id) ON DELETE CASCADE
);
CREATE INDEX themes_coach ON themes (org_id, coach_id);
CREATE INDEX themes_merged ON themes (org_id, merged_into_id, client_id, coach_id) WHERE merged_into_id IS NOT NULL;

ALTER TABLE insights ADD COLUMN theme_id uuid,
    ADD FOREIGN KEY (org_id, theme_id) REFERENCES themes (org_id, id) ON DELETE SET NULL (theme_id);
CREATE INDEX insights_theme ON insights (org_id, theme_id) WHERE theme_id IS NOT NULL;

-- What was found before is of no theme yet. The analyser finds it again, and says of which it is; what people have decided about it stays.
INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, due_at)
SELECT gen_random_uuid(), i.org_id, 'transcript.analyse', i.transcript_id, 10, now(), now()
FROM insights i JOIN transcripts t ON t.org_id = i.org_id AND t.id = i.transcript_id
WHERE i.kind = 'THEME' AND i.retracted_at IS NULL AND t.status = 'READY' AND t.archived_at IS NULL
GROUP BY i.org_id, i.transcript_id
ON CONFLICT DO NOTHING;

-- +goose Down

ALTER TABLE insights DROP COLUMN theme_id;
DROP TABLE themes;
