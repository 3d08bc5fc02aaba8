-- name: item
SELECT name, cost
FROM item WHERE id = ?1;
