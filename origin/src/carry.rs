//! Carrying mirrored rows from the attached store (`store`) to the read database (`main`), inside one transaction.
//!
//! Rows that differ are updated, not replaced, so that UPDATE triggers see what was there before, and rows that are the
//! same are not touched, so that their pages stay as they are. An `INSERT … ON CONFLICT DO UPDATE` would do in one
//! statement what takes two here, but it fires BEFORE INSERT triggers for rows it then updates.
//!
//! Tables are filled in the order of their names and rows in the order of their ids. Triggers of `snapshot.sql` must
//! give the same whatever the order, and whether a row was updated or taken out and put in again.

use std::collections::BTreeMap;

use rusqlite::{Connection, ErrorCode};

use crate::read_database::ReadError;

/// Made once on each connection: the rows that one run is about.
pub(crate) const CHANGED: &str =
    "CREATE TEMP TABLE changed (table_name TEXT, id INTEGER, PRIMARY KEY (table_name, id)) WITHOUT ROWID";

type Mirror = BTreeMap<String, Vec<String>>;

/// Which rows a statement looks at.
#[derive(Clone, Copy)]
enum Rows {
    Logged,
    All,
}

/// Carries the rows that the change log names after a commit.
pub(crate) fn changes(connection: &Connection, mirror: &Mirror, after: u64) -> Result<(), ReadError> {
    connection.execute(
        "INSERT OR IGNORE INTO temp.changed (table_name, id)
         SELECT table_name, row_id FROM store._nearside_change WHERE commit_no > ?1",
        [after],
    )?;
    carry(connection, mirror, Rows::Logged)?;
    // Should this not be reached, the transaction is rolled back, and these rows with it.
    connection.execute("DELETE FROM temp.changed", [])?;
    Ok(())
}

/// Compares every mirrored row, and carries those that differ.
pub(crate) fn everything(connection: &Connection, mirror: &Mirror) -> Result<(), ReadError> {
    carry(connection, mirror, Rows::All)
}

fn carry(connection: &Connection, mirror: &Mirror, rows: Rows) -> Result<(), ReadError> {
    connection.execute_batch("SAVEPOINT carry")?;
    match row_by_row(connection, mirror, rows) {
        Err(ReadError::Table { error, .. }) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            connection.execute_batch("ROLLBACK TO carry")?;
            out_and_in(connection, mirror)?;
        }
        other => other?,
    }
    connection.execute_batch("RELEASE carry")?;
    Ok(())
}

fn row_by_row(connection: &Connection, mirror: &Mirror, rows: Rows) -> Result<(), ReadError> {
    each(connection, mirror, |table, _| Some(delete_gone(table, rows)))?;
    each(connection, mirror, |table, columns| update(table, columns, rows))?;
    each(connection, mirror, |table, columns| Some(insert_missing(table, columns, rows)))
}

/// Rows that swapped a unique value cannot be updated one after the other, though the store's rows, all together, are
/// fine: so the rows that differ are taken out, and then put in again. Taking rows out may cascade to others, so
/// everything is compared after that.
fn out_and_in(connection: &Connection, mirror: &Mirror) -> Result<(), ReadError> {
    each(connection, mirror, delete_different)?;
    row_by_row(connection, mirror, Rows::All)
}

fn each(
    connection: &Connection,
    mirror: &Mirror,
    statement: impl Fn(&str, &[String]) -> Option<String>,
) -> Result<(), ReadError> {
    for (table, columns) in mirror {
        if let Some(sql) = statement(table, columns) {
            connection
                .prepare_cached(&sql)
                .and_then(|mut statement| statement.execute([]))
                .map_err(|error| ReadError::Table { table: table.clone(), error })?;
        }
    }
    Ok(())
}

/// A condition on the alias `row`.
fn about(row: &str, table: &str, rows: Rows) -> String {
    match rows {
        // A table's name is letters, digits and `_`: it can stand in quotes as it is.
        Rows::Logged => format!(r#"{row}."id" IN (SELECT id FROM temp.changed WHERE table_name = '{table}')"#),
        Rows::All => "true".to_owned(),
    }
}

fn delete_gone(table: &str, rows: Rows) -> String {
    let about = about("m", table, rows);
    format!(
        r#"DELETE FROM main."{table}" AS m WHERE {about} AND NOT EXISTS (SELECT 1 FROM store."{table}" AS s WHERE s."id" = m."id")"#
    )
}

fn update(table: &str, columns: &[String], rows: Rows) -> Option<String> {
    let differ = differ(columns)?;
    let about = about("m", table, rows);
    let set: Vec<String> = columns[1..].iter().map(|column| format!(r#""{column}" = s."{column}""#)).collect();
    let set = set.join(", ");
    Some(format!(
        r#"UPDATE main."{table}" AS m SET {set} FROM store."{table}" AS s WHERE s."id" = m."id" AND {about} AND ({differ})"#
    ))
}

fn insert_missing(table: &str, columns: &[String], rows: Rows) -> String {
    let about = about("s", table, rows);
    let list =
        |prefix: &str| columns.iter().map(|column| format!(r#"{prefix}"{column}""#)).collect::<Vec<_>>().join(", ");
    let (into, from) = (list(""), list("s."));
    format!(
        r#"INSERT INTO main."{table}" ({into}) SELECT {from} FROM store."{table}" AS s WHERE {about} AND NOT EXISTS (SELECT 1 FROM main."{table}" AS m WHERE m."id" = s."id") ORDER BY s."id""#
    )
}

fn delete_different(table: &str, columns: &[String]) -> Option<String> {
    let differ = differ(columns)?;
    Some(format!(
        r#"DELETE FROM main."{table}" AS m WHERE EXISTS (SELECT 1 FROM store."{table}" AS s WHERE s."id" = m."id" AND ({differ}))"#
    ))
}

/// Whether the mirrored columns of `m` and `s` differ in any way that can be seen: `1` and `1.0` are equal to SQLite, and
/// so are `a` and `A` in a column declared NOCASE. None when nothing but the id is mirrored.
fn differ(columns: &[String]) -> Option<String> {
    let one = |column: &String| {
        format!(r#"m."{column}" IS NOT s."{column}" COLLATE BINARY OR typeof(m."{column}") <> typeof(s."{column}")"#)
    };
    let differ = columns[1..].iter().map(one).collect::<Vec<_>>().join(" OR ");
    (!differ.is_empty()).then_some(differ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change_log,
        read_database::{ReadDatabase, Shape},
        store,
    };
    use rusqlite::types::Value;
    use std::path::PathBuf;

    const STORE: &str = "
        CREATE TABLE section (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, hidden);
        CREATE TABLE package (id INTEGER PRIMARY KEY, section INTEGER REFERENCES section ON DELETE CASCADE ON UPDATE CASCADE,
            name TEXT UNIQUE, summary, weight);
        CREATE TABLE secret (id INTEGER PRIMARY KEY, x);";

    const SNAPSHOT: &str = "
        CREATE TABLE section (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE);
        CREATE TABLE package (id INTEGER PRIMARY KEY, section INTEGER REFERENCES section, name TEXT UNIQUE, summary, weight);

        CREATE TABLE section_size (section INTEGER PRIMARY KEY, packages INTEGER NOT NULL);
        CREATE TRIGGER size_insert AFTER INSERT ON package BEGIN
          INSERT INTO section_size VALUES (new.section, 1) ON CONFLICT DO UPDATE SET packages = packages + 1;
        END;
        CREATE TRIGGER size_delete AFTER DELETE ON package BEGIN
          UPDATE section_size SET packages = packages - 1 WHERE section = old.section;
          DELETE FROM section_size WHERE packages = 0;
        END;
        CREATE TRIGGER size_update AFTER UPDATE OF section ON package WHEN old.section <> new.section BEGIN
          UPDATE section_size SET packages = packages - 1 WHERE section = old.section;
          DELETE FROM section_size WHERE packages = 0;
          INSERT INTO section_size VALUES (new.section, 1) ON CONFLICT DO UPDATE SET packages = packages + 1;
        END;

        CREATE VIRTUAL TABLE package_text USING fts5(name, summary, content = 'package', content_rowid = 'id');
        CREATE TRIGGER text_insert AFTER INSERT ON package BEGIN
          INSERT INTO package_text (rowid, name, summary) VALUES (new.id, new.name, new.summary);
        END;
        CREATE TRIGGER text_delete AFTER DELETE ON package BEGIN
          INSERT INTO package_text (package_text, rowid, name, summary) VALUES ('delete', old.id, old.name, old.summary);
        END;
        CREATE TRIGGER text_update AFTER UPDATE OF name, summary ON package BEGIN
          INSERT INTO package_text (package_text, rowid, name, summary) VALUES ('delete', old.id, old.name, old.summary);
          INSERT INTO package_text (rowid, name, summary) VALUES (new.id, new.name, new.summary);
        END;";

    const WORDS: &[&str] = &["edge", "cache", "Cache", "store", "page", "snapshot", "tree", "root"];

    struct Fixture {
        folder: tempfile::TempDir,
        store: Connection,
        shape: Shape,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(&folder.path().join(store::FILE_NAME)).unwrap();
        // A test need not wait for the disk.
        store.execute_batch("PRAGMA synchronous = OFF").unwrap();
        store.execute_batch(STORE).unwrap();
        let mirror = mirrored();
        change_log::make_triggers(&store, &change_log::wanted(&mirror)).unwrap();
        Fixture { folder, store, shape: Shape::new(mirror, SNAPSHOT.to_owned()) }
    }

    impl Fixture {
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn build(&self, name: &str) -> ReadDatabase {
            ReadDatabase::build(&self.path(name), &self.path(store::FILE_NAME), &self.shape).unwrap()
        }

        fn commit(&self, sql: &str) {
            self.store.execute_batch("BEGIN IMMEDIATE").unwrap();
            if self.store.execute_batch(sql).is_ok() {
                store::count_commit(&self.store).unwrap();
                self.store.execute_batch("COMMIT").unwrap();
            } else if !self.store.is_autocommit() {
                self.store.execute_batch("ROLLBACK").unwrap();
            }
        }
    }

    /// All rows of all tables, and what searching finds.
    fn contents(database: &ReadDatabase) -> Vec<Vec<Value>> {
        let connection = database.connection();
        let rows = |sql: &str| -> Vec<Vec<Value>> {
            let mut statement = connection.prepare(sql).unwrap();
            let width = statement.column_count();
            let row = |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get(column)).collect();
            statement.query_map([], row).unwrap().map(Result::unwrap).collect()
        };
        connection.execute("INSERT INTO package_text (package_text, rank) VALUES ('integrity-check', 1)", []).unwrap();
        let mut all = Vec::new();
        for table in ["section", "package", "section_size", "_nearside_applied"] {
            all.extend(rows(&format!("SELECT '{table}', * FROM main.{table} ORDER BY 2")));
        }
        for word in WORDS {
            all.extend(rows(&format!(
                "SELECT '{word}', rowid FROM package_text WHERE package_text MATCH '{word}' ORDER BY 2"
            )));
        }
        all
    }

    /// xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
        }

        fn word(&mut self) -> &'static str {
            WORDS[self.below(WORDS.len() as u64) as usize]
        }

        fn statement(&mut self) -> String {
            let (id, other, section, n) = (self.below(40), self.below(40), self.below(6), self.below(12));
            let (a, b) = (self.word(), self.word());
            match self.below(14) {
                0 => format!("INSERT OR IGNORE INTO section (id, name) VALUES ({section}, '{a}')"),
                1 => format!("UPDATE OR IGNORE section SET name = '{a}' WHERE id = {section}"),
                2 => format!("UPDATE OR IGNORE section SET id = {n} WHERE id = {section}"),
                3 if n == 0 => format!("DELETE FROM section WHERE id = {section}"),
                4 => format!("UPDATE section SET hidden = {n}"),
                5 => format!(
                    "UPDATE package SET weight = CASE typeof(weight) WHEN 'integer' THEN {n}.0 ELSE {n} END WHERE id = {id}"
                ),
                6 => format!("UPDATE package SET summary = NULL WHERE id = {id}"),
                7 => format!("DELETE FROM package WHERE id = {id}"),
                8 => format!(
                    "REPLACE INTO package (id, section, name) SELECT {id}, max(id), '{a} {n}' FROM section HAVING max(id) > 0"
                ),
                9 => format!("UPDATE OR REPLACE package SET id = {other} WHERE id = {id}"),
                10 => format!(
                    "CREATE TEMP TABLE swap AS SELECT id, name FROM package WHERE id IN ({id}, {other});
                     UPDATE package SET name = 'swap ' || id WHERE id IN ({id}, {other});
                     UPDATE package SET name = (SELECT name FROM swap WHERE swap.id = {id} + {other} - package.id)
                       WHERE (SELECT count(*) FROM swap) = 2 AND id IN ({id}, {other});
                     DROP TABLE swap"
                ),
                _ => format!(
                    "INSERT OR IGNORE INTO package (id, section, name, summary, weight)
                     SELECT {id}, id, '{a} {n}', '{a} {b}', {n} FROM section ORDER BY id % ({n} + 1) LIMIT 1"
                ),
            }
        }
    }

    #[test]
    fn following_the_log_gives_the_rows_of_a_full_build() {
        for seed in 1..=6 {
            let fixture = fixture();
            let mut random = Random(seed * 0x9E37_79B9);
            let mut followed = fixture.build("read-1.db");
            for round in 0..25 {
                for _ in 0..=random.below(4) {
                    let statements: Vec<_> = (0..=random.below(12)).map(|_| random.statement()).collect();
                    fixture.commit(&statements.join(";"));
                }
                let position = followed.update().unwrap();
                assert_eq!(followed.position().unwrap(), Some(position));
                let _ = std::fs::remove_file(fixture.path("fresh.db"));
                let fresh = fixture.build("fresh.db");
                assert_eq!(contents(&followed), contents(&fresh), "seed {seed}, round {round}");
                assert!(round < 10 || contents(&fresh).len() > 20, "the history makes some rows");
            }
        }
    }

    #[test]
    fn comparing_everything_finds_what_the_log_does_not_tell() {
        let fixture = fixture();
        let mut random = Random(7);
        let mut followed = fixture.build("read-1.db");
        for _ in 0..60 {
            let statement = random.statement();
            fixture.commit(&statement);
        }
        fixture
            .store
            .execute_batch("DELETE FROM _nearside_change; UPDATE _nearside_meta SET value = 5 WHERE key = 'layout'")
            .unwrap();
        followed.update().unwrap();
        assert_eq!(contents(&followed), contents(&fixture.build("fresh.db")));

        // Nothing differs any more, so nothing is touched but the note of how far it has come.
        fixture.store.execute_batch("UPDATE _nearside_meta SET value = 6 WHERE key = 'layout'").unwrap();
        let changes = |database: &ReadDatabase| database.connection().total_changes();
        let before = changes(&followed);
        followed.update().unwrap();
        assert!(changes(&followed) - before <= 2, "{}", changes(&followed) - before);
    }

    #[test]
    fn a_constraint_the_store_does_not_keep_is_told() {
        let fixture = fixture();
        let sql = "CREATE TABLE package (id INTEGER PRIMARY KEY, section REFERENCES section, name, summary CHECK (summary <> 'bad'), weight);
            CREATE TABLE section (id INTEGER PRIMARY KEY, name);";
        let shape = Shape::new(mirrored(), sql.to_owned());
        let mut database =
            ReadDatabase::build(&fixture.path("read-1.db"), &fixture.path(store::FILE_NAME), &shape).unwrap();
        fixture.commit("INSERT INTO package (id, name, summary) VALUES (1, 'x', 'bad')");
        let message = database.update().unwrap_err().to_string();
        assert!(message.contains("mirrored table `package`: CHECK constraint failed"), "{message}");
        fixture.commit("UPDATE package SET summary = 'good'");
        database.update().unwrap();
        fixture.store.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        fixture.commit("UPDATE package SET section = 99");
        let message = database.update().unwrap_err().to_string();
        assert!(message.contains("foreign keys of snapshot.sql do not hold"), "{message}");
    }

    fn mirrored() -> Mirror {
        let columns = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        [
            ("section".to_owned(), columns(&["id", "name"])),
            ("package".to_owned(), columns(&["id", "section", "name", "summary", "weight"])),
        ]
        .into()
    }
}
