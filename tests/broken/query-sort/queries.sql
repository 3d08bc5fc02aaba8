-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: cheapest
SELECT id, price FROM item WHERE name = ?1
ORDER BY price LIMIT 10;
