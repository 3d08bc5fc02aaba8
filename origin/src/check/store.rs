//! The write store as the app's migrations make it, on a database in memory.

use nearside_host::archive::{self, Archive};
use rusqlite::Connection;

use super::{finding::Finding, hint, memory, rule::Rule};
use crate::{
    migrate::{self, MigrateError},
    store,
};

const FILE: &str = archive::MIGRATIONS;

pub(super) fn empty(archive: &Archive) -> Result<Connection, Finding> {
    let broken = |error: rusqlite::Error| Finding::new(Rule::MigrationFails, FILE, None, error.to_string(), "");
    let migrations = archive.migrations().map_err(|error| Finding::of_archive(&error))?;
    let mut connection = memory::open().map_err(broken)?;
    store::prepare(&connection).map_err(broken)?;
    connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").map_err(broken)?;
    migrate::run(&mut connection, &migrations).map_err(|error| told(&connection, error))?;
    connection.execute_batch("COMMIT").map_err(broken)?;
    Ok(connection)
}

fn told(connection: &Connection, error: MigrateError) -> Finding {
    match error {
        MigrateError::Failed { file, line, why } if why == "not authorized" => Finding::new(
            Rule::MigrationDenied,
            &file,
            Some(line),
            "the migration does what migrations may not",
            "they change the app's own tables: no transactions, no other files, no PRAGMA that sets something, no tables \
            that begin with `_nearside_`",
        ),
        MigrateError::Failed { file, line, why } => Finding::new(
            Rule::MigrationFails,
            &file,
            Some(line),
            format!("the migration stops here: {why}"),
            hint::of(connection, &why),
        ),
        MigrateError::Dangling { .. } => Finding::new(
            Rule::MigrationFails,
            FILE,
            None,
            error.to_string(),
            "insert the row it points to first, or take the foreign key out",
        ),
        other => Finding::new(Rule::MigrationFails, FILE, None, other.to_string(), ""),
    }
}

/// Names that run in another order than their numbers say, or do not run at all.
pub(super) fn names(archive: &Archive) -> Vec<Finding> {
    let migrations = archive.migrations().unwrap_or_default();
    let mut findings = Vec::new();
    for pair in migrations.windows(2) {
        let (first, second) = (&pair[0].0, &pair[1].0);
        if let (Some(before), Some(after)) = (number(first), number(second))
            && before > after
        {
            findings.push(Finding::new(
                Rule::MigrationOrder,
                second,
                None,
                format!("it runs after {first}, because migrations run in the order of their names"),
                "give the numbers the same count of digits, such as 0002 and 0010",
            ));
        }
    }
    for file in archive.files_below(FILE).filter(|file| !file.ends_with(".sql")) {
        findings.push(Finding::new(
            Rule::MigrationIgnored,
            file,
            None,
            "it does not run: only files that end in `.sql` do",
            "name it `….sql`, or move it out of migrations/",
        ));
    }
    findings
}

/// The number a file's name begins with.
fn number(file: &str) -> Option<u64> {
    let name = file.strip_prefix(FILE)?;
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    name[..digits].parse().ok()
}
