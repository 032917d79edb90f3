-- Who did what to which thing, and when: ids and names of fields, never a value. docs/adr/0015 says why it is built so.
--
-- A row is inserted in the transaction of what it tells of, without a number, and takes no lock that another writer
-- would wait for. A sealer gives committed rows their numbers and a digest each, in batches; each seal's hash covers the
-- seal before it and the digests. Nothing refers to actor, thing or client: rows outlive them.

-- +goose Up

CREATE TABLE audit_events (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id   uuid,          -- the person; NULL is the system or an operator
    request_id text NOT NULL DEFAULT '' CHECK (length(request_id) <= 64),
    action     text NOT NULL CHECK (action ~ '^[a-z][A-Za-z]{0,40}\.[a-z][A-Za-z]{0,40}$'),
    kind       text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,40}$'), -- prefix of the thing's id
    entity_id  uuid NOT NULL,
    client_id  uuid,          -- whom it is about
    -- Names, which a check can tell from most values: no spaces, no @, nothing long.
    fields     text[] NOT NULL DEFAULT '{}' CHECK (
        fields = '{}' OR array_to_string(fields, ',', '?') ~ '^[A-Za-z][A-Za-z0-9.]{0,63}(,[A-Za-z][A-Za-z0-9.]{0,63})*$'),
    seq        bigint,        -- place in the organization's chain, once sealed
    digest     bytea CHECK (octet_length(digest) = 32),
    CHECK ((seq IS NULL) = (digest IS NULL)),
    UNIQUE (org_id, id)
);
CREATE INDEX audit_events_at ON audit_events (org_id, at, id);
CREATE INDEX audit_events_actor ON audit_events (org_id, actor_id, at, id);
CREATE INDEX audit_events_entity ON audit_events (org_id, entity_id, at, id);
CREATE INDEX audit_events_client ON audit_events (org_id, client_id, at, id) WHERE client_id IS NOT NULL;
CREATE UNIQUE INDEX audit_events_seq ON audit_events (org_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_events_unsealed ON audit_events (org_id, at, id) WHERE seq IS NULL;

CREATE TABLE audit_seals (
    org_id    uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    number    bigint NOT NULL CHECK (number > 0),
    first_seq bigint NOT NULL CHECK (first_seq > 0),
    last_seq  bigint NOT NULL CHECK (last_seq >= first_seq),
    previous  bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, number),
    UNIQUE (org_id, first_seq)
);

-- Rows go with their organization as a whole and not otherwise.
-- +goose StatementBegin
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM organizations WHERE id = OLD.org_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER append_only BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER not_sealed_yet BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.seq IS NOT NULL) EXECUTE FUNCTION audit_append_only();
-- The sealer's update is the only one: once, from no number to a number, and nothing beside.
CREATE TRIGGER sealed_once BEFORE UPDATE ON audit_events FOR EACH ROW
    WHEN (OLD.seq IS NOT NULL OR NEW.seq IS NULL
        OR (OLD.id, OLD.org_id, OLD.at, OLD.actor_id, OLD.request_id, OLD.action, OLD.kind, OLD.entity_id, OLD.client_id, OLD.fields)
        IS DISTINCT FROM
           (NEW.id, NEW.org_id, NEW.at, NEW.actor_id, NEW.request_id, NEW.action, NEW.kind, NEW.entity_id, NEW.client_id, NEW.fields))
    EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_seals FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

-- +goose Down

DROP TABLE audit_seals, audit_events;
DROP FUNCTION audit_append_only;
