CREATE TABLE item (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    price INTEGER NOT NULL
);

CREATE TABLE _nearside_count (n INTEGER);
