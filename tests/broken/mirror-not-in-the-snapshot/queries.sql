-- name: item
SELECT name FROM item WHERE id = ?1;
