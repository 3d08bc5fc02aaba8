-- The write store, at the origin. A migration runs once, at the push that brings it; add new ones, change none.

CREATE TABLE entry (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    message   TEXT NOT NULL,
    signed_at INTEGER NOT NULL  -- seconds since 1970
);
