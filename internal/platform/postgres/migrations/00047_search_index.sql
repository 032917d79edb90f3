-- What internal/platform/textsearch/postgres keeps: copies that are found by their words. All of it can be made again.
--
-- words holds each word twice, as it stands ("=decisions") and as the form it shares with others in its language
-- ("en:decis"), behind a few letters of a hash of the organization: so an index over all organizations finds those of one.

-- +goose Up

-- Copies of the index: the one in use, and, for the time of a rebuild, the next one.
CREATE TABLE search_generations (
    id         int PRIMARY KEY,
    live       boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX search_generations_live ON search_generations (live) WHERE live;
INSERT INTO search_generations (id, live) VALUES (1, true);

CREATE TABLE search_documents (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    generation int NOT NULL,
    id         text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    group_key  text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    language   text NOT NULL,
    at         timestamptz NOT NULL,
    length     int NOT NULL, -- in words
    keywords   jsonb NOT NULL,
    texts      jsonb NOT NULL,
    words      tsvector NOT NULL,
    PRIMARY KEY (org_id, generation, id)
);
CREATE INDEX search_documents_words ON search_documents USING gin (words);
CREATE INDEX search_documents_group ON search_documents (org_id, generation, group_key);
CREATE INDEX search_documents_at ON search_documents (org_id, generation, at DESC, id);
CREATE INDEX search_documents_language ON search_documents (org_id, generation, language);

-- How many documents have a word: the rare ones say more. Near spellings are looked for here, too. The word '' counts all documents.
CREATE TABLE search_words (
    org_id     uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    generation int NOT NULL,
    word       text COLLATE "C" NOT NULL,
    documents  int NOT NULL,
    PRIMARY KEY (org_id, generation, word)
) WITH (fillfactor = 70);

-- What can be completed to, from each of its words on.
CREATE TABLE search_completions (
    org_id      uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    generation  int NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    rest        text COLLATE "C" NOT NULL, -- folded
    text        text NOT NULL,
    FOREIGN KEY (org_id, generation, document_id) REFERENCES search_documents (org_id, generation, id) ON DELETE CASCADE
);
CREATE INDEX search_completions_rest ON search_completions (org_id, generation, rest);
CREATE INDEX search_completions_document ON search_completions (org_id, generation, document_id);

-- +goose Down

DROP TABLE search_completions, search_words, search_documents, search_generations;
