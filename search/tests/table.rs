//! The virtual table as SQLite's users meet it.

use nearside_search::inspect::inspect;
use rusqlite::{Connection, params};

const SCHEMA: &str = "
CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, summary TEXT, section TEXT);
CREATE VIRTUAL TABLE found USING nearside_search(name, summary, section,
    content='package', content_rowid='id', weights='8,3', tags='section');
CREATE TRIGGER added AFTER INSERT ON package BEGIN
    INSERT INTO found (rowid, name, summary, section) VALUES (new.id, new.name, new.summary, new.section);
END;
CREATE TRIGGER changed AFTER UPDATE ON package BEGIN
    INSERT INTO found (found, rowid, name, summary, section)
    VALUES ('delete', old.id, old.name, old.summary, old.section);
    INSERT INTO found (rowid, name, summary, section) VALUES (new.id, new.name, new.summary, new.section);
END;";

fn open(file: &str) -> Connection {
    let connection = Connection::open(file).unwrap();
    nearside_search::register(&connection).unwrap();
    connection
}

fn filled() -> Connection {
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection
        .execute_batch(
            "INSERT INTO package VALUES (1, 'nginx', 'small, powerful web server', 'httpd,net'),
             (2, 'gimp', 'image editor', 'graphics'), (3, 'web-editor', 'editor for the web', 'graphics web'),
             (4, 'apache2', 'the web server of the Apache project', 'httpd');",
        )
        .unwrap();
    connection
}

fn ids(connection: &Connection, sql: &str, query: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([query], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

const BEST: &str = "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank";

#[test]
fn it_is_asked_as_fts5_is() {
    let connection = filled();
    assert_eq!(ids(&connection, BEST, "web"), [3, 1, 4]);
    assert_eq!(ids(&connection, BEST, "\"web server\""), [1, 4]);
    assert_eq!(ids(&connection, BEST, "section:graphics editor"), [3, 2]);
    assert_eq!(ids(&connection, BEST, "web NOT server"), [3]);
    assert_eq!(ids(&connection, &format!("{BEST} LIMIT 1 OFFSET 1"), "web"), [1]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found(?1)", "web"), [1, 3, 4]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE found = ?1", "gim*"), [2]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE name MATCH ?1", "web"), [3]);
    assert_eq!(
        ids(&connection, "SELECT count(*) FROM found WHERE found MATCH ?1 AND summary LIKE '%server%'", "web"),
        [2]
    );
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rank DESC", "web"), [4, 1, 3]);
    let joined = "SELECT package.id FROM found JOIN package ON package.id = found.rowid
                  WHERE found MATCH ?1 AND package.section LIKE '%httpd%' ORDER BY found.rank LIMIT 1";
    assert_eq!(ids(&connection, joined, "web"), [1]);
    assert_eq!(ids(&connection, "SELECT rowid FROM found WHERE ?1 = '' ORDER BY rowid", ""), [1, 2, 3, 4]);
    let name: String = connection.query_row("SELECT name FROM found WHERE rowid = 2", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "gimp");
    let error = connection.prepare(BEST).unwrap().query_map(["a-b"], |_| Ok(())).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("byte 2"), "{error}");
}

#[test]
fn rows_go_on_past_what_was_looked_for_first() {
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=3_000 {
        connection
            .execute("INSERT INTO package VALUES (?1, 'same', ?2, NULL)", params![id, format!("x{}", id % 7)])
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let sql = "SELECT package.id FROM found JOIN package ON package.id = found.rowid WHERE found MATCH ?1 ORDER BY found.rank";
    assert_eq!(ids(&connection, sql, "same"), (1..=3_000).collect::<Vec<i64>>());
}

#[test]
fn the_rowid_of_an_insert_stays_that_of_the_insert() {
    let connection = filled();
    connection.execute("INSERT INTO package VALUES (77, 'a', 'b', 'c')", []).unwrap();
    assert_eq!((connection.last_insert_rowid(), connection.changes()), (77, 1));
}

#[test]
fn without_content_the_old_text_has_to_be_told() {
    let connection = open(":memory:");
    connection.execute_batch("CREATE VIRTUAL TABLE found USING nearside_search(text, content='')").unwrap();
    connection.execute_batch("INSERT INTO found(rowid, text) VALUES (5, 'one two'), (9, 'two')").unwrap();
    assert_eq!(ids(&connection, BEST, "two"), [9, 5]);
    assert!(connection.execute("DELETE FROM found WHERE rowid = 5", []).is_err());
    connection.execute("INSERT INTO found(found, rowid, text) VALUES ('delete', 5, 'one two')", []).unwrap();
    assert_eq!(ids(&connection, BEST, "two"), [9]);
    assert!(
        connection
            .execute("INSERT INTO found(rowid, text) VALUES (-1, 'x')", [])
            .unwrap_err()
            .to_string()
            .contains("rowid -1")
    );
    connection.execute_batch("DROP TABLE found").unwrap();
    let left: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn the_same_statements_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["one.db", "two.db"].map(|name| {
        let file = folder.path().join(name);
        let connection = open(file.to_str().unwrap());
        connection.execute_batch(SCHEMA).unwrap();
        for round in 0..60 {
            connection.execute_batch("BEGIN").unwrap();
            for step in 0..20 {
                let id = (round * 7 + step * 13) % 400 + 1;
                let sql =
                    "INSERT INTO package VALUES (?1, ?2, ?3, 't') ON CONFLICT (id) DO UPDATE SET name = excluded.name";
                connection
                    .execute(sql, params![id, format!("n{} w{round}", step % 5), format!("common {step} x{round}")])
                    .unwrap();
            }
            connection.execute_batch("COMMIT").unwrap();
        }
        let segments = inspect(&connection, "found").unwrap().segments;
        assert!(segments.len() > 1 && segments.len() < 20, "{segments:?}");
        connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap();
        std::fs::read(file).unwrap()
    });
    assert!(made[0] == made[1]);
}

#[test]
fn another_connection_sees_what_was_committed_and_forgets_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.db");
    let (writer, reader) = (open(file.to_str().unwrap()), open(file.to_str().unwrap()));
    writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {SCHEMA}")).unwrap();
    writer.execute_batch("INSERT INTO package VALUES (1, 'one', '', '')").unwrap();
    assert_eq!(ids(&reader, BEST, "one"), [1]);
    writer.execute_batch("BEGIN; INSERT INTO package VALUES (2, 'one', '', '')").unwrap();
    assert_eq!((ids(&writer, BEST, "one"), ids(&reader, BEST, "one")), (vec![1, 2], vec![1]));
    writer.execute_batch("ROLLBACK; INSERT INTO package VALUES (3, 'one more', '', '')").unwrap();
    assert_eq!((ids(&writer, BEST, "one"), ids(&reader, BEST, "one")), (vec![1, 3], vec![1, 3]));
}

/// Any byte of the index may be another, or missing: that is an error or another answer, never a crash.
#[test]
fn hostile_rows_are_refused() {
    let rounds: u64 = std::env::var("NEARSIDE_SEARCH_DAMAGES").map_or(400, |text| text.parse().expect("a number"));
    let connection = open(":memory:");
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 1..=1_500 {
        let text = format!("common w{} w{} rare{id}", id % 7, id % 90);
        connection
            .execute("INSERT INTO package VALUES (?1, ?2, ?3, 't')", params![id, format!("n{}", id % 5), text])
            .unwrap();
    }
    connection.execute_batch("COMMIT; UPDATE package SET name = 'n1 again' WHERE id % 300 = 0").unwrap();
    let mut state = 88_172_645_463_325_252_u64;
    let mut chance = |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most.max(1)
    };
    let mut refused = 0;
    for _ in 0..rounds {
        connection.execute_batch("SAVEPOINT whole").unwrap();
        let table = ["meta", "term", "chunk", "chunk", "place", "document"][chance(6) as usize];
        let key = if table == "term" { "term" } else { "id" };
        let all: Vec<(rusqlite::types::Value, Vec<u8>)> = connection
            .prepare(&format!("SELECT {key}, data FROM found_{table}"))
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let (id, mut data) = all[chance(all.len() as u64) as usize].clone();
        for _ in 0..=chance(3) {
            let at = chance(data.len() as u64) as usize;
            match chance(4) {
                0 => data.truncate(at),
                1 => data.insert(at, chance(256) as u8),
                _ if at < data.len() => data[at] = chance(256) as u8,
                _ => {}
            }
        }
        connection.execute(&format!("UPDATE found_{table} SET data = ?2 WHERE {key} = ?1"), params![id, data]).unwrap();
        for query in [
            "common",
            "w1 OR w2 OR common",
            "common AND w3",
            "\"common w1\"",
            "w*",
            "n1 NOT w5",
            "section:t name:n1",
            "rare77",
        ] {
            let mut statement = connection.prepare_cached(&format!("{BEST} LIMIT 50")).unwrap();
            let answer: rusqlite::Result<Vec<i64>> = statement.query_map([query], |row| row.get(0)).unwrap().collect();
            if let Err(error) = answer {
                assert!(error.to_string().contains("rebuild") || error.to_string().contains("scattered"), "{error}");
                refused += 1;
            }
        }
        let _ = connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')");
        let _ = connection.execute("UPDATE package SET name = 'n2' WHERE id = 4", []);
        connection.execute_batch("ROLLBACK TO whole; RELEASE whole").unwrap();
    }
    println!("{rounds} damages, {refused} searches refused");
    assert!(refused > rounds / 20);
    connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap();
}
