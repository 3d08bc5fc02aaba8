-- name: item
SELECT name, price FROM item WERE id = ?1;
