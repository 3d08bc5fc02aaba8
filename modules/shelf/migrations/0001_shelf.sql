-- The write store, at the origin. A migration runs once, at the push that brings it; add new ones, change none.

CREATE TABLE book (
    id     INTEGER PRIMARY KEY,
    title  TEXT NOT NULL,
    author TEXT NOT NULL,
    year   INTEGER,
    about  TEXT NOT NULL
);

INSERT INTO book (title, author, year, about) VALUES
    ('Frankenstein', 'Mary Shelley', 1818, 'A student makes a living being, and will not look after it.'),
    ('Middlemarch', 'George Eliot', 1871, 'A town, its marriages, and what becomes of good intentions.'),
    ('Moby-Dick', 'Herman Melville', 1851, 'A captain hunts the white whale that took his leg.'),
    ('The Epic of Gilgamesh', 'unknown', NULL, 'A king loses his friend and goes to look for a way not to die.');

CREATE TABLE note (
    id         INTEGER PRIMARY KEY,
    book       INTEGER NOT NULL REFERENCES book (id),
    text       TEXT NOT NULL,
    reader     TEXT NOT NULL,    -- a digest of what is in the reader's cookie
    written_at INTEGER NOT NULL  -- seconds since 1970
);
