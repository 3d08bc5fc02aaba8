-- name: item
SELECT name, price, weight FROM item WHERE id = ?1;
