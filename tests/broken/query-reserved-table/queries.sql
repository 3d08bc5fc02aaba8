-- name: item
SELECT name, price FROM item WHERE id = ?1;

-- name: commit
SELECT commit_no FROM _nearside_applied;
