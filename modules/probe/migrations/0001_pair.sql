-- Two numbers that every write keeps equal. Their names are keywords: whoever writes SQL for them has to quote.
CREATE TABLE "left" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE "right" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO "left" (id, n) VALUES (1, 0);
INSERT INTO "right" (id, n) VALUES (1, 0);
