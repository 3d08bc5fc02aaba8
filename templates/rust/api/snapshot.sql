-- The read database: what every node has a copy of. Mirrored rows arrive here as they are.

CREATE TABLE note (
    id    INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    text  TEXT NOT NULL
);
