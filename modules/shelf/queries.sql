-- Every query the pages run, by name. Each is prepared when the app is pushed: a typo fails there, not at a visitor.

-- name: books
SELECT id, title, author, year, about FROM book ORDER BY title LIMIT 500;

-- name: book
SELECT id, title, author, year, about FROM book WHERE id = ?1;

-- name: search
SELECT b.id, b.title, b.author, b.year, b.about
FROM book_text JOIN book AS b ON b.id = book_text.rowid
WHERE book_text MATCH ?1 ORDER BY rank LIMIT 50;

-- name: notes
SELECT text, date(written_at, 'unixepoch') AS day FROM note WHERE book = ?1 ORDER BY id DESC LIMIT 100;

-- name: my-notes
SELECT n.text, date(n.written_at, 'unixepoch') AS day, b.id, b.title
FROM note AS n JOIN book AS b ON b.id = n.book
WHERE n.reader = ?1 ORDER BY n.id DESC LIMIT 100;
