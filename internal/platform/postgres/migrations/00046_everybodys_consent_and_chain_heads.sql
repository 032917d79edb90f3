-- Whose consent counts, and where each audit trail ends.
--
-- sessions.consents is what all who take part have in common, but for the coach, who holds the session: whoever is heard in a
-- conversation has a say in what is done with it, client or not. Without a client in it, nobody's consent is enough.
--
-- audit_heads says how far the chain of an organization goes. Without it a chain whose last seals are gone, with their rows, is a whole
-- one that is shorter.

-- +goose Up

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION repeat_consents(organization uuid, changed uuid[]) RETURNS void LANGUAGE plpgsql AS $$
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
            WHERE (SELECT bool_and(a.scope = ANY (p.consents)) AND bool_or(p.role = 'CLIENT') FROM participants p
                WHERE p.org_id = organization AND p.session_id = m.id AND p.role <> 'COACH')
            ORDER BY a.place) AS consents
        FROM unnest(changed) AS m (id)
    ) n
    WHERE s.org_id = organization AND s.id = n.id AND s.consents IS DISTINCT FROM n.consents;
END $$;
-- +goose StatementEnd

SELECT repeat_consents(org_id, array_agg(DISTINCT session_id)) FROM participants WHERE role NOT IN ('COACH', 'CLIENT') GROUP BY org_id;

CREATE TABLE audit_heads (
    org_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    number bigint NOT NULL CHECK (number > 0),     -- of the last seal
    seq    bigint NOT NULL CHECK (seq >= number),  -- of its last row: how many there are
    hash   bytea NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO audit_heads (org_id, number, seq, hash)
SELECT DISTINCT ON (org_id) org_id, number, last_seq, hash FROM audit_seals ORDER BY org_id, number DESC;

-- A head goes forward, and with its organization.
CREATE TRIGGER append_only BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER forward BEFORE UPDATE ON audit_heads FOR EACH ROW
    WHEN (NEW.org_id <> OLD.org_id OR NEW.number <= OLD.number OR NEW.seq <= OLD.seq) EXECUTE FUNCTION audit_append_only();

-- +goose Down

DROP TABLE audit_heads;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION repeat_consents(organization uuid, changed uuid[]) RETURNS void LANGUAGE plpgsql AS $$
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

SELECT repeat_consents(org_id, array_agg(DISTINCT session_id)) FROM participants WHERE role NOT IN ('COACH', 'CLIENT') GROUP BY org_id;
