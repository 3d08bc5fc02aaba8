//! Migrations: the app's forward-only SQL files, run in order of name inside the transaction that installs a version.

use nearside_protocol::{app::RESERVED_PREFIX, digest::Digest, unix_time::now_ms};
use rusqlite::{
    Connection, OptionalExtension,
    hooks::{AuthAction, AuthContext, Authorization},
    params,
};

use crate::script::{self, ScriptError};

/// Why migrations were not run. Nothing of them is kept.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("{file}: it has changed since it ran; migrations only go forward: put the change into a new file")]
    Changed { file: String },
    #[error("{file}: `{last}` has run already and comes later by name; give the new file a higher number")]
    OutOfOrder { file: String, last: String },
    #[error("{file}:{line}: {why}")]
    Failed { file: String, line: usize, why: String },
    #[error("the migrations leave row {row} of `{table}` pointing to a row of `{parent}` that is not there")]
    Dangling { table: String, row: String, parent: String },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl From<ScriptError> for MigrateError {
    fn from(ScriptError { file, line, message }: ScriptError) -> MigrateError {
        MigrateError::Failed { file, line, why: message }
    }
}

/// Runs those of `migrations` (file name, SQL) that have not run yet; gives the names of those it ran.
///
/// The caller has begun a transaction with foreign keys off (the way SQLite's manual rebuilds tables: with them on, a
/// DROP TABLE deletes what its rows cascade to), and rolls it back on an error. They are checked here at the end.
pub fn run(connection: &mut Connection, migrations: &[(String, String)]) -> Result<Vec<String>, MigrateError> {
    let mut last: Option<String> =
        connection.query_row("SELECT max(name) FROM _nearside_migration", [], |row| row.get(0))?;
    let mut ran = Vec::new();
    for (file, sql) in migrations {
        let digest = Digest::of(sql.as_bytes()).to_string();
        let known: Option<String> = connection
            .query_row("SELECT digest FROM _nearside_migration WHERE name = ?1", [file], |row| row.get(0))
            .optional()?;
        match known {
            Some(known) if known == digest => continue,
            Some(_) => return Err(MigrateError::Changed { file: file.clone() }),
            None => {}
        }
        if let Some(last) = last.filter(|last| last > file) {
            return Err(MigrateError::OutOfOrder { file: file.clone(), last });
        }
        confined(connection, judge, |connection| script::run(connection, file, sql))??;
        let sql = "INSERT INTO _nearside_migration (name, digest, at_ms) VALUES (?1, ?2, ?3)";
        connection.execute(sql, params![file, digest, now_ms()])?;
        last = Some(file.clone());
        ran.push(file.clone());
    }
    if !ran.is_empty() {
        check_references(connection)?;
    }
    Ok(ran)
}

/// An app's SQL stays away from the reserved tables, other files and the transaction it runs in.
pub(crate) fn confined<T>(
    connection: &mut Connection,
    judge: fn(AuthContext<'_>) -> Authorization,
    work: impl FnOnce(&Connection) -> T,
) -> rusqlite::Result<T> {
    connection.authorizer(Some(judge))?;
    let result = work(connection);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    Ok(result)
}

pub(crate) fn judge(context: AuthContext<'_>) -> Authorization {
    use AuthAction as A;
    let own = |names: &[&str]| match names.iter().any(|name| is_reserved(name)) {
        true => Authorization::Deny,
        false => Authorization::Allow,
    };
    match context.action {
        A::Attach { .. } | A::Detach { .. } | A::Transaction { .. } | A::Savepoint { .. } => Authorization::Deny,
        A::Pragma { pragma_value: None, .. } => Authorization::Allow,
        A::Pragma { pragma_name, .. } => match pragma_name.to_ascii_lowercase().as_str() {
            // SQLite itself asks for a quick_check when a column with a CHECK or NOT NULL is added.
            "table_info" | "table_xinfo" | "index_list" | "index_info" | "foreign_key_list" | "foreign_key_check"
            | "legacy_alter_table" | "quick_check" => Authorization::Allow,
            _ => Authorization::Deny,
        },
        A::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => Authorization::Deny,
        A::CreateTable { table_name: name }
        | A::CreateTempTable { table_name: name }
        | A::CreateView { view_name: name }
        | A::CreateTempView { view_name: name }
        | A::CreateVtable { table_name: name, .. }
        | A::DropTable { table_name: name }
        | A::DropTempTable { table_name: name }
        | A::DropView { view_name: name }
        | A::DropTempView { view_name: name }
        | A::DropVtable { table_name: name, .. }
        | A::AlterTable { table_name: name, .. }
        | A::Insert { table_name: name }
        | A::Delete { table_name: name }
        | A::Update { table_name: name, .. }
        | A::Read { table_name: name, .. } => own(&[name]),
        A::CreateIndex { index_name: name, table_name }
        | A::CreateTempIndex { index_name: name, table_name }
        | A::CreateTrigger { trigger_name: name, table_name }
        | A::CreateTempTrigger { trigger_name: name, table_name }
        | A::DropIndex { index_name: name, table_name }
        | A::DropTrigger { trigger_name: name, table_name } => own(&[name, table_name]),
        _ => Authorization::Allow,
    }
}

pub(crate) fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

pub(crate) fn check_references(connection: &Connection) -> Result<(), MigrateError> {
    let dangling = connection
        .query_row("PRAGMA foreign_key_check", [], |row| {
            let row_id: Option<i64> = row.get(1)?;
            Ok((row.get(0)?, row_id.map_or_else(|| "?".to_owned(), |id| id.to_string()), row.get(2)?))
        })
        .optional()?;
    match dangling {
        None => Ok(()),
        Some((table, row, parent)) => Err(MigrateError::Dangling { table, row, parent }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        store::prepare(&connection).unwrap();
        connection
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, sql)| (format!("migrations/{name}"), sql.to_string())).collect()
    }

    fn run_all(connection: &mut Connection, migrations: &[(&str, &str)]) -> Result<Vec<String>, String> {
        connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
        let result = run(connection, &files(migrations)).map_err(|error| error.to_string());
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if !connection.is_autocommit() {
            connection.execute_batch(end).unwrap();
        }
        result
    }

    #[test]
    fn each_runs_once_in_order() {
        let mut store = store();
        let one = ("0001.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, n);\nINSERT INTO t (n) VALUES (1);");
        let two = (
            "0002.sql",
            "-- twice\nALTER TABLE t RENAME COLUMN n TO m;\nUPDATE t SET m = m * 2;\nALTER TABLE t ADD COLUMN k CHECK (k > 0);\n",
        );
        assert_eq!(run_all(&mut store, &[one]).unwrap(), ["migrations/0001.sql"]);
        assert_eq!(run_all(&mut store, &[one, two]).unwrap(), ["migrations/0002.sql"]);
        assert!(run_all(&mut store, &[one, two]).unwrap().is_empty());
        assert_eq!(store.query_row("SELECT m FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
        assert!(run_all(&mut store, &[one]).unwrap().is_empty(), "an older version of the app is no fault");
    }

    #[test]
    fn a_failure_names_its_line_and_leaves_nothing() {
        for (sql, expected) in [
            ("CREATE TABLE t (x);\n\n-- why\nCREATE TABL u (x);", "0001.sql:4: near \"TABL\": syntax error"),
            (
                "CREATE TABLE t (x UNIQUE);\nINSERT INTO t VALUES (1),\n (1);",
                "0001.sql:2: UNIQUE constraint failed: t.x",
            ),
            (
                "CREATE TABLE t (x);\n/* a\n b */ INSERT INTO t\nVALUES (missing);",
                "0001.sql:4: no such column: missing",
            ),
            ("CREATE TABLE t (x);\nSELECT * FROM u;", "0001.sql:2: no such table: u"),
            ("CREATE TABLE t (x);;\n;COMMIT;", "0001.sql:2: not authorized"),
            ("CREATE TABLE t (x);\nATTACH 'y' AS y", "0001.sql:2: not authorized"),
            ("CREATE TABLE t (x);\nDELETE FROM _nearside_task", "0001.sql:2: not authorized"),
            ("CREATE TABLE t (x);\nCREATE TABLE _Nearside_x (y)", "0001.sql:2: not authorized"),
            ("CREATE TABLE t (x);\nPRAGMA writable_schema = 1", "0001.sql:2: not authorized"),
            (
                "CREATE TABLE t (x UNIQUE ON CONFLICT ROLLBACK);\nINSERT INTO t VALUES (1), (1)",
                "0001.sql:2: UNIQUE constraint",
            ),
            ("CREATE TABLE t (x);\nVACUUM", "0001.sql:2: "),
        ] {
            let mut store = store();
            let message = run_all(&mut store, &[("0001.sql", sql)]).unwrap_err();
            assert!(message.contains(expected), "{sql}: {message}");
            let count = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
            assert_eq!(store.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{sql}");
            assert_eq!(run_all(&mut store, &[("0001.sql", "CREATE TABLE t (x)")]).unwrap().len(), 1);
        }
    }

    #[test]
    fn history_is_not_rewritten() {
        let mut store = store();
        run_all(&mut store, &[("0002.sql", "CREATE TABLE t (x)")]).unwrap();
        let changed = run_all(&mut store, &[("0002.sql", "CREATE TABLE t (y)")]).unwrap_err();
        assert!(changed.contains("0002.sql: it has changed"), "{changed}");
        let late =
            run_all(&mut store, &[("0001.sql", "CREATE TABLE u (x)"), ("0002.sql", "CREATE TABLE t (x)")]).unwrap_err();
        assert!(late.contains("0001.sql: `migrations/0002.sql` has run already"), "{late}");
    }

    #[test]
    fn tables_are_rebuilt_without_losing_what_points_to_them() {
        let mut store = store();
        let one = (
            "1.sql",
            "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
            CREATE TABLE c (p REFERENCES p ON DELETE CASCADE); INSERT INTO c VALUES (1);",
        );
        run_all(&mut store, &[one]).unwrap();
        let two = (
            "2.sql",
            "CREATE TABLE q (id INTEGER PRIMARY KEY, n); INSERT INTO q (id) SELECT id FROM p;
            DROP TABLE p; ALTER TABLE q RENAME TO p;",
        );
        run_all(&mut store, &[one, two]).unwrap();
        assert_eq!(store.query_row("SELECT count(*) FROM c", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        let message = run_all(&mut store, &[one, two, ("3.sql", "DELETE FROM p")]).unwrap_err();
        assert!(message.contains("row 1 of `c` pointing to a row of `p`"), "{message}");
    }
}
