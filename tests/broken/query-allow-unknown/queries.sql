-- name: item
-- allow: scans
SELECT name, price FROM item WHERE id = ?1;
