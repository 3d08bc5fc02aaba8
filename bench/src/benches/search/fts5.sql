-- What the package directory asks with SQLite's own full-text index: the same, word for word, as with its search index.

-- name: search
-- ?1 full-text query, ?2 section or NULL, ?3 tag or NULL, ?4 rows, ?5 rows to skip.
-- Marks stand as the characters 1 and 2, which become tags only after the text was escaped.
SELECT p.name, p.version, p.section,
    highlight(package_text, 0, char(1), char(2)) AS marked_name,
    highlight(package_text, 1, char(1), char(2)) AS marked_summary,
    snippet(package_text, 2, char(1), char(2), '…', 24) AS excerpt
FROM package_text JOIN package AS p ON p.id = package_text.rowid
WHERE package_text MATCH ?1
    AND (?2 IS NULL OR p.section = ?2)
    AND (?3 IS NULL OR EXISTS (SELECT 1 FROM package_tag WHERE tag = ?3 AND package_id = p.id))
ORDER BY rank LIMIT ?4 OFFSET ?5;

-- name: search-facets
-- How many there are, in which sections, with which tags: over the first thousand found, without ranking them.
-- CROSS JOIN keeps the order of the tables: from what was found to its tags, never through all tags.
WITH found AS MATERIALIZED (
    SELECT p.id, p.section
    FROM package_text JOIN package AS p ON p.id = package_text.rowid
    WHERE package_text MATCH ?1
        AND (?2 IS NULL OR p.section = ?2)
        AND (?3 IS NULL OR EXISTS (SELECT 1 FROM package_tag WHERE tag = ?3 AND package_id = p.id))
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

-- name: exact
-- The package of exactly this name leads the results, wherever bm25 would put it.
SELECT name, version, section, summary FROM package WHERE name = ?1;
