-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: count
SELECT count(*) AS items FROM item;
