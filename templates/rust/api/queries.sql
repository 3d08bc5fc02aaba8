-- Every query the handlers run, by name. Each is prepared when the app is pushed: a typo fails there, not at a client.

-- name: list
-- ?1 the id after which to go on, ?2 how many.
SELECT id, title, text FROM note WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: one
SELECT id, title, text FROM note WHERE id = ?1;
