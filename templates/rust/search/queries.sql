-- Every query the pages run, by name. Each is prepared when the app is pushed: a typo fails there, not at a visitor.

-- name: all
SELECT id, title, author, year, about FROM book ORDER BY title LIMIT 50;

-- name: one
SELECT id, title, author, year, about FROM book WHERE id = ?1;

-- name: search
-- What was found stands between the characters 1 and 2, which become tags only after the text was escaped.
SELECT book.id, book.year,
    highlight(book_text, 0, char(1), char(2)) AS title,
    highlight(book_text, 1, char(1), char(2)) AS author,
    snippet(book_text, 2, char(1), char(2), '…', 24) AS about
FROM book_text JOIN book ON book.id = book_text.rowid
WHERE book_text MATCH ?1
ORDER BY rank LIMIT 50;
