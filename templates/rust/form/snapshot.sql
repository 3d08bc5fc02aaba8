-- The read database: what every node has a copy of. Mirrored rows arrive here as they are.

CREATE TABLE entry (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    message   TEXT NOT NULL,
    signed_at INTEGER NOT NULL
);
