//! Rows for a site that has none yet: an SQL file run on the write store, in development and in tests.

use std::{path::Path, time::Instant};

use nearside_protocol::limits;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::{
    migrate::{self, MigrateError},
    script,
    store::{self, StoreError},
};

/// Why a file's rows were not taken. The store is untouched.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("{file}:{line}: {why}")]
    Failed { file: String, line: usize, why: String },
    #[error("{file}: {error}")]
    Rows { file: String, error: MigrateError },
    #[error("{file}: it ran longer than {} seconds", limits::MIGRATIONS_WORK.as_secs())]
    TooLong { file: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing runs here yet: push the app first, it makes the tables")]
    NoApp,
    #[error("the writer has stopped")]
    Stopped,
}

/// Runs the file's statements in one transaction, which the change log follows; gives its commit.
///
/// Works on a connection of its own: the writer's is bound by a guest's limits.
pub(crate) fn run(path: &Path, file: &str, sql: &str) -> Result<u64, SeedError> {
    let mut connection = store::open(path)?;
    let ends_at = Instant::now() + limits::MIGRATIONS_WORK;
    connection
        .progress_handler(1_000, Some(move || Instant::now() > ends_at))
        .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON"))
        .map_err(StoreError::from)?;
    let ran = migrate::confined(&mut connection, judge, |connection| script::run(connection, file, sql));
    ran.map_err(StoreError::from)?.map_err(|error| match Instant::now() > ends_at {
        true => SeedError::TooLong { file: file.to_owned() },
        false => {
            let why = match error.message.as_str() {
                "not authorized" => {
                    "not authorized: a seed changes rows of the app's own tables; tables are made by migrations".into()
                }
                _ => error.message,
            };
            SeedError::Failed { file: error.file, line: error.line, why }
        }
    })?;
    migrate::check_references(&connection).map_err(|error| SeedError::Rows { file: file.to_owned(), error })?;
    let commit = store::count_commit(&connection).map_err(StoreError::from)?;
    connection.execute_batch("COMMIT").map_err(StoreError::from)?;
    Ok(commit)
}

/// Rows, as migrations may change them; no tables, which the change log would have to be told of.
fn judge(context: AuthContext<'_>) -> Authorization {
    use AuthAction as A;
    // The change log's own triggers note the rows; no app can make one of such a name.
    if context.accessor.is_some_and(migrate::is_reserved) {
        return Authorization::Allow;
    }
    match context.action {
        A::CreateTable { .. }
        | A::CreateVtable { .. }
        | A::CreateView { .. }
        | A::CreateIndex { .. }
        | A::CreateTrigger { .. }
        | A::DropTable { .. }
        | A::DropVtable { .. }
        | A::DropView { .. }
        | A::DropIndex { .. }
        | A::DropTrigger { .. }
        | A::AlterTable { .. } => Authorization::Deny,
        _ => migrate::judge(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{change_log, install};

    #[test]
    fn rows_come_in_whole_or_not_at_all_and_are_logged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(store::FILE_NAME);
        let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p);";
        let version = install::bare("[mirror]\np = [\"id\", \"name\"]", &[("1.sql", tables)]);
        install::apply(&path, &version).unwrap();

        for (sql, expected) in [
            ("INSERT INTO p (name) VALUES ('a');\nINSERT INTO p (name) VALUES (NULL);", "seed.sql:2: NOT NULL"),
            ("INSERT INTO p (name) VALUES ('a');\nCREATE TABLE q (x);", "seed.sql:2: not authorized: a seed changes"),
            ("DELETE FROM _nearside_task;", "seed.sql:1: not authorized"),
            ("COMMIT;", "seed.sql:1: not authorized"),
            ("INSERT INTO c (p) VALUES (9);", "row 1 of `c` pointing to a row of `p`"),
        ] {
            let error = run(&path, "seed.sql", sql).unwrap_err().to_string();
            assert!(error.contains(expected), "{sql}: {error}");
        }
        let commit = run(&path, "seed.sql", "INSERT INTO c (p) VALUES (1);\nINSERT INTO p VALUES (1, 'a');").unwrap();
        let store = store::open(&path).unwrap();
        assert_eq!(store::meta(&store).unwrap().commit, commit);
        let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((count("SELECT count(*) FROM p"), count("SELECT count(*) FROM c")), (1, 1));
        assert_eq!(count("SELECT count(*) FROM _nearside_change WHERE table_name = 'p'"), 1);
        assert_eq!(change_log::present(&store).unwrap(), change_log::wanted(&version.app.mirror));
    }
}
