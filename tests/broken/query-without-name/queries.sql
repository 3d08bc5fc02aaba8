SELECT name FROM item;
