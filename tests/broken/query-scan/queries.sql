-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: by-name
SELECT id
FROM item AS i
WHERE i.name = ?1;
