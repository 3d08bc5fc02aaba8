-- Runs on the write store after the migrations, before the tests.
INSERT INTO book (title, author, year, about)
    VALUES ('<i>Markup</i> & Whales', 'A Tester', 2001, 'A title that must come out as text.');
