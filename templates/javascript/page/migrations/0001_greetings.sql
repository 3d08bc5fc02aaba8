-- The write store, at the origin. A migration runs once, at the push that brings it; add new ones, change none.

CREATE TABLE greeting (
    id       INTEGER PRIMARY KEY,
    language TEXT NOT NULL,
    text     TEXT NOT NULL
);

INSERT INTO greeting (language, text) VALUES
    ('English', 'Hello'), ('Deutsch', 'Guten Tag'), ('Français', 'Bonjour'), ('Español', 'Hola'), ('Suomi', 'Hei');
