-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: search
SELECT id FROM item WHERE name LIKE '%' || ?1 || '%';
