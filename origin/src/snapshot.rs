//! SQLite files that no one ever writes to again.

use std::path::Path;

use nearside_host::database::uri_path;
use rusqlite::{Connection, OpenFlags};

/// Opens a file that is never written to, without locks and without files beside it.
pub fn open_immutable(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{}?immutable=1", uri_path(file)), flags)?;
    nearside_search::register(&connection)?;
    Ok(connection)
}
