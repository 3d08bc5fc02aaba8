CREATE TABLE item (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    price INTEGER NOT NULL
);

CREATE INDEX item_by_name item (name);
