-- Every query the page runs, by name. Each is prepared when the app is pushed: a typo fails there, not at a visitor.

-- name: greetings
-- ?1 how many. There are a handful in all, so reading them in order is right.
-- allow: scan
SELECT language, text FROM greeting ORDER BY id LIMIT ?1;
