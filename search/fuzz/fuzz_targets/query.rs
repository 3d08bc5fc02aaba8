//! Anything at all as a query, and as a text that is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;

thread_local! {
    static CONNECTION: Connection = {
        let connection = Connection::open_in_memory().expect("a database in memory");
        nearside_search::register(&connection).expect("the module");
        connection
            .execute_batch(
                "CREATE TABLE text (id INTEGER PRIMARY KEY, name TEXT, tag TEXT, size INTEGER);
                 INSERT INTO text VALUES (1, 'one two three', 'a b', 5), (2, 'two three one', 'b', -7), (3, 'Ä ö', '', NULL);
                 CREATE VIRTUAL TABLE found USING nearside_search(name, tag, size,
                     content='text', content_rowid='id', tags='tag', numbers='size');
                 INSERT INTO found(found) VALUES ('rebuild');",
            )
            .expect("an index");
        connection
    };
}

const ASKED: [&str; 5] = [
    "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 5",
    "SELECT count(*) FROM found WHERE name MATCH ?1",
    "SELECT text FROM search_spelled('found', ?1)",
    "SELECT search_snippet(?1, ?1, '<', '>', '…', 3)",
    "SELECT search_highlight('one two, Äö', ?1, '<', '>', 'porter')",
];

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    CONNECTION.with(|connection| {
        for sql in ASKED {
            let mut statement = connection.prepare_cached(sql).expect("a statement");
            let Ok(mut rows) = statement.query([&text]) else { continue };
            while let Ok(Some(_)) = rows.next() {}
        }
    });
});
