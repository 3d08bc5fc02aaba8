-- Every query the pages run, by name. Each is prepared when the app is pushed: a typo fails there, not at a visitor.

-- name: newest
SELECT name, message, date(signed_at, 'unixepoch') AS day FROM entry ORDER BY id DESC LIMIT 50;
