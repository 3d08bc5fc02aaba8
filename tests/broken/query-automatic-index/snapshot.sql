CREATE TABLE item (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    price INTEGER NOT NULL
);

CREATE TABLE rating (
    item  INTEGER NOT NULL,
    stars INTEGER NOT NULL
);
