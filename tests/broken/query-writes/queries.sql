-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: forget
-- Old ones.
DELETE FROM item WHERE id = ?1;
