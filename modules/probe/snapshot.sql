CREATE TABLE "left" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE "right" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);

-- Something to join with itself.
CREATE TABLE digit (d INTEGER PRIMARY KEY);
INSERT INTO digit (d) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
