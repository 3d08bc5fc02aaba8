//! Databases in memory, to try an app's SQL on.

use std::time::Instant;

use nearside_protocol::limits;
use rusqlite::{Connection, config::DbConfig};

pub(super) fn open() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    // Otherwise SQLite takes a misspelt "name" in double quotes for a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    let ends_at = Instant::now() + limits::MIGRATIONS_WORK;
    connection.progress_handler(1_000, Some(move || Instant::now() > ends_at))?;
    Ok(connection)
}
