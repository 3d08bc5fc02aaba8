-- name: item
SELECT name, price FROM item WHERE id = ?1;
