-- The read database: the mirrored tables, and what triggers derive from them.
--
-- Mirrored rows arrive one by one, as INSERT, UPDATE and DELETE. An UPDATE names every column, changed or not, so each
-- trigger looks whether its own columns changed: a page that is not written is a page that no node has to fetch, and
-- no cached response has to be judged by.

-- Mirrored ------------------------------------------------------------------------------------------------------------

-- The description stands last: it is long, and most queries want only what comes before it.
CREATE TABLE package (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    version     TEXT NOT NULL,
    section     TEXT NOT NULL,
    summary     TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    tags        TEXT NOT NULL,  -- a JSON array
    maintainer  TEXT NOT NULL,
    homepage    TEXT,
    description TEXT NOT NULL
);

CREATE TABLE dependency (
    id      INTEGER PRIMARY KEY,
    package TEXT NOT NULL,
    target  TEXT NOT NULL,
    UNIQUE (package, target)
);

CREATE TABLE review (
    id        INTEGER PRIMARY KEY,
    package   TEXT NOT NULL,
    author    TEXT NOT NULL,
    rating    INTEGER NOT NULL,
    body      TEXT NOT NULL,
    posted_at INTEGER NOT NULL,
    visitor   TEXT,  -- a digest; no query shows it
    picture   TEXT,  -- the hash of what was sent; no query shows it
    thumbnail TEXT,  -- a JSON object
    picture_problem TEXT  -- shown to the review's author alone
);

CREATE INDEX package_by_section ON package (section, name);
CREATE INDEX dependency_by_target ON dependency (target, package);
CREATE INDEX review_by_package ON review (package);
CREATE INDEX review_by_visitor ON review (visitor) WHERE visitor IS NOT NULL;

-- Sections, with how many packages are in each ------------------------------------------------------------------------

CREATE TABLE section (
    name     TEXT PRIMARY KEY,
    packages INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER section_after_insert AFTER INSERT ON package BEGIN
    INSERT INTO section (name, packages) VALUES (new.section, 1)
        ON CONFLICT (name) DO UPDATE SET packages = packages + 1;
END;

CREATE TRIGGER section_after_update AFTER UPDATE OF section ON package WHEN new.section IS NOT old.section BEGIN
    INSERT INTO section (name, packages) VALUES (new.section, 1)
        ON CONFLICT (name) DO UPDATE SET packages = packages + 1;
    UPDATE section SET packages = packages - 1 WHERE name = old.section;
    DELETE FROM section WHERE name = old.section AND packages = 0;
END;

CREATE TRIGGER section_after_delete AFTER DELETE ON package BEGIN
    UPDATE section SET packages = packages - 1 WHERE name = old.section;
    DELETE FROM section WHERE name = old.section AND packages = 0;
END;

-- Tags, both ways: the packages of a tag, and (for facets) the tags of a package ---------------------------------------

CREATE TABLE package_tag (
    tag        TEXT NOT NULL,
    package_id INTEGER NOT NULL,
    PRIMARY KEY (tag, package_id)
) WITHOUT ROWID;

CREATE INDEX package_tag_by_package ON package_tag (package_id);

CREATE TRIGGER tag_after_insert AFTER INSERT ON package BEGIN
    INSERT OR IGNORE INTO package_tag (tag, package_id) SELECT value, new.id FROM json_each(new.tags);
END;

CREATE TRIGGER tag_after_update AFTER UPDATE OF id, tags ON package
WHEN new.tags IS NOT old.tags OR new.id IS NOT old.id BEGIN
    DELETE FROM package_tag WHERE package_id = old.id
        AND (new.id IS NOT old.id OR tag NOT IN (SELECT value FROM json_each(new.tags)));
    INSERT OR IGNORE INTO package_tag (tag, package_id) SELECT value, new.id FROM json_each(new.tags);
END;

CREATE TRIGGER tag_after_delete AFTER DELETE ON package BEGIN
    DELETE FROM package_tag WHERE package_id = old.id;
END;

-- How many packages need a package: counted here, because half of all packages need libc6 ------------------------------

CREATE TABLE need (
    target   TEXT PRIMARY KEY,
    packages INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER need_after_insert AFTER INSERT ON dependency BEGIN
    INSERT INTO need (target, packages) VALUES (new.target, 1)
        ON CONFLICT (target) DO UPDATE SET packages = packages + 1;
END;

CREATE TRIGGER need_after_update AFTER UPDATE OF target ON dependency WHEN new.target IS NOT old.target BEGIN
    INSERT INTO need (target, packages) VALUES (new.target, 1)
        ON CONFLICT (target) DO UPDATE SET packages = packages + 1;
    UPDATE need SET packages = packages - 1 WHERE target = old.target;
    DELETE FROM need WHERE target = old.target AND packages = 0;
END;

CREATE TRIGGER need_after_delete AFTER DELETE ON dependency BEGIN
    UPDATE need SET packages = packages - 1 WHERE target = old.target;
    DELETE FROM need WHERE target = old.target AND packages = 0;
END;

-- Ratings: the number of reviews and the sum of their stars ------------------------------------------------------------

CREATE TABLE rating (
    package TEXT PRIMARY KEY,
    reviews INTEGER NOT NULL,
    stars   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER rating_after_insert AFTER INSERT ON review BEGIN
    INSERT INTO rating (package, reviews, stars) VALUES (new.package, 1, new.rating)
        ON CONFLICT (package) DO UPDATE SET reviews = reviews + 1, stars = stars + excluded.stars;
END;

CREATE TRIGGER rating_after_update AFTER UPDATE OF package, rating ON review
WHEN new.package IS NOT old.package OR new.rating IS NOT old.rating BEGIN
    INSERT INTO rating (package, reviews, stars) VALUES (new.package, 1, new.rating)
        ON CONFLICT (package) DO UPDATE SET reviews = reviews + 1, stars = stars + excluded.stars;
    UPDATE rating SET reviews = reviews - 1, stars = stars - old.rating WHERE package = old.package;
    DELETE FROM rating WHERE package = old.package AND reviews = 0;
END;

CREATE TRIGGER rating_after_delete AFTER DELETE ON review BEGIN
    UPDATE rating SET reviews = reviews - 1, stars = stars - old.rating WHERE package = old.package;
    DELETE FROM rating WHERE package = old.package AND reviews = 0;
END;

-- Full text ------------------------------------------------------------------------------------------------------------

-- The text stays in `package`; only the index is kept here. A word in the name says most, one in the description least.
-- Sections and tags are whole values: they narrow a search, `section:editors`, and do not score.
CREATE VIRTUAL TABLE package_search USING nearside_search (
    name, summary, description, section, tags,
    content = 'package', content_rowid = 'id', weights = '8,3,1', tags = 'section,tags'
);

CREATE TRIGGER search_after_insert AFTER INSERT ON package BEGIN
    INSERT INTO package_search (rowid, name, summary, description, section, tags)
        VALUES (new.id, new.name, new.summary, new.description, new.section, new.tags);
END;

-- The index has to be told what it is to forget.
CREATE TRIGGER search_after_update AFTER UPDATE OF id, name, summary, description, section, tags ON package
WHEN new.id IS NOT old.id OR new.name IS NOT old.name OR new.summary IS NOT old.summary
    OR new.description IS NOT old.description OR new.section IS NOT old.section OR new.tags IS NOT old.tags BEGIN
    INSERT INTO package_search (package_search, rowid, name, summary, description, section, tags)
        VALUES ('delete', old.id, old.name, old.summary, old.description, old.section, old.tags);
    INSERT INTO package_search (rowid, name, summary, description, section, tags)
        VALUES (new.id, new.name, new.summary, new.description, new.section, new.tags);
END;

CREATE TRIGGER search_after_delete AFTER DELETE ON package BEGIN
    INSERT INTO package_search (package_search, rowid, name, summary, description, section, tags)
        VALUES ('delete', old.id, old.name, old.summary, old.description, old.section, old.tags);
END;
