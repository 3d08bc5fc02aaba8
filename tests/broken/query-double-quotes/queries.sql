-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: hammers
SELECT id FROM item
WHERE id < 100 AND name = "hammer";
