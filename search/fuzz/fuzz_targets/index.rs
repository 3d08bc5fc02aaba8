//! An index whose rows say something else: what is asked of it is answered or refused, and never ends the process.
//!
//! The input is a row of changes: which table, which of its rows, where in it, and the bytes that go there, or are cut off.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rusqlite::{Connection, ErrorCode, MAIN_DB, params};

const SCHEMA: &str = "
    PRAGMA page_size = 4096;
    CREATE TABLE text (id INTEGER PRIMARY KEY, name TEXT, body TEXT, tag TEXT, size INTEGER);
    CREATE VIRTUAL TABLE found USING nearside_search(name, body, tag, size,
        content='text', content_rowid='id', weights='8,1', tags='tag', numbers='size');
    CREATE TRIGGER added AFTER INSERT ON text BEGIN
        INSERT INTO found (rowid, name, body, tag, size) VALUES (new.id, new.name, new.body, new.tag, new.size);
    END;
    CREATE TRIGGER changed AFTER UPDATE ON text BEGIN
        INSERT INTO found (found, rowid, name, body, tag, size)
        VALUES ('delete', old.id, old.name, old.body, old.tag, old.size);
        INSERT INTO found (rowid, name, body, tag, size) VALUES (new.id, new.name, new.body, new.tag, new.size);
    END;";

const ASKED: [&str; 9] = [
    "common",
    "w1 OR w2 OR common",
    "common AND w3",
    "\"common w1\"",
    "w*",
    "n1 NOT w5",
    "tag:t1 name:n1",
    "size:>=30 common",
    "rare77",
];

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("a database in memory");
    nearside_search::register(&connection).expect("the module");
    connection
}

/// An index with long lists and short ones, in two tiers and in the log.
fn made() -> Vec<u8> {
    let mut connection = open();
    connection.execute_batch(SCHEMA).expect("the schema");
    let insert = |connection: &Connection, from: i64, to: i64| {
        connection.execute_batch("BEGIN").expect("a transaction");
        for id in from..to {
            let body = format!("common w{} w{} rare{id}", id % 7, id % 90);
            let row = params![id, format!("n{}", id % 5), body, format!("t{} u{}", id % 2, id % 11), id % 300];
            connection.execute("INSERT INTO text VALUES (?1, ?2, ?3, ?4, ?5)", row).expect("a row");
        }
        connection.execute_batch("COMMIT").expect("a commit");
    };
    insert(&connection, 1, 500);
    connection.execute_batch("INSERT INTO found(found) VALUES ('optimize')").expect("a segment");
    for part in 0..8 {
        insert(&connection, 500 + part * 10, 510 + part * 10);
        let change = "UPDATE text SET name = name || ' again' WHERE id % 100 = ?1";
        connection.execute(change, [part]).expect("a change");
    }
    connection.serialize(MAIN_DB).expect("an image").to_vec()
}

/// The rows that can be changed: table, key, and the key's column.
fn rows(connection: &Connection) -> Vec<(String, &'static str, rusqlite::types::Value)> {
    let lanes = (0..6).flat_map(|lane| [(format!("found_term{lane}"), "term"), (format!("found_list{lane}"), "id")]);
    let mut all = Vec::new();
    for (table, key) in std::iter::once(("found_log".to_owned(), "id")).chain(lanes) {
        let mut statement = connection.prepare(&format!("SELECT {key} FROM {table}")).expect("a table");
        let keys = statement.query_map([], |row| row.get(0)).expect("its rows");
        all.extend(keys.map(|found| (table.clone(), key, found.expect("a row"))));
    }
    all
}

fn change(connection: &Connection, data: &mut &[u8]) -> Option<()> {
    let (head, rest) = data.split_first_chunk::<6>()?;
    *data = rest;
    let all = rows(connection);
    let (table, key, id) = &all[usize::from(u16::from_le_bytes([head[0], head[1]])) % all.len()];
    let read = format!("SELECT data FROM {table} WHERE {key} = ?1");
    let mut row: Vec<u8> = connection.query_row(&read, [id], |row| row.get(0)).ok()?;
    let at = usize::from(u16::from_le_bytes([head[2], head[3]])) % (row.len() + 1);
    let count = usize::from(head[5]).min(data.len());
    let (bytes, rest) = data.split_at(count);
    *data = rest;
    match head[4] % 4 {
        0 => row.truncate(at),
        1 => drop(row.splice(at..at, bytes.iter().copied())),
        _ => {
            let end = (at + count).min(row.len());
            row.splice(at..end, bytes.iter().copied());
        }
    }
    connection.execute(&format!("UPDATE {table} SET data = ?2 WHERE {key} = ?1"), params![id, row]).ok()?;
    Some(())
}

/// What goes wrong says what would make it right.
fn told(done: rusqlite::Result<()>) {
    if let Err(error) = done
        && error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
    {
        let text = error.to_string();
        assert!(text.contains("rebuild"), "{text}");
    }
}

fn ask(connection: &Connection, sql: &str, query: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([query])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let image = MADE.get_or_init(made);
    let mut connection = open();
    connection.deserialize_read_exact(MAIN_DB, &image[..], image.len(), false).expect("the image");
    let Some((thorough, mut data)) = data.split_first() else { return };
    while change(&connection, &mut data).is_some() {}
    for query in ASKED {
        told(ask(&connection, "SELECT rowid, rank FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 20", query));
        told(ask(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 LIMIT 20", query));
    }
    told(ask(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY size DESC LIMIT 20", "common"));
    told(ask(&connection, "SELECT value FROM search_facets('found', ?1, 'tag', 9)", "common"));
    told(ask(&connection, "SELECT text FROM search_spelled('found', ?1)", "comon rar77"));
    // What goes through all of the index takes longer than all else.
    match thorough % 8 {
        0 => told(connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')")),
        1 => told(connection.execute_batch("INSERT INTO found(found) VALUES ('optimize')")),
        2 => told(connection.execute_batch("UPDATE text SET name = 'n2' WHERE id < 5")),
        _ => {}
    }
});
