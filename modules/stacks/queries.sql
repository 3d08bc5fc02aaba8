-- Every query the pages run.

-- name: document
SELECT id, slug, title, revision, body FROM document WHERE id = ?1;

-- name: newest
SELECT coalesce((SELECT max(revision) FROM document WHERE revision > 0), 0) AS revision, documents
FROM tally WHERE id = 1;

-- name: one
SELECT n FROM one WHERE id = 1;

-- name: other
SELECT n FROM other WHERE id = 1;

-- name: search
SELECT d.id, d.title, d.revision
FROM document_text JOIN document AS d ON d.id = document_text.rowid
WHERE document_text MATCH ?1 ORDER BY rank LIMIT 20;
