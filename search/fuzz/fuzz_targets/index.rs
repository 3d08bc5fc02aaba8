//! An index whose rows say something else: what is asked of it is answered or refused, and never ends the process; it can be
//! changed or says why not, and a rebuild makes it whole again.
//!
//! The input is what kind of index it is, what is done with it in the end, and a row of changes: which table, which of its
//! rows, where in it, what kind of change, and the bytes of it.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use nearside_search::inspect::inspect;
use rusqlite::{Connection, ErrorCode, MAIN_DB, params, types::Value};

/// What an index can be declared as, beside its columns.
const KINDS: [&str; 3] = ["weights='8,1'", "detail='column', weights='8,1'", "tokenize='porter unicode61'"];

fn schema(kind: &str) -> String {
    format!(
        "PRAGMA page_size = 4096;
         CREATE TABLE text (id INTEGER PRIMARY KEY, name TEXT, body TEXT, tag TEXT, size INTEGER);
         CREATE VIRTUAL TABLE found USING nearside_search(name, body, tag, size,
             content='text', content_rowid='id', tags='tag', numbers='size', {kind});
         CREATE TRIGGER added AFTER INSERT ON text BEGIN
             INSERT INTO found (rowid, name, body, tag, size) VALUES (new.id, new.name, new.body, new.tag, new.size);
         END;
         CREATE TRIGGER removed AFTER DELETE ON text BEGIN
             INSERT INTO found (found, rowid, name, body, tag, size)
             VALUES ('delete', old.id, old.name, old.body, old.tag, old.size);
         END;
         CREATE TRIGGER changed AFTER UPDATE ON text BEGIN
             INSERT INTO found (found, rowid, name, body, tag, size)
             VALUES ('delete', old.id, old.name, old.body, old.tag, old.size);
             INSERT INTO found (rowid, name, body, tag, size) VALUES (new.id, new.name, new.body, new.tag, new.size);
         END;"
    )
}

/// Of each kind that a query can be made of, alone and beneath others.
const ASKED: [&str; 18] = [
    "common",
    "w1 OR w2 OR common",
    "common AND w3",
    "\"common w1\"",
    "\"common w\" *",
    "w*",
    "rare* common",
    "(w* OR n*) AND common",
    "n1 NOT w5",
    "common NOT (w* NOT w1)",
    "name:common",
    "{name body}:(n1 common)",
    "tag:t1 name:n1",
    "tag:u* common",
    "size:>=30 common",
    "size:..250 OR size:299",
    "size:1..200 n2",
    "rare77",
];

/// All of them for each input would take too long.
const ASKED_AT_ONCE: usize = 5;

/// How it can be asked.
const WAYS: [&str; 6] = [
    "SELECT rowid, rank FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 20",
    "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 40 OFFSET 20",
    "SELECT rowid, rank FROM found WHERE found MATCH ?1 AND rowid = 744",
    "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY size DESC LIMIT 20",
    "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY size LIMIT 20",
    "SELECT value FROM search_facets('found', ?1, 'tag', 9)",
];

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("a database in memory");
    nearside_search::register(&connection).expect("the module");
    connection
}

/// An index with lists of several chunks and short ones, in segments, in two merges that are half done, and in the log.
fn made(kind: &str) -> Vec<u8> {
    let mut connection = open();
    connection.execute_batch(&schema(kind)).expect("the schema");
    let insert = |connection: &Connection, from: i64, to: i64| {
        connection.execute_batch("BEGIN").expect("a transaction");
        for number in from..to {
            let id = number * 61 + number % 40;
            let body = format!(
                "common w{} {}w{} rare{number}",
                number % 7,
                "common ".repeat(number as usize % 3),
                number % 90
            );
            let size = (number % 9 > 0).then_some((number * 7_919 % 300) << (number % 3 * 20));
            let row = params![id, format!("n{}", number % 5), body, format!("t{} u{}", number % 2, number % 11), size];
            connection.execute("INSERT INTO text VALUES (?1, ?2, ?3, ?4, ?5)", row).expect("a row");
        }
        connection.execute_batch("COMMIT").expect("a commit");
    };
    insert(&connection, 1, 2_800);
    connection.execute_batch("INSERT INTO found(found) VALUES ('optimize')").expect("a segment");
    let (mut next, mut merging) = (2_800, 0);
    for round in 0..400 {
        insert(&connection, next, next + 20);
        next += 20;
        let change = "UPDATE text SET name = name || ' again' WHERE id % 400 = ?1";
        connection.execute(change, [round % 400]).expect("a change");
        // In the middle of the second one, so that there is something of each kind.
        merging += u32::from(inspect(&connection, "found").expect("an index").merging);
        if merging > 3 {
            break;
        }
    }
    connection.execute("DELETE FROM text WHERE id % 50 = 3", []).expect("a change");
    connection.serialize(MAIN_DB).expect("an image").to_vec()
}

/// What is left of an input.
struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    fn bytes(&mut self, count: usize) -> &'d [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn u8(&mut self) -> usize {
        self.bytes(1).first().copied().unwrap_or(0).into()
    }

    fn u16(&mut self) -> usize {
        self.u8() | self.u8() << 8
    }
}

/// The rows that can be changed: table, the key's column, and the keys.
type Rows = Vec<(String, &'static str, Vec<Vec<Value>>)>;

fn rows(connection: &Connection) -> Rows {
    let lanes = (0..6)
        .flat_map(|lane| [(format!("found_term{lane}"), "segment, term"), (format!("found_list{lane}"), "id, 0")]);
    let tables = std::iter::once(("found_log".to_owned(), "id, 0")).chain(lanes);
    let keys = |(table, key): (String, &'static str)| {
        let mut statement = connection.prepare(&format!("SELECT {key} FROM {table}")).expect("a table");
        let keys = statement.query_map([], |row| Ok(vec![row.get(0)?, row.get(1)?])).expect("its rows");
        let keys = keys.collect::<rusqlite::Result<Vec<_>>>().expect("its rows");
        (table, key, keys)
    };
    tables.map(keys).filter(|(_, _, keys)| !keys.is_empty()).collect()
}

/// Numbers that are at the edge of something.
const EDGES: [u32; 8] = [0, 1, 127, 128, 0x7fff, 0xffff, 0x7fff_ffff, u32::MAX];

fn changed(mut row: Vec<u8>, other: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let kind = input.u8() % 9;
    // What stands at the front of a row is what most depends on.
    let at = if kind & 1 == 0 { input.u8() } else { input.u16() } % (row.len() + 1);
    let count = input.u8();
    let end = (at + count).min(row.len());
    match kind {
        0 => row.truncate(at),
        1 => drop(row.splice(at..at, input.bytes(count).iter().copied())),
        2 | 3 => drop(row.splice(at..end, input.bytes(count).iter().copied())),
        4 => {
            let byte = row.get_mut(at)?;
            *byte = byte.wrapping_add(count as u8);
        }
        5 | 6 => {
            let edge = EDGES[count % 8].to_le_bytes();
            let width = (if count & 8 == 0 { 2 } else { 4 }).min(row.len() - at);
            row[at..at + width].copy_from_slice(&edge[..width]);
        }
        // A part of another row of the table, or all of it.
        7 => drop(row.splice(at..end, other[at.min(other.len())..end.min(other.len())].iter().copied())),
        _ if count & 1 == 0 => row = other.to_vec(),
        _ => return None,
    }
    Some(row)
}

fn change(connection: &Connection, all: &Rows, input: &mut Input<'_>) -> rusqlite::Result<()> {
    let (table, key, keys) = &all[input.u8() % all.len()];
    let (one, other) = (&keys[input.u16() % keys.len()], &keys[input.u8() % keys.len()]);
    let is = if *key == "id, 0" { "id = ?1 AND 0 = ?2" } else { "segment = ?1 AND term = ?2" };
    let read = |key: &[Value]| {
        let sql = format!("SELECT data FROM {table} WHERE {is}");
        connection.query_row(&sql, params![key[0], key[1]], |row| row.get::<_, Vec<u8>>(0))
    };
    match changed(read(one)?, &read(other)?, input) {
        Some(row) => {
            let sql = format!("UPDATE {table} SET data = ?3 WHERE {is}");
            connection.execute(&sql, params![one[0], one[1], row])?;
        }
        None => drop(connection.execute(&format!("DELETE FROM {table} WHERE {is}"), params![one[0], one[1]])?),
    }
    Ok(())
}

/// What goes wrong says what would make it right.
fn told<T>(done: rusqlite::Result<T>) {
    if let Err(error) = done
        && error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
    {
        let text = error.to_string();
        assert!(text.contains("rebuild"), "{text}");
    }
}

fn ask(connection: &Connection, sql: &str, query: &str) -> rusqlite::Result<Vec<Value>> {
    connection.prepare_cached(sql)?.query_map([query], |row| row.get(0))?.collect()
}

/// A transaction of which some is taken back, and in which a statement fails.
fn edit(connection: &Connection, input: &mut Input<'_>) {
    let id = input.u16() as i64 * 3;
    told(connection.execute_batch("BEGIN"));
    told(connection.execute("UPDATE text SET name = 'n2 common' WHERE id BETWEEN ?1 AND ?1 + 400", [id]));
    told(connection.execute_batch("SAVEPOINT attempt"));
    told(connection.execute("DELETE FROM text WHERE id BETWEEN ?1 AND ?1 + 900", [id]));
    told(ask(connection, WAYS[0], ASKED[input.u8() % ASKED.len()]));
    told(connection.execute_batch(if input.u8() & 1 == 0 { "ROLLBACK TO attempt" } else { "RELEASE attempt" }));
    told(connection.execute("INSERT INTO text SELECT id + ?1, name, body, tag, size FROM text WHERE id < 900", [id]));
    told(connection.execute_batch("COMMIT"));
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").expect("what failed half way can be taken back");
    }
}

fuzz_target!(|data: &[u8]| {
    static MADE: [OnceLock<Vec<u8>>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];
    let mut input = Input(data);
    let (kind, thorough) = (input.u8() % KINDS.len(), input.u8());
    let image = MADE[kind].get_or_init(|| made(KINDS[kind]));
    let mut connection = open();
    connection.deserialize_read_exact(MAIN_DB, &image[..], image.len(), false).expect("the image");
    let all = rows(&connection);
    while !input.0.is_empty() {
        // A row that an earlier change did away with is not there.
        let _ = change(&connection, &all, &mut input);
    }
    let mut input = Input(data);
    for _ in 0..ASKED_AT_ONCE {
        let query = ASKED[input.u8() % ASKED.len()];
        let first = ask(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 LIMIT 200", query);
        if let Ok(first) = &first {
            let ids: Vec<i64> = first.iter().map(|id| if let Value::Integer(id) = id { *id } else { -1 }).collect();
            assert!(ids.is_sorted_by(|one, next| one < next), "{query}: {ids:?}");
        }
        told(first);
        told(ask(&connection, WAYS[input.u8() % WAYS.len()], query));
    }
    told(ask(&connection, "SELECT count(*) FROM found WHERE found MATCH ?1", "common"));
    told(ask(&connection, "SELECT text FROM search_spelled('found', ?1)", "comon rar77"));
    // What goes through all of the index takes longer than all else.
    match thorough % 16 {
        0 => told(connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')")),
        1 => told(connection.execute_batch("INSERT INTO found(found) VALUES ('optimize')")),
        2..6 => edit(&connection, &mut input),
        6 => {
            edit(&connection, &mut input);
            let whole =
                "INSERT INTO found(found) VALUES ('rebuild'); INSERT INTO found(found) VALUES ('integrity-check')";
            connection.execute_batch(whole).expect("a rebuild makes it whole");
        }
        _ => {}
    }
});
