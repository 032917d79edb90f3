-- What a client works towards, what is to be done for it, and who is to do it.

-- +goose Up

CREATE TABLE goals (
    id                  uuid PRIMARY KEY,
    org_id              uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id           uuid NOT NULL,
    coach_id            uuid NOT NULL,
    engagement_id       uuid,
    title               text NOT NULL CHECK (title <> ''),
    description         text CHECK (description <> ''),
    status              text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'ACHIEVED', 'ABANDONED')),
    target_on           date,
    shared_with_sponsor boolean NOT NULL DEFAULT false,
    version             int NOT NULL DEFAULT 1,
    closed_at           timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, id, client_id),
    CHECK ((status = 'OPEN') = (closed_at IS NULL)),
    CHECK (engagement_id IS NOT NULL OR NOT shared_with_sponsor), -- sponsors belong to engagements
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, engagement_id, client_id, coach_id)
        REFERENCES engagements (org_id, id, client_id, coach_id) ON UPDATE CASCADE
);
CREATE INDEX goals_client ON goals (org_id, client_id, created_at, id);
CREATE INDEX goals_coach ON goals (org_id, coach_id, created_at, id);
CREATE INDEX goals_engagement ON goals (org_id, engagement_id, client_id, coach_id);
CREATE INDEX goals_created ON goals (org_id, created_at, id);

-- Check-ins are only added. A correction is a check-in of its own and takes the place in time, as_of, of the one it corrects.
CREATE TABLE goal_check_ins (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    goal_id     uuid NOT NULL,
    score       int NOT NULL CHECK (score BETWEEN 0 AND 10),
    note        text CHECK (note <> ''),
    author_id   uuid NOT NULL,
    corrects_id uuid,
    as_of       timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, corrects_id),
    FOREIGN KEY (org_id, goal_id) REFERENCES goals (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, author_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, corrects_id) REFERENCES goal_check_ins (org_id, id) ON DELETE CASCADE
);
CREATE INDEX goal_check_ins_goal ON goal_check_ins (org_id, goal_id, as_of, id);
CREATE INDEX goal_check_ins_author ON goal_check_ins (org_id, author_id);

CREATE TABLE goal_links (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    goal_id    uuid NOT NULL,
    session_id uuid,
    insight_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(session_id, insight_id) = 1),
    UNIQUE (org_id, goal_id, session_id),
    UNIQUE (org_id, goal_id, insight_id),
    FOREIGN KEY (org_id, goal_id) REFERENCES goals (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, insight_id) REFERENCES insights (org_id, id) ON DELETE CASCADE
);
CREATE INDEX goal_links_session ON goal_links (org_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX goal_links_insight ON goal_links (org_id, insight_id) WHERE insight_id IS NOT NULL;

-- due_at is the end of the day due_on where the last of the assignees is; each assignee's own is in action_assignees.
CREATE TABLE action_items (
    id                uuid PRIMARY KEY,
    org_id            uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id         uuid NOT NULL,
    coach_id          uuid NOT NULL,
    engagement_id     uuid,
    session_id        uuid,
    goal_id           uuid,
    source_insight_id uuid,
    title             text NOT NULL CHECK (title <> ''),
    description       text CHECK (description <> ''),
    status            text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('PROPOSED', 'OPEN', 'IN_PROGRESS', 'DONE', 'WONT_DO')),
    due_on            date,
    due_at            timestamptz,
    created_by        uuid NOT NULL,
    version           int NOT NULL DEFAULT 1,
    started_at        timestamptz,
    completed_at      timestamptz,
    status_changed_at timestamptz NOT NULL DEFAULT now(),
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    UNIQUE (org_id, source_insight_id),
    CHECK ((status = 'DONE') = (completed_at IS NOT NULL)),
    CHECK ((due_on IS NULL) = (due_at IS NULL)),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, coach_id) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, engagement_id, client_id, coach_id)
        REFERENCES engagements (org_id, id, client_id, coach_id) ON UPDATE CASCADE,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE SET NULL (session_id),
    FOREIGN KEY (org_id, goal_id, client_id) REFERENCES goals (org_id, id, client_id) ON DELETE SET NULL (goal_id),
    FOREIGN KEY (org_id, source_insight_id) REFERENCES insights (org_id, id) ON DELETE SET NULL (source_insight_id),
    FOREIGN KEY (org_id, created_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX action_items_client ON action_items (org_id, client_id, due_at, id);
CREATE INDEX action_items_coach ON action_items (org_id, coach_id, due_at, id);
CREATE INDEX action_items_engagement ON action_items (org_id, engagement_id, client_id, coach_id);
CREATE INDEX action_items_session ON action_items (org_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX action_items_goal ON action_items (org_id, goal_id, client_id);
CREATE INDEX action_items_created_by ON action_items (org_id, created_by);

CREATE TABLE action_assignees (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    action_id  uuid NOT NULL,
    user_id    uuid,
    client_id  uuid,
    due_at     timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(user_id, client_id) = 1), -- a client, with a login or without, is one by client_id
    UNIQUE (org_id, action_id, user_id),
    UNIQUE (org_id, action_id, client_id),
    FOREIGN KEY (org_id, action_id) REFERENCES action_items (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE
);
CREATE INDEX action_assignees_user ON action_assignees (org_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX action_assignees_client ON action_assignees (org_id, client_id) WHERE client_id IS NOT NULL;

-- +goose Down

DROP TABLE action_assignees, action_items, goal_links, goal_check_ins, goals;
