//! A data push: the tables of `[data]` made equal to those of a SQLite file, row by row, in one commit.
//!
//! Rows are told to be the same by their key, so a row that stays keeps its `id`, and a row that did not change is not
//! written: what is pushed every day changes few pages of the replica, however the file was made.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, time::Instant};

use nearside_protocol::limits;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params_from_iter, types::Value};

use crate::{
    keyed::{Keyed, KeyedError},
    store::{self, StoreError},
};

/// Why a file was not taken. The store is untouched.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("no version of the app is installed yet: push the app first, it makes the tables")]
    NoApp,
    #[error("the app takes no data: its manifest has no [data]")]
    TakesNone,
    #[error("the file is not a SQLite database: {0}")]
    NotADatabase(String),
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the file has none of the tables in [data]: {0}")]
    NoTable(String),
    #[error(transparent)]
    Table(#[from] KeyedError),
    #[error("{place}: {why}")]
    Row { place: String, why: String },
    #[error("{table}: rows that are not in the file cannot be deleted: {why}")]
    Delete { table: String, why: String },
    #[error("row {row} of `{table}` would point to a row of `{parent}` that is not there")]
    Dangling { table: String, row: i64, parent: String },
    #[error("it took longer than {} seconds, during which nothing else is written", limits::MERGE_WORK.as_secs())]
    TooLong,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the writer has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for MergeError {
    fn from(error: rusqlite::Error) -> MergeError {
        MergeError::Store(error.into())
    }
}

/// What merging did to the store.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) report: Vec<String>,
    pub(crate) commit: Option<u64>,
}

/// A file that was found sound, beside the store, on a connection of its own: the writer's is bound by a guest's limits.
///
/// Looking through a file takes as long as it is large. Nobody who writes waits for that: the writer gets what is looked
/// through.
pub(crate) struct Merging(Connection);

/// What came of it, and the connection, which whoever asked may close.
pub(crate) type Ended = (Result<Vec<String>, MergeError>, Option<Merging>);

impl Merging {
    /// Opens `file` beside the store at `path`, which is there.
    pub(crate) fn open(path: &Path, file: &Path) -> Result<Merging, MergeError> {
        let mut connection = store::open_again(path)?;
        bound(&mut connection)?;
        attach(&connection, file)?;
        // The store's schema is read now, not in the transaction.
        connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA cache_size = -65536")?;
        Ok(Merging(connection))
    }

    /// Makes the tables of `data` equal to those of the file.
    pub(crate) fn run(&mut self, data: &BTreeMap<String, Vec<String>>) -> Result<Merged, MergeError> {
        if data.is_empty() {
            return Err(MergeError::TakesNone);
        }
        let Merging(connection) = self;
        let ends_at = bound(connection)?;
        let connection: &Connection = connection;
        connection.execute_batch("BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON")?;
        let merged = tables(connection, data).and_then(|(report, changed)| {
            let commit = changed.then(|| store::count_commit(connection)).transpose()?;
            commit_or_name(connection)?;
            Ok(Merged { report, commit })
        });
        merged.map_err(|error| {
            // Whatever fails: what was not committed is taken back before anybody else writes.
            let _ = connection.execute_batch("ROLLBACK");
            if Instant::now() > ends_at { MergeError::TooLong } else { error }
        })
    }
}

/// From now on, the connection works for so long and no longer.
fn bound(connection: &mut Connection) -> rusqlite::Result<Instant> {
    let ends_at = Instant::now() + limits::MERGE_WORK;
    connection.progress_handler(1_000, Some(move || Instant::now() > ends_at))?;
    Ok(ends_at)
}

/// Opens the pushed file beside the store, read-only and taken as it is: it has no journal of its own here.
fn attach(connection: &Connection, file: &Path) -> Result<(), MergeError> {
    let mut magic = [0; 16];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_err() || &magic != b"SQLite format 3\0" {
        return Err(MergeError::NotADatabase("it does not begin like one".into()));
    }
    let plain = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    connection
        .execute("ATTACH ?1 AS pushed", [format!("file:{plain}?mode=ro&immutable=1")])
        .map_err(|error| MergeError::NotADatabase(error.to_string()))?;
    let check = connection.query_row("PRAGMA pushed.quick_check(1)", [], |row| row.get::<_, String>(0));
    match check {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(MergeError::Damaged(verdict)),
        Err(error) => Err(MergeError::Damaged(error.to_string())),
    }
}

/// Merges each table of `[data]` that the file has; gives the report and whether anything changed.
///
/// Rows are written parents first and deleted children first: while no reference dangles, SQLite does not search the
/// children of each row it writes.
fn tables(connection: &Connection, data: &BTreeMap<String, Vec<String>>) -> Result<(Vec<String>, bool), MergeError> {
    let mut found = Vec::new();
    for (table, key) in data {
        found.extend(Keyed::find(connection, table, key)?);
    }
    if found.is_empty() {
        return Err(MergeError::NoTable(data.keys().map(String::as_str).collect::<Vec<_>>().join(", ")));
    }
    let found = parents_first(connection, found)?;
    let mut deleted = BTreeMap::new();
    for keyed in found.iter().rev() {
        deleted.insert(keyed.table.as_str(), delete(connection, keyed)?);
    }
    let mut lines = BTreeMap::new();
    let mut changed = false;
    for keyed in &found {
        let (inserted, updated, unchanged) = upsert(connection, keyed)?;
        let deleted = deleted[keyed.table.as_str()];
        changed |= inserted + updated + deleted > 0;
        let line = format!("{inserted} inserted, {updated} updated, {deleted} deleted, {unchanged} unchanged");
        lines.insert(keyed.table.as_str(), line);
    }
    let line = |table: &String| match lines.get(table.as_str()) {
        Some(line) => format!("{table}: {line}"),
        None => format!("{table}: not in the file; left as it is"),
    };
    Ok((data.keys().map(line).collect(), changed))
}

/// Orders tables so that those referred to come before those that refer to them, circles excepted.
fn parents_first(connection: &Connection, tables: Vec<Keyed>) -> rusqlite::Result<Vec<Keyed>> {
    let mut waiting = Vec::new();
    for keyed in tables {
        let sql = "SELECT lower(\"table\") FROM pragma_foreign_key_list(?1, 'main')";
        let parents: Vec<String> =
            connection.prepare(sql)?.query_map([&keyed.table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        waiting.push((keyed, parents));
    }
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let free = |(keyed, parents): &(Keyed, Vec<String>)| {
            let waits_for =
                |other: &Keyed| !std::ptr::eq(other, keyed) && parents.contains(&other.table.to_lowercase());
            !waiting.iter().any(|(other, _)| waits_for(other))
        };
        let next = waiting.iter().position(free).unwrap_or(0);
        ordered.push(waiting.remove(next).0);
    }
    Ok(ordered)
}

/// Deletes the store's rows whose keys the file does not have.
fn delete(connection: &Connection, keyed: &Keyed) -> Result<u64, MergeError> {
    // The file's keys, under the store's own idea of what is equal; doubles and NULLs show here.
    connection.execute_batch(&keyed.stage_sql())?;
    bulk_or_name(connection, keyed, &keyed.stage_all_sql(), &keyed.stage_one_sql())?;
    let deleted = connection
        .execute(&keyed.delete_sql(), [])
        .map_err(|error| MergeError::Delete { table: keyed.table.clone(), why: error.to_string() })?;
    connection.execute_batch("DROP TABLE temp.stage")?;
    Ok(deleted as u64)
}

/// Writes the file's rows that are new or differ; gives how many were inserted, updated, and left as they were.
fn upsert(connection: &Connection, keyed: &Keyed) -> Result<(u64, u64, u64), MergeError> {
    let before = count(connection, "main", &keyed.table)?;
    let written = bulk_or_name(connection, keyed, &keyed.upsert_all_sql(), &keyed.upsert_one_sql())?;
    if let Some(sql) = keyed.respell_sql() {
        let fault = |error: rusqlite::Error| MergeError::Row { place: keyed.table.clone(), why: error.to_string() };
        connection.execute(&sql, []).map_err(fault)?;
    }
    let inserted = count(connection, "main", &keyed.table)? - before;
    let unchanged = count(connection, "pushed", &keyed.table)? - written;
    Ok((inserted, written - inserted, unchanged))
}

/// Runs a statement over all rows of the file. If it fails, the rows are taken one by one to name the first that does.
fn bulk_or_name(connection: &Connection, keyed: &Keyed, all: &str, one: &str) -> Result<u64, MergeError> {
    let error = match connection.execute(all, []) {
        Ok(rows) => return Ok(rows as u64),
        Err(error) => error,
    };
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return Err(MergeError::Row { place: keyed.table.clone(), why: error.to_string() });
    }
    let mut rows = connection.prepare(&keyed.select_sql())?;
    let mut one = connection.prepare(one)?;
    let width = keyed.columns.len();
    let mut rows = rows.query([])?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        let values: Vec<Value> = (0..width).map(|index| row.get(index)).collect::<Result<_, _>>()?;
        if let Err(error) = one.execute(params_from_iter(&values)) {
            let place = keyed.place(number, &values);
            return Err(MergeError::Row { place, why: KeyedError::explain(&error) });
        }
    }
    Err(MergeError::Row { place: keyed.table.clone(), why: error.to_string() })
}

fn count(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<u64> {
    connection.query_row(&format!("SELECT count(*) FROM {schema}.\"{table}\""), [], |row| row.get(0))
}

/// Foreign keys are judged when all tables are merged: names what is left pointing nowhere.
fn commit_or_name(connection: &Connection) -> Result<(), MergeError> {
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    let dangling = connection
        .query_row("PRAGMA main.foreign_key_check", [], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or_default(), row.get(2)?))
        })
        .optional();
    match dangling {
        Ok(Some((table, row, parent))) => Err(MergeError::Dangling { table, row, parent }),
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const STORE: &str = "
        CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, version TEXT NOT NULL,
            size INTEGER CHECK (size >= 0), stars INTEGER NOT NULL DEFAULT 0, upper TEXT AS (upper(name)));
        CREATE TABLE dependency (id INTEGER PRIMARY KEY, package TEXT NOT NULL REFERENCES package (name),
            target TEXT NOT NULL, position INTEGER NOT NULL, UNIQUE (package, position));
        CREATE TABLE loose (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO package (id, name, version, size, stars) VALUES (1, 'zlib', '1.0', 10, 5), (2, 'curl', '8', NULL, 6), (3, 'gone', '1', 1, 7);
        INSERT INTO dependency (id, package, target, position) VALUES (1, 'curl', 'zlib', 0);";

    fn run(store: &Path, file: &Path, data: &BTreeMap<String, Vec<String>>) -> Result<Merged, MergeError> {
        Merging::open(store, file)?.run(data)
    }

    struct Fixture {
        folder: tempfile::TempDir,
        data: BTreeMap<String, Vec<String>>,
    }

    impl Fixture {
        fn new() -> Fixture {
            let folder = tempfile::tempdir().unwrap();
            let fixture =
                Fixture { folder, data: data(&[("package", &["name"]), ("dependency", &["package", "position"])]) };
            fixture.store().execute_batch(STORE).unwrap();
            fixture
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join(store::FILE_NAME)
        }

        fn store(&self) -> Connection {
            store::open(&self.path()).unwrap()
        }

        fn push(&self, sql: &str) -> Result<Merged, MergeError> {
            let file = self.folder.path().join("a ?%#.db");
            let _ = std::fs::remove_file(&file);
            Connection::open(&file).unwrap().execute_batch(sql).unwrap();
            run(&self.path(), &file, &self.data)
        }

        fn rows(&self, sql: &str) -> Vec<String> {
            let store = self.store();
            let mut statement = store.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }

        fn everything(&self) -> Vec<String> {
            self.rows(
                "SELECT format('%s %s %s %s %s', id, name, version, size, stars) FROM package
                 UNION ALL SELECT format('%s %s %s %s', id, package, target, position) FROM dependency
                 UNION ALL SELECT format('%s %s', key, value) FROM _nearside_meta WHERE key <> 'secret'",
            )
        }
    }

    fn data(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let columns = |columns: &[&str]| columns.iter().map(|column| column.to_string()).collect();
        entries.iter().map(|(table, key)| (table.to_string(), columns(key))).collect()
    }

    #[test]
    fn the_store_becomes_equal_and_rows_that_stay_keep_what_is_theirs() {
        let fixture = Fixture::new();
        // Another layout: no ids, text where the store has numbers, other order, no indices.
        let file = "CREATE TABLE package (version, name, size, upper);
            INSERT INTO package VALUES ('2', 'new', NULL, 'x'), ('1.0', 'zlib', '10', 'x'), ('9', 'curl', NULL, 'x');
            CREATE TABLE dependency (id, package, target, position);
            INSERT INTO dependency VALUES (77, 'curl', 'zlib', 0), (78, 'curl', 'new', 1);";
        let merged = fixture.push(file).unwrap();
        assert_eq!(
            merged.report,
            [
                "dependency: 1 inserted, 0 updated, 0 deleted, 1 unchanged",
                "package: 1 inserted, 1 updated, 1 deleted, 1 unchanged"
            ]
        );
        assert_eq!(merged.commit, Some(1));
        let packages = "SELECT format('%s %s %s %s %s', id, name, version, size, stars) FROM package ORDER BY id";
        assert_eq!(fixture.rows(packages), ["1 zlib 1.0 10 5", "2 curl 9  6", "3 new 2  0"]);
        let again = fixture.push(file).unwrap();
        assert_eq!(again.commit, None);
        assert!(again.report[1].ends_with("0 inserted, 0 updated, 0 deleted, 3 unchanged"), "{:?}", again.report);
        let renamed = fixture.push(&file.replace("'zlib', '10'", "'ZLIB', '10'")).unwrap();
        assert!(renamed.report[1].contains("1 updated"), "a change of case only: {:?}", renamed.report);
        assert_eq!(fixture.rows("SELECT name FROM package WHERE id = 1"), ["ZLIB"]);
    }

    #[test]
    fn a_table_the_file_lacks_is_left() {
        let fixture = Fixture::new();
        let merged =
            fixture.push("CREATE TABLE other (x); CREATE TABLE dependency (package, target, position);").unwrap();
        assert_eq!(
            merged.report,
            ["dependency: 0 inserted, 0 updated, 1 deleted, 0 unchanged", "package: not in the file; left as it is"]
        );
    }

    #[test]
    fn bad_files_are_refused_by_name_and_the_store_is_untouched() {
        let fixture = Fixture::new();
        let before = fixture.everything();
        const PACKAGES: &str = "CREATE TABLE package (name, version, size); INSERT INTO package VALUES ('zlib', '1.1', 1), ('curl', '8', 2);";
        const NONE: &str = "CREATE TABLE dependency (package, target, position);";
        for (sql, expected) in [
            ("CREATE TABLE other (x)".to_owned(), "none of the tables in [data]: dependency, package"),
            ("CREATE VIEW package AS SELECT 1 AS name".into(), "package: in the file it is not an ordinary table"),
            ("CREATE TABLE package (version)".into(), "package: the file lacks the column `name`"),
            ("CREATE TABLE package (name, version, colour)".into(), "package: the file has a column `colour`"),
            (
                format!("{NONE}{PACKAGES} INSERT INTO package VALUES ('x', NULL, 1)"),
                "package row 3 (name = 'x'): NOT NULL constraint failed: package.version",
            ),
            (
                format!("{NONE}{PACKAGES} INSERT INTO package VALUES ('x', '1', -1)"),
                "package row 3 (name = 'x'): CHECK constraint failed",
            ),
            (
                format!("{NONE}{PACKAGES} INSERT INTO package VALUES ('CURL', '1', 1)"),
                "package row 3 (name = 'CURL'): another row of the file has the same key",
            ),
            (
                format!("{NONE}{PACKAGES} INSERT INTO package VALUES (NULL, '1', 1)"),
                "package row 3 (name = NULL): a part of its key is NULL",
            ),
            (
                format!("{PACKAGES} {NONE} INSERT INTO dependency VALUES ('nobody', 'zlib', 0)"),
                "of `dependency` would point to a row of `package` that is not there",
            ),
            (
                "CREATE TABLE package (name, version, size)".into(),
                "row 1 of `dependency` would point to a row of `package`",
            ),
        ] {
            let error = fixture.push(&sql).unwrap_err().to_string();
            assert!(error.contains(expected), "{sql}: {error}");
            assert_eq!(fixture.everything(), before, "{sql}");
        }
    }

    #[test]
    fn what_is_not_a_database_or_a_damaged_one_is_refused() {
        let fixture = Fixture::new();
        let file = fixture.folder.path().join("x.db");
        for bytes in [&b""[..], b"name,version\nzlib,1\n", b"SQLite format 3\0 and then nothing of the kind"] {
            std::fs::write(&file, bytes).unwrap();
            let error = run(&fixture.path(), &file, &fixture.data).unwrap_err();
            assert!(matches!(error, MergeError::NotADatabase(_) | MergeError::Damaged(_)), "{error}");
        }
        assert!(run(&fixture.path(), &fixture.folder.path().join("none"), &fixture.data).is_err());
        std::fs::remove_file(&file).unwrap();
        let pushed = Connection::open(&file).unwrap();
        pushed.execute_batch("CREATE TABLE package (name, version, size);").unwrap();
        let mut insert = pushed.prepare("INSERT INTO package VALUES (?1, '1', 1)").unwrap();
        (0..2_000).for_each(|number| assert_eq!(insert.execute([format!("package number {number}")]).unwrap(), 1));
        drop(insert);
        drop(pushed);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[8_192..12_288].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        let error = run(&fixture.path(), &file, &fixture.data).unwrap_err();
        assert!(matches!(error, MergeError::Damaged(_)), "{error}");
    }

    #[test]
    fn a_key_that_is_not_unique_is_told_with_its_remedy() {
        let fixture = Fixture { data: data(&[("loose", &["name"])]), ..Fixture::new() };
        let error = fixture.push("CREATE TABLE loose (name)").unwrap_err().to_string();
        assert!(error.contains("CREATE UNIQUE INDEX loose_key ON \"loose\" (name)"), "{error}");
        let fixture = Fixture { data: data(&[("absent", &["name"])]), ..Fixture::new() };
        assert!(fixture.push("CREATE TABLE absent (name)").unwrap_err().to_string().contains("no such table"));
        let fixture = Fixture { data: data(&[("loose", &["id"])]), ..Fixture::new() };
        let merged =
            fixture.push("CREATE TABLE loose (id, name); INSERT INTO loose VALUES (5, 'a'), (9, 'b')").unwrap();
        assert_eq!(merged.report, ["loose: 2 inserted, 0 updated, 0 deleted, 0 unchanged"]);
        assert_eq!(fixture.rows("SELECT id || name FROM loose ORDER BY id"), ["5a", "9b"]);
    }

    /// The size of the example's data; `cargo test -- --ignored --nocapture merge` shows how long it takes.
    #[test]
    #[ignore = "takes seconds"]
    fn a_large_merge_takes_seconds() {
        let fixture = Fixture::new();
        let mirror =
            data(&[("package", &["id", "name", "version"]), ("dependency", &["id", "package", "target", "position"])]);
        let store = fixture.store();
        crate::change_log::make_triggers(&store, &crate::change_log::wanted(&mirror)).unwrap();
        let file = |version: &str| {
            format!(
                "BEGIN; CREATE TABLE package (name, version, size); CREATE TABLE dependency (package, target, position);
                 WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 62999)
                 INSERT INTO package SELECT 'package-' || (i * 7919 % 63000), CASE WHEN i % 100 = 0 THEN '{version}' ELSE '1' END, i FROM n;
                 WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 349999)
                 INSERT INTO dependency SELECT 'package-' || (i % 63000), 'package-' || (i * 31 % 63000), i / 63000 FROM n; COMMIT;"
            )
        };
        for version in ["1", "2", "2"] {
            let sql = file(version);
            let started = Instant::now();
            let merged = fixture.push(&sql).unwrap();
            println!("{:?} (with making the file): {:?}", started.elapsed(), merged.report);
        }
    }
}
