CREATE TABLE item (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    price INTEGER NOT NULL
);

CREATE TABLE total (only INTEGER PRIMARY KEY, price INTEGER NOT NULL);

CREATE TRIGGER total_after_delete AFTER DELETE ON item BEGIN
    UPDATE total SET price = price - old.price;
END;

CREATE TRIGGER total_after_insert AFTER INSERT ON item BEGIN
    UPDATE totals SET price = price + new.price;
END;
