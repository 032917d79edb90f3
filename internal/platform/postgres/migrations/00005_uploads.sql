-- Transcripts that come as files by a link, and are read by a job.
--
-- Until it is read a file has no format. blob_key is where the original lies; without one it stands in
-- transcript_originals. wanted_format is what the person said the file is.

-- +goose Up

ALTER TABLE transcripts
    ALTER COLUMN format DROP NOT NULL,
    ADD COLUMN blob_key text,
    ADD COLUMN wanted_format text;
CREATE INDEX transcripts_uploading ON transcripts (created_at) WHERE status = 'UPLOADING';

-- +goose Down

DROP INDEX transcripts_uploading;
UPDATE transcripts SET format = 'TEXT' WHERE format IS NULL;
ALTER TABLE transcripts
    DROP COLUMN wanted_format,
    DROP COLUMN blob_key,
    ALTER COLUMN format SET NOT NULL;
