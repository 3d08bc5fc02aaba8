-- The write store. Packages and their dependencies are pushed from outside; reviews are written here.

CREATE TABLE package (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    version     TEXT NOT NULL,
    section     TEXT NOT NULL,
    summary     TEXT NOT NULL,
    description TEXT NOT NULL,
    homepage    TEXT,
    maintainer  TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    tags        TEXT NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array')
);

-- Names, not ids: a target may be outside the catalogue.
CREATE TABLE dependency (
    id      INTEGER PRIMARY KEY,
    package TEXT NOT NULL,
    target  TEXT NOT NULL,
    UNIQUE (package, target)
);

-- A review belongs to a name, so that it outlives the package's removal and return.
CREATE TABLE review (
    id        INTEGER PRIMARY KEY,
    package   TEXT NOT NULL,
    author    TEXT NOT NULL CHECK (length(author) BETWEEN 1 AND 80),
    rating    INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    body      TEXT NOT NULL CHECK (length(body) BETWEEN 1 AND 4000),
    posted_at INTEGER NOT NULL  -- seconds since 1970
);
