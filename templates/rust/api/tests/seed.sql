-- Runs on the write store after the migrations, before the tests.
INSERT INTO note (id, title, text) VALUES (1, 'First', 'One.'), (2, 'Second', 'Two.'), (3, 'Third', 'Three.');
