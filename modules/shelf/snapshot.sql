-- The read database: what every node has a copy of. Mirrored rows arrive here as they are; triggers derive the rest.

CREATE TABLE book (
    id     INTEGER PRIMARY KEY,
    title  TEXT NOT NULL,
    author TEXT NOT NULL,
    year   INTEGER,
    about  TEXT NOT NULL
);

CREATE TABLE note (
    id         INTEGER PRIMARY KEY,
    book       INTEGER NOT NULL,
    text       TEXT NOT NULL,
    reader     TEXT NOT NULL,
    written_at INTEGER NOT NULL
);

CREATE INDEX note_by_book ON note (book);
CREATE INDEX note_by_reader ON note (reader);

CREATE VIRTUAL TABLE book_text USING fts5 (title, author, about, tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER text_after_insert AFTER INSERT ON book BEGIN
    INSERT INTO book_text (rowid, title, author, about) VALUES (new.id, new.title, new.author, new.about);
END;

CREATE TRIGGER text_after_update AFTER UPDATE ON book BEGIN
    UPDATE book_text SET title = new.title, author = new.author, about = new.about WHERE rowid = new.id;
END;

CREATE TRIGGER text_after_delete AFTER DELETE ON book BEGIN
    DELETE FROM book_text WHERE rowid = old.id;
END;
