//! SQLite files that no one ever writes to again.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens a file that is never written to, without locks and without files beside it.
pub fn open_immutable(file: &Path) -> rusqlite::Result<Connection> {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}
