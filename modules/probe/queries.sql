-- name: left
SELECT n FROM "left" WHERE id = 1;

-- name: right
SELECT n FROM "right" WHERE id = 1;

-- name: runaway
-- It has no end, and gives no row on the way.
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) AS n FROM c;

-- name: cross
-- 10^12 rows, without a row to give before the last: what a node has to end by itself.
-- allow: scan
SELECT sum(a.d + b.d + c.d + d.d + e.d + f.d + g.d + h.d + i.d + j.d + k.d + l.d) AS n
FROM digit a, digit b, digit c, digit d, digit e, digit f, digit g, digit h, digit i, digit j, digit k, digit l;

-- name: randomblob
-- A gigabyte. (`randomblob` itself is refused when the app is checked: its value is not in the pages.)
SELECT length(hex(zeroblob(1000000000))) AS n;

-- name: dear
-- A few milliseconds of a core, whatever is asked.
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) SELECT max(x) + ?1 AS n FROM c;

-- name: overflow
-- It can be prepared, and cannot be run.
SELECT abs(-9223372036854775807 - 1) AS n;
