CREATE TABLE item (
    id    INT PRIMARY KEY,
    name  TEXT NOT NULL,
    price INTEGER NOT NULL
);
