-- That a transcript is no longer shared with its client, or put away, is seen by the streams of the live session that it came of.

-- +goose Up

CREATE TRIGGER access_transcripts_changed AFTER UPDATE ON transcripts REFERENCING OLD TABLE AS was NEW TABLE AS now_rows
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed('o.session_id', 'o.shared_with_client AND NOT n.shared_with_client OR o.archived_at IS NULL AND n.archived_at IS NOT NULL');

-- +goose Down

DROP TRIGGER access_transcripts_changed ON transcripts;
