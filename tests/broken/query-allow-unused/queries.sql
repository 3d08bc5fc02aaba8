-- name: item
-- Twenty rows at most.
-- allow: scan
SELECT name, price FROM item WHERE id = ?1;
