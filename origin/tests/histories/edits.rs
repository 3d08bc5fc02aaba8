//! Edits of a database, and what is in one.

use rusqlite::{Connection, types::Value};

use crate::random::Random;

/// The tables of the store, and of a file that is pushed.
pub const TABLES: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
CREATE TABLE tag (id INTEGER PRIMARY KEY, item INTEGER, word TEXT);";

/// Statements that say everything by themselves: run on two databases they make the same rows.
pub fn some(random: &mut Random, database: &Connection) -> String {
    let mut next: u64 = one(database, "SELECT coalesce(max(id), 0) + 1 FROM item");
    let mut sql = String::new();
    for _ in 0..1 + random.below(12) {
        let id = 1 + random.below(next);
        sql += &match random.below(12) {
            0..=3 => {
                next += 1 + random.below(3);
                format!("INSERT INTO item VALUES ({next}, '{}', {});\n", word(random), body(random))
            }
            4..=6 => format!("UPDATE item SET body = {} WHERE id = {id};\n", body(random)),
            7 => format!("UPDATE item SET name = '{}' WHERE id % 7 = {};\n", word(random), random.below(7)),
            8 => format!("DELETE FROM item WHERE id = {id};\n"),
            9 => format!("DELETE FROM item WHERE id BETWEEN {id} AND {};\n", id + random.below(60)),
            10 => format!("INSERT OR REPLACE INTO tag VALUES ({}, {id}, '{}');\n", random.below(500), word(random)),
            _ => {
                let (first, count, name) = (next + 1, 1 + random.below(250), word(random));
                next += count;
                format!(
                    "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {next})
                     INSERT INTO item SELECT i, '{name} ' || i, 'the body of ' || i * {} FROM n;\n",
                    random.below(1_000_000)
                )
            }
        };
    }
    sql
}

fn word(random: &mut Random) -> String {
    let letters = [b"aeiou".as_slice(), b"bcdfgklmnprst".as_slice()];
    (0..3 + random.below(6)).map(|at| char::from(*random.of(letters[at as usize % 2]))).collect()
}

/// Seldom of many pages; of noise, or of what packs well.
fn body(random: &mut Random) -> String {
    let bytes = match random.below(12) {
        0 => 4_096 * (2 + random.below(30)) + random.below(100),
        1..=3 => 1_000 + random.below(6_000),
        _ => random.below(300),
    };
    if random.one_in(3) {
        return format!("CAST(replace(hex(zeroblob({})), '00', '{}') AS BLOB)", bytes / 4, &word(random)[..3]);
    }
    let noise = (0..bytes.div_ceil(8)).map(|_| format!("{:016x}", random.next()));
    format!("X'{}'", noise.collect::<String>())
}

/// The same rows in a file with other pages, as a VACUUM or a rebuild by hand leaves them.
pub fn rebuild(random: &mut Random, database: &Connection) {
    match random.below(4) {
        0 => database.execute_batch("VACUUM"),
        1 => {
            let size = random.of(&[1_024, 4_096, 8_192]);
            database.execute_batch(&format!("PRAGMA journal_mode = DELETE; PRAGMA page_size = {size}; VACUUM"))
        }
        2 => database.execute_batch(
            "CREATE TABLE other (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
             INSERT INTO other SELECT * FROM item ORDER BY id % 13, id;
             DROP TABLE item; ALTER TABLE other RENAME TO item;",
        ),
        _ => database.execute_batch("DROP INDEX IF EXISTS by_name; CREATE INDEX by_name ON item (name, id)"),
    }
    .unwrap();
}

/// Every row of both tables.
pub fn rows(database: &Connection) -> Vec<Vec<Value>> {
    ["SELECT id, name, body FROM item ORDER BY id", "SELECT id, item, word FROM tag ORDER BY id"]
        .into_iter()
        .flat_map(|sql| {
            let mut statement = database.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| (0..3).map(|at| row.get(at)).collect()).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        })
        .collect()
}

pub fn one<T: rusqlite::types::FromSql>(database: &Connection, sql: &str) -> T {
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}
