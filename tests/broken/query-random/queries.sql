-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: any
SELECT name FROM item WHERE id = 1 + abs(random()) % 100;
