-- What people have consented to: which text, when, to whom they said it, and when they took it back.
--
-- A record names whose consent it is: a client's, which holds for all of the client's sessions; a participant's, who is no
-- client; or both, a client's for that one session. Nothing is overwritten: a withdrawal ends a record, a new consent is a new one.
--
-- participants.consents and sessions.consents repeat what is in force, so that every statement that reads a conversation can
-- ask the session's row: of a participant the scopes of the records that hold, of a session those that all its clients have in
-- common. The database keeps them by triggers, whoever writes participants or consents. docs/adr/0016-consent-is-a-record.md

-- +goose Up

CREATE TABLE consent_texts (
    org_id       uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    scope        text NOT NULL CHECK (scope IN ('RECORDING', 'TRANSCRIPTION', 'AI_ANALYSIS', 'SUPERVISION', 'SHARE_WITH_ORG')),
    version      int NOT NULL CHECK (version > 1), -- the first is built in
    text         text NOT NULL CHECK (text <> ''),
    published_by uuid NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, scope, version),
    FOREIGN KEY (org_id, published_by) REFERENCES memberships (org_id, user_id)
);
CREATE INDEX consent_texts_published_by ON consent_texts (org_id, published_by);

CREATE TABLE consents (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    client_id      uuid,
    participant_id uuid,
    scope          text NOT NULL CHECK (scope IN ('RECORDING', 'TRANSCRIPTION', 'AI_ANALYSIS', 'SUPERVISION', 'SHARE_WITH_ORG')),
    text_version   int CHECK (text_version > 0), -- NULL: nobody recorded it
    source         text NOT NULL CHECK (source IN ('IN_APP', 'IN_PERSON', 'FORM', 'EMAIL', 'ON_RECORD', 'UNKNOWN')),
    given_at       timestamptz NOT NULL DEFAULT now(),
    recorded_by    uuid,
    withdrawn_at   timestamptz,
    withdrawn_by   uuid,
    UNIQUE (org_id, id),
    CHECK (num_nonnulls(client_id, participant_id) > 0),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, participant_id) REFERENCES participants (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, recorded_by) REFERENCES memberships (org_id, user_id),
    FOREIGN KEY (org_id, withdrawn_by) REFERENCES memberships (org_id, user_id)
);
CREATE UNIQUE INDEX consents_in_force ON consents (org_id, client_id, participant_id, scope, text_version)
    NULLS NOT DISTINCT WHERE withdrawn_at IS NULL;
CREATE INDEX consents_client ON consents (org_id, client_id);
CREATE INDEX consents_participant ON consents (org_id, participant_id);
CREATE INDEX consents_recorded_by ON consents (org_id, recorded_by);
CREATE INDEX consents_withdrawn_by ON consents (org_id, withdrawn_by);

-- What was stored before stays what it was: a consent to one session, of which nobody recorded text or source.
INSERT INTO consents (id, org_id, client_id, participant_id, scope, source, given_at)
SELECT gen_random_uuid(), org_id, client_id, id, unnest(consents), 'UNKNOWN', created_at FROM participants;

ALTER TABLE sessions ADD COLUMN consents text[] NOT NULL DEFAULT '{}';

-- The sessions are locked first, so that two changes of what holds for one session wait for each other, and the second sees
-- what the first has written.
-- +goose StatementBegin
CREATE FUNCTION repeat_consents(organization uuid, changed uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sessions WHERE org_id = organization AND id = ANY (changed) ORDER BY id FOR NO KEY UPDATE;

    UPDATE participants p SET consents = n.consents
    FROM (
        SELECT q.id, ARRAY(
            SELECT a.scope FROM unnest(ARRAY['RECORDING', 'TRANSCRIPTION', 'AI_ANALYSIS', 'SUPERVISION', 'SHARE_WITH_ORG'])
                WITH ORDINALITY AS a (scope, place)
            WHERE EXISTS (SELECT FROM consents k WHERE k.org_id = organization AND k.participant_id = q.id
                    AND k.scope = a.scope AND k.withdrawn_at IS NULL)
                OR EXISTS (SELECT FROM consents k WHERE k.org_id = organization AND k.client_id = q.client_id AND k.participant_id IS NULL
                    AND k.scope = a.scope AND k.withdrawn_at IS NULL)
            ORDER BY a.place) AS consents
        FROM participants q WHERE q.org_id = organization AND q.session_id = ANY (changed)
    ) n
    WHERE p.org_id = organization AND p.id = n.id AND p.consents IS DISTINCT FROM n.consents;

    UPDATE sessions s SET consents = n.consents
    FROM (
        SELECT m.id, ARRAY(
            SELECT a.scope FROM unnest(ARRAY['RECORDING', 'TRANSCRIPTION', 'AI_ANALYSIS', 'SUPERVISION', 'SHARE_WITH_ORG'])
                WITH ORDINALITY AS a (scope, place)
            WHERE (SELECT bool_and(a.scope = ANY (p.consents)) FROM participants p
                WHERE p.org_id = organization AND p.session_id = m.id AND p.role = 'CLIENT')
            ORDER BY a.place) AS consents
        FROM unnest(changed) AS m (id)
    ) n
    WHERE s.org_id = organization AND s.id = n.id AND s.consents IS DISTINCT FROM n.consents;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION participants_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM repeat_consents(org_id, array_agg(DISTINCT session_id)) FROM added GROUP BY org_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION participants_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM repeat_consents(OLD.org_id, ARRAY[OLD.session_id]);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION consents_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM repeat_consents(a.org_id, array_agg(DISTINCT p.session_id))
    FROM added a JOIN participants p ON p.org_id = a.org_id AND (p.id = a.participant_id OR p.client_id = a.client_id AND a.participant_id IS NULL)
    GROUP BY a.org_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION consents_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM repeat_consents(OLD.org_id, array_agg(DISTINCT p.session_id)) FROM participants p
    WHERE p.org_id = OLD.org_id AND (p.id = OLD.participant_id OR p.client_id = OLD.client_id AND OLD.participant_id IS NULL)
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER participants_added AFTER INSERT ON participants
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION participants_added();
CREATE TRIGGER participants_changed AFTER UPDATE OF role, client_id OR DELETE ON participants
    FOR EACH ROW EXECUTE FUNCTION participants_changed();
CREATE TRIGGER consents_added AFTER INSERT ON consents
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION consents_added();
CREATE TRIGGER consents_changed AFTER UPDATE OF withdrawn_at OR DELETE ON consents
    FOR EACH ROW EXECUTE FUNCTION consents_changed();

SELECT repeat_consents(org_id, array_agg(id)) FROM sessions GROUP BY org_id;

-- +goose Down

DROP TRIGGER participants_added ON participants;
DROP TRIGGER participants_changed ON participants;
DROP TABLE consents, consent_texts;
DROP FUNCTION participants_added, participants_changed, consents_added, consents_changed, repeat_consents;
ALTER TABLE sessions DROP COLUMN consents;
