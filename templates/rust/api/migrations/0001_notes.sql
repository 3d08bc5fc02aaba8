-- The write store, at the origin. A migration runs once, at the push that brings it; add new ones, change none.

CREATE TABLE note (
    id    INTEGER PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    text  TEXT NOT NULL
);
