-- Every query the pages run. Each is prepared when a release is loaded, so a typo fails the push and not a visitor.

-- name: sections
-- Some sixty rows, by name.
SELECT name, packages FROM section ORDER BY name LIMIT 500;

-- name: section
SELECT packages FROM section WHERE name = ?1;

-- name: section-packages
-- The index alone skips to the page; only the rows of that page are read.
SELECT p.name, p.version, p.summary, r.reviews, r.stars
FROM (SELECT id FROM package WHERE section = ?1 ORDER BY name LIMIT ?2 OFFSET ?3) AS page
JOIN package AS p ON p.id = page.id
LEFT JOIN rating AS r ON r.package = p.name
ORDER BY p.name;

-- name: recent-reviews
-- By id, which grows with time: no index on the time is needed.
SELECT r.package, r.author, r.rating, r.body, r.posted_at, r.thumbnail, 0 AS picture_waits, p.summary
FROM review AS r JOIN package AS p ON p.name = r.package
ORDER BY r.id DESC LIMIT 6;

-- name: package
SELECT p.name, p.version, p.section, p.summary, p.description, p.homepage, p.maintainer, p.size_bytes, p.tags,
    coalesce(r.reviews, 0) AS reviews, coalesce(r.stars, 0) AS stars, coalesce(n.packages, 0) AS dependents
FROM package AS p
LEFT JOIN rating AS r ON r.package = p.name
LEFT JOIN need AS n ON n.target = p.name
WHERE p.name = ?1;

-- name: dependencies
-- With the summary of those that are in the catalogue; the others are shown without a link.
SELECT d.target AS name, p.summary
FROM dependency AS d LEFT JOIN package AS p ON p.name = d.target
WHERE d.package = ?1 ORDER BY d.target LIMIT 500;

-- name: dependents
-- The first fifty by name, from the index alone; how many there are is kept in `need`.
SELECT package AS name FROM dependency WHERE target = ?1 ORDER BY package LIMIT 50;

-- name: reviews
SELECT author, rating, body, posted_at, thumbnail,
    picture IS NOT NULL AND thumbnail IS NULL AND picture_problem IS NULL AS picture_waits
FROM review WHERE package = ?1 ORDER BY id DESC LIMIT 50;

-- name: my-reviews
-- One visitor's, newest first. A review outlives its package, and then has no summary.
SELECT r.package, p.summary, r.author, r.rating, r.body, r.posted_at, r.thumbnail, r.picture_problem,
    r.picture IS NOT NULL AND r.thumbnail IS NULL AND r.picture_problem IS NULL AS picture_waits
FROM review AS r LEFT JOIN package AS p ON p.name = r.package
WHERE r.visitor = ?1 ORDER BY r.id DESC LIMIT 100;

-- name: search
-- ?1 words as the index takes them, ?2 section or NULL, ?3 tag or NULL, ?4 rows, ?5 rows to skip.
-- The innermost query alone has the limit, so the index looks for no more; texts are marked for the rows that are shown.
-- Marks stand as the characters 1 and 2, which become tags only after the text was escaped.
SELECT p.name, p.version, p.section,
    search_highlight(p.name, ?1, char(1), char(2)) AS marked_name,
    search_highlight(p.summary, ?1, char(1), char(2)) AS marked_summary,
    search_snippet(p.description, ?1, char(1), char(2), '…', 24) AS excerpt
FROM (
    SELECT rowid, rank FROM package_search
    WHERE package_search MATCH ?1
        || coalesce(' section:"' || replace(?2, '"', ' ') || '"', '') || coalesce(' tags:"' || replace(?3, '"', ' ') || '"', '')
    ORDER BY rank LIMIT ?4 OFFSET ?5
) AS hit JOIN package AS p ON p.id = hit.rowid
ORDER BY hit.rank, hit.rowid;

-- name: search-facets
-- How many there are, in which sections, with which tags: over the first thousand found, without ranking them.
-- CROSS JOIN keeps the order of the tables: from what was found to its tags, never through all tags.
WITH found AS MATERIALIZED (
    SELECT rowid AS id FROM package_search
    WHERE package_search MATCH ?1
        || coalesce(' section:"' || replace(?2, '"', ' ') || '"', '') || coalesce(' tags:"' || replace(?3, '"', ' ') || '"', '')
    LIMIT 1000
)
SELECT * FROM (SELECT 'total' AS kind, '' AS value, count(*) AS packages FROM found)
UNION ALL
SELECT * FROM (
    SELECT 'section', p.section, count(*) FROM found CROSS JOIN package AS p ON p.id = found.id
    GROUP BY p.section ORDER BY count(*) DESC, p.section LIMIT 12
)
UNION ALL
SELECT * FROM (
    SELECT 'tag', t.tag, count(*) FROM found CROSS JOIN package_tag AS t ON t.package_id = found.id
    GROUP BY t.tag ORDER BY count(*) DESC, t.tag LIMIT 12
);

-- name: spelling
-- Asked when nothing was found: the same words, those that no package has as they were perhaps meant.
SELECT text FROM search_spelled('package_search', ?1);

-- name: exact
-- The package of exactly this name leads the results, wherever its rank would put it.
SELECT name, version, section, summary FROM package WHERE name = ?1;

-- name: tagged
-- All packages of a tag (?1), perhaps of one section (?2): what a tag's link shows when no words are given.
SELECT p.name, p.version, p.section, p.summary
FROM package_tag AS t JOIN package AS p ON p.id = t.package_id
WHERE t.tag = ?1 AND (?2 IS NULL OR p.section = ?2)
ORDER BY t.package_id LIMIT ?3 OFFSET ?4;

-- name: tagged-facets
WITH found AS MATERIALIZED (
    SELECT p.id, p.section
    FROM package_tag AS t JOIN package AS p ON p.id = t.package_id
    WHERE t.tag = ?1 AND (?2 IS NULL OR p.section = ?2)
    LIMIT 1000
)
SELECT * FROM (SELECT 'total' AS kind, '' AS value, count(*) AS packages FROM found)
UNION ALL
SELECT * FROM (SELECT 'section', section, count(*) FROM found GROUP BY section ORDER BY count(*) DESC, section LIMIT 12)
UNION ALL
SELECT * FROM (
    SELECT 'tag', t.tag, count(*) FROM found CROSS JOIN package_tag AS t ON t.package_id = found.id
    GROUP BY t.tag ORDER BY count(*) DESC, t.tag LIMIT 12
);
