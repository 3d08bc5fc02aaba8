-- name: item
SELECT name, price 
FROM itmes WHERE id = ?1;
