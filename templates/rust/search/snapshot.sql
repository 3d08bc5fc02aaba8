-- The read database: what every node has a copy of. Mirrored rows arrive in `book`; triggers derive the rest.

CREATE TABLE book (
    id     INTEGER PRIMARY KEY,
    title  TEXT NOT NULL,
    author TEXT NOT NULL,
    year   INTEGER NOT NULL,
    about  TEXT NOT NULL
);

-- The list without words is in the order of titles.
CREATE INDEX book_by_title ON book (title);

-- The text stays in `book`; only the index is kept here. The prefix index makes `wha*` as quick as a word.
CREATE VIRTUAL TABLE book_text USING fts5 (
    title, author, about,
    content = 'book', content_rowid = 'id', prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

-- A word in the title says most.
INSERT INTO book_text (book_text, rank) VALUES ('rank', 'bm25(6.0, 4.0, 1.0)');

CREATE TRIGGER book_text_insert AFTER INSERT ON book BEGIN
    INSERT INTO book_text (rowid, title, author, about) VALUES (new.id, new.title, new.author, new.about);
END;

-- An index without its own text has to be told what it is to forget.
CREATE TRIGGER book_text_delete AFTER DELETE ON book BEGIN
    INSERT INTO book_text (book_text, rowid, title, author, about)
        VALUES ('delete', old.id, old.title, old.author, old.about);
END;

CREATE TRIGGER book_text_update AFTER UPDATE ON book BEGIN
    INSERT INTO book_text (book_text, rowid, title, author, about)
        VALUES ('delete', old.id, old.title, old.author, old.about);
    INSERT INTO book_text (rowid, title, author, about) VALUES (new.id, new.title, new.author, new.about);
END;
