-- The read database: what every node has a copy of. Mirrored rows arrive here as they are.

CREATE TABLE greeting (
    id       INTEGER PRIMARY KEY,
    language TEXT NOT NULL,
    text     TEXT NOT NULL
);
