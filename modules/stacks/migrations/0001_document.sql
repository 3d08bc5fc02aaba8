-- The write store.

CREATE TABLE document (
    id       INTEGER PRIMARY KEY,
    slug     TEXT NOT NULL UNIQUE,
    title    TEXT NOT NULL,
    body     TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0  -- counts writes: the one that wrote it last; 0 came with the data
);

-- The newest one is looked up at each write.
CREATE INDEX document_by_revision ON document (revision) WHERE revision > 0;

-- Pushed again and again, always both, always equal.
CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO one (id, n) VALUES (1, 0);
INSERT INTO other (id, n) VALUES (1, 0);
