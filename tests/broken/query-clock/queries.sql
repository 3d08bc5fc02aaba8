-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: today
SELECT date('now') AS today;
