-- The write store, at the origin. A migration runs once, at the push that brings it; add new ones, change none.

CREATE TABLE book (
    id     INTEGER PRIMARY KEY,
    title  TEXT NOT NULL,
    author TEXT NOT NULL,
    year   INTEGER NOT NULL,
    about  TEXT NOT NULL,
    UNIQUE (title, author)
);

INSERT INTO book (title, author, year, about) VALUES
    ('Frankenstein', 'Mary Shelley', 1818, 'A student gives life to a creature and then runs away from it, across half of Europe and into the ice.'),
    ('Jane Eyre', 'Charlotte Brontë', 1847, 'An orphan becomes a governess in a house where something walks on the third floor at night.'),
    ('Moby-Dick', 'Herman Melville', 1851, 'A captain hunts the white whale that took his leg, and a sailor tells everything there is to know about whaling.'),
    ('Middlemarch', 'George Eliot', 1871, 'Marriages, money and reform in a provincial town, and how much good goes on unseen.'),
    ('Around the World in Eighty Days', 'Jules Verne', 1873, 'A punctual gentleman bets half his fortune on trains and steamers being on time.'),
    ('The Time Machine', 'H. G. Wells', 1895, 'An inventor travels to a far future with two kinds of people, and then much further, to a dying sea.'),
    ('The Hound of the Baskervilles', 'Arthur Conan Doyle', 1902, 'A detective is asked about a family curse, a moor and the footprints of a gigantic hound.'),
    ('A Room with a View', 'E. M. Forster', 1908, 'A young woman is kissed in a field of violets near Florence, and engaged to someone else in Surrey.');
