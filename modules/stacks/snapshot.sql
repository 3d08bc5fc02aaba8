-- The read database: the mirrored tables, how many documents there are, and their words.

CREATE TABLE document (
    id       INTEGER PRIMARY KEY,
    slug     TEXT NOT NULL UNIQUE,
    title    TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL
);

CREATE INDEX document_by_revision ON document (revision) WHERE revision > 0;

CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);

-- One row: counting them all would read them all.
CREATE TABLE tally (
    id        INTEGER PRIMARY KEY,
    documents INTEGER NOT NULL
);
INSERT INTO tally (id, documents) VALUES (1, 0);

CREATE TRIGGER tally_after_insert AFTER INSERT ON document BEGIN
    UPDATE tally SET documents = documents + 1;
END;

CREATE TRIGGER tally_after_delete AFTER DELETE ON document BEGIN
    UPDATE tally SET documents = documents - 1;
END;

-- Full text. The text stays in `document`; only the index is kept here.
CREATE VIRTUAL TABLE document_text USING fts5 (title, body, content = 'document', content_rowid = 'id');

CREATE TRIGGER text_after_insert AFTER INSERT ON document BEGIN
    INSERT INTO document_text (rowid, title, body) VALUES (new.id, new.title, new.body);
END;

-- An external index has to be told what it is to forget.
CREATE TRIGGER text_after_update AFTER UPDATE OF id, title, body ON document
WHEN new.id IS NOT old.id OR new.title IS NOT old.title OR new.body IS NOT old.body BEGIN
    INSERT INTO document_text (document_text, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
    INSERT INTO document_text (rowid, title, body) VALUES (new.id, new.title, new.body);
END;

CREATE TRIGGER text_after_delete AFTER DELETE ON document BEGIN
    INSERT INTO document_text (document_text, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
END;
