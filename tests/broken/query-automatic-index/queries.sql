-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: rated
SELECT i.name, r.stars
FROM item AS i
LEFT JOIN rating AS r ON r.item = i.id
WHERE i.id > ?1;
