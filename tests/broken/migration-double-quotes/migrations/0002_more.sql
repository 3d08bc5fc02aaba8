INSERT INTO item (name, price)
VALUES ("hammer", 10);
