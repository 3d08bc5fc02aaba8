//! The change log: which mirrored rows each commit touched.
//!
//! Triggers on the mirrored tables write a table's name and a row's id to `_nearside_change`, under the number of the
//! commit being made. What the row is like now is for the reader to look up: the log only says where to look, so one row
//! may stand in it many times, and a row that is gone was deleted.

use std::collections::{BTreeMap, BTreeSet};

use nearside_protocol::app::RESERVED_PREFIX;
use rusqlite::{Connection, OptionalExtension};

/// Names of the log's triggers begin with this; the table and the event follow.
const TRIGGER_PREFIX: &str = "_nearside_log_";

/// Why a table cannot be mirrored.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("mirror.{0}: the store has no such table; migrations make it")]
    NoTable(String),
    #[error("mirror.{0}: it is not an ordinary table (a view or a virtual table has no rows of its own to mirror)")]
    NotATable(String),
    #[error("mirror.{table}: the store's table has no column `{column}`")]
    NoColumn { table: String, column: String },
    #[error("mirror.{0}: `id` must be the table's INTEGER PRIMARY KEY: changed rows are told apart by it")]
    IdIsNotTheKey(String),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Checks that each mirrored table of the store can be.
pub fn check(connection: &Connection, mirror: &BTreeMap<String, Vec<String>>) -> Result<(), MirrorError> {
    for (table, columns) in mirror {
        let kind: Option<(String, bool)> = connection
            .query_row(
                "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
                [table],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (kind, without_rowid) = kind.ok_or_else(|| MirrorError::NoTable(table.clone()))?;
        if kind != "table" {
            return Err(MirrorError::NotATable(table.clone()));
        }
        let mut statement = connection.prepare("SELECT lower(name), upper(type), pk FROM pragma_table_xinfo(?1)")?;
        let found: BTreeMap<String, (String, u32)> = statement
            .query_map([table], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
            .collect::<Result<_, _>>()?;
        if let Some(column) = columns.iter().find(|column| !found.contains_key(&column.to_lowercase())) {
            return Err(MirrorError::NoColumn { table: table.clone(), column: column.clone() });
        }
        let keys = found.values().filter(|(_, pk)| *pk > 0).count();
        let is_row_id = found.get("id").is_some_and(|(kind, pk)| kind == "INTEGER" && *pk == 1 && keys == 1);
        if !is_row_id || without_rowid {
            return Err(MirrorError::IdIsNotTheKey(table.clone()));
        }
    }
    Ok(())
}

/// The triggers as they now stand in the store: name and text.
pub(crate) fn present(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, ?1) = ?2";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map((TRIGGER_PREFIX.len(), TRIGGER_PREFIX), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The triggers a mirror declaration asks for.
pub(crate) fn wanted(mirror: &BTreeMap<String, Vec<String>>) -> BTreeSet<(String, String)> {
    mirror.iter().flat_map(|(table, columns)| triggers(table, columns)).collect()
}

/// Inside a transaction: no triggers. A migration may drop a column only if no trigger names it.
pub(crate) fn drop_triggers(connection: &Connection) -> rusqlite::Result<()> {
    for (name, _) in present(connection)? {
        connection.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    Ok(())
}

/// Inside a transaction, after [`drop_triggers`]: these triggers.
pub(crate) fn make_triggers(connection: &Connection, triggers: &BTreeSet<(String, String)>) -> rusqlite::Result<()> {
    triggers.iter().try_for_each(|(_, sql)| connection.execute_batch(sql))
}

fn triggers(table: &str, columns: &[String]) -> [(String, String); 3] {
    let trigger = |event: &str, head: String, rows: &str| {
        let name = format!("{TRIGGER_PREFIX}{table}_{event}");
        // Groups are counted when they commit, so the number being made is the one after the last.
        let sql = format!(
            "CREATE TRIGGER {name} {head} BEGIN \
             INSERT INTO {RESERVED_PREFIX}change (commit_no, table_name, row_id) \
             SELECT value + 1, '{table}', touched.id FROM {RESERVED_PREFIX}meta, ({rows}) AS touched WHERE key = 'commit'; END"
        );
        (name, sql)
    };
    // Compared as stored: neither the column's collation nor 1 = 1.0 may hide a change.
    let differs = |column: &String| {
        format!(
            "old.\"{column}\" IS NOT new.\"{column}\" COLLATE BINARY OR typeof(old.\"{column}\") <> typeof(new.\"{column}\")"
        )
    };
    let changed = columns.iter().map(differs).collect::<Vec<_>>().join(" OR ");
    [
        trigger("insert", format!("AFTER INSERT ON \"{table}\""), "SELECT new.id AS id"),
        trigger(
            "update",
            format!("AFTER UPDATE ON \"{table}\" WHEN {changed}"),
            "SELECT old.id AS id UNION SELECT new.id",
        ),
        trigger("delete", format!("AFTER DELETE ON \"{table}\""), "SELECT old.id AS id"),
    ]
}

/// Forgets the log up to a commit that the read database holds.
pub(crate) fn trim(connection: &Connection, commit: u64) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM _nearside_change WHERE commit_no <= ?1", [commit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn mirror(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let columns = |columns: &[&str]| columns.iter().map(|column| column.to_string()).collect();
        entries.iter().map(|(table, names)| (table.to_string(), columns(names))).collect()
    }

    fn store_of(sql: &str, mirrored: &[(&str, &[&str])]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON").unwrap();
        store::prepare(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let mirror = mirror(mirrored);
        check(&connection, &mirror).unwrap();
        make_triggers(&connection, &wanted(&mirror)).unwrap();
        assert_eq!(present(&connection).unwrap(), wanted(&mirror));
        connection
    }

    /// What a statement adds to the log.
    fn logged(connection: &Connection, sql: &str) -> Vec<(String, i64)> {
        connection.execute("DELETE FROM _nearside_change", []).unwrap();
        connection.execute_batch(sql).unwrap();
        let mut statement =
            connection.prepare("SELECT table_name, row_id FROM _nearside_change ORDER BY 1, 2").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    fn rows(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
        rows.iter().map(|(table, id)| (table.to_string(), *id)).collect()
    }

    const SCHEMA: &str = "
        CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, n, hidden);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE other (id INTEGER PRIMARY KEY, x);";
    const MIRROR: &[(&str, &[&str])] = &[("p", &["id", "name", "n"]), ("c", &["id", "p"])];

    #[test]
    fn every_way_a_mirrored_row_changes_is_logged() {
        let store = store_of(SCHEMA, MIRROR);
        for (sql, expected) in [
            ("INSERT INTO p (id, name, n) VALUES (1, 'a', 1), (2, 'b', 2)", &[("p", 1), ("p", 2)][..]),
            ("INSERT INTO c VALUES (10, 1), (11, 2)", &[("c", 10), ("c", 11)]),
            ("INSERT INTO other VALUES (1, 1)", &[]),
            ("UPDATE p SET n = 5 WHERE id = 1", &[("p", 1)]),
            ("UPDATE p SET n = 5 WHERE id = 1", &[]),
            ("UPDATE p SET hidden = 5", &[]),
            ("UPDATE p SET name = 'A' WHERE name = 'a'", &[("p", 1)]),
            ("UPDATE p SET n = 5.0 WHERE id = 1", &[("p", 1)]),
            ("UPDATE p SET n = NULL WHERE id = 1", &[("p", 1)]),
            ("UPDATE p SET n = NULL WHERE id = 1", &[]),
            ("UPDATE p SET id = 3 WHERE id = 2", &[("c", 11), ("p", 2), ("p", 3)]),
            ("REPLACE INTO p (id, name) VALUES (4, 'a')", &[("c", 10), ("p", 1), ("p", 4)]),
            (
                "INSERT INTO p (id, name) VALUES (4, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                &[("p", 4)],
            ),
            ("DELETE FROM p WHERE id = 3", &[("c", 11), ("p", 3)]),
            ("DELETE FROM p", &[("p", 4)]),
        ] {
            assert_eq!(logged(&store, sql), rows(expected), "{sql}");
        }
    }

    #[test]
    fn rows_stand_under_the_commit_being_made() {
        let store = store_of(SCHEMA, MIRROR);
        let commits = |store: &Connection| -> Vec<i64> {
            let mut statement = store.prepare("SELECT commit_no FROM _nearside_change ORDER BY seq").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        store.execute("INSERT INTO p (id) VALUES (1)", []).unwrap();
        assert_eq!(store::count_commit(&store).unwrap(), 1);
        store.execute("INSERT INTO p (id) VALUES (2)", []).unwrap();
        assert_eq!(store::count_commit(&store).unwrap(), 2);
        assert_eq!(commits(&store), [1, 2]);
        trim(&store, 1).unwrap();
        assert_eq!(commits(&store), [2]);
    }

    #[test]
    fn what_cannot_be_mirrored_is_named() {
        let connection = Connection::open_in_memory().unwrap();
        let schema = "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (id INTEGER, x, PRIMARY KEY (id, x));
            CREATE TABLE c (id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT 1 AS id; CREATE VIRTUAL TABLE f USING fts5(id);
            CREATE TABLE w (id INTEGER PRIMARY KEY) WITHOUT ROWID;";
        connection.execute_batch(schema).unwrap();
        for (table, columns, expected) in [
            ("a", &["id"][..], "mirror.a: `id` must be"),
            ("b", &["id"], "mirror.b: `id` must be"),
            ("w", &["id"], "mirror.w: `id` must be"),
            ("c", &["id", "x"], "has no column `x`"),
            ("v", &["id"], "mirror.v: it is not an ordinary table"),
            ("f", &["id"], "mirror.f: it is not an ordinary table"),
            ("n", &["id"], "mirror.n: the store has no such table"),
        ] {
            let message = check(&connection, &mirror(&[(table, columns)])).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
