//! A snapshot: one moment of the read database as a file that no one ever writes to again.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use nearside_protocol::{
    digest::{Digest, PageTree},
    limits::{DATABASE_BYTES, PAGE_BYTES},
};
use rusqlite::{Connection, OpenFlags, backup};

use crate::read_database::{self, Position};

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{file}: {error}", file = file.display())]
    Sqlite { file: PathBuf, error: rusqlite::Error },
    #[error("{file}: {error}", file = file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("{file}: {bytes} bytes are not whole pages of {PAGE_BYTES}", file = file.display())]
    NotPages { file: PathBuf, bytes: u64 },
    #[error("the read database has {bytes} bytes; a release has at most {DATABASE_BYTES}")]
    TooLarge { bytes: u64 },
    #[error("{file}: it notes no position: it is not a copy of a read database", file = file.display())]
    NoPosition { file: PathBuf },
}

/// What a finished snapshot file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub root: Digest,
    pub page_count: u64,
    pub position: Position,
    /// The schema, and the statistics the query planner goes by: read once by each connection, so no page tells of them.
    pub schema: String,
}

/// Copies the read database as it is now to a file of its own, durably.
pub fn take(read_database: &Path, file: &Path) -> Result<Snapshot, SnapshotError> {
    let sqlite = |error| SnapshotError::Sqlite { file: file.to_owned(), error };
    let io = |error| SnapshotError::Io { file: file.to_owned(), error };
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    copy(read_database, file).map_err(sqlite)?;
    let (root, page_count) = seal(file)?;
    let (position, schema) = look(file).map_err(sqlite)?;
    let position = position.ok_or_else(|| SnapshotError::NoPosition { file: file.to_owned() })?;
    Ok(Snapshot { root, page_count, position, schema })
}

const TRIES: u32 = 1_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(2);

fn copy(read_database: &Path, file: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(read_database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut copy = Connection::open(file)?;
    // Nobody sees the file before it is whole and synced.
    copy.pragma_update(None, "journal_mode", "OFF")?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    let backup = backup::Backup::new(&source, &mut copy)?;
    // In one step, so that it is of one moment. Only a write-ahead log being recovered can be in the way.
    for _ in 0..TRIES {
        if backup.step(-1)? == backup::StepResult::Done {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}

/// Makes the header that of a file which can be opened immutable, syncs the file, and gives the root of its pages.
fn seal(file: &Path) -> Result<(Digest, u64), SnapshotError> {
    /// Bytes 18 and 19: the version of the format for writers and readers; 2 is write-ahead logging, 1 is not.
    const VERSIONS: (u64, [u8; 2]) = (18, [1, 1]);

    let io = |error| SnapshotError::Io { file: file.to_owned(), error };
    let mut opened = OpenOptions::new().read(true).write(true).open(file).map_err(io)?;
    opened.seek(SeekFrom::Start(VERSIONS.0)).and_then(|_| opened.write_all(&VERSIONS.1)).map_err(io)?;
    opened.sync_all().map_err(io)?;
    root_of(file, &opened)
}

/// The root of the page tree over a file, and how many pages it has.
pub fn root_of(path: &Path, file: &File) -> Result<(Digest, u64), SnapshotError> {
    let io = |error| SnapshotError::Io { file: path.to_owned(), error };
    let bytes = file.metadata().map_err(io)?.len();
    if !bytes.is_multiple_of(PAGE_BYTES as u64) {
        return Err(SnapshotError::NotPages { file: path.to_owned(), bytes });
    }
    if bytes > DATABASE_BYTES {
        return Err(SnapshotError::TooLarge { bytes });
    }
    let mut reader = BufReader::with_capacity(PAGE_BYTES * 64, file);
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    let mut tree = PageTree::default();
    let mut page = [0; PAGE_BYTES];
    for _ in 0..bytes / PAGE_BYTES as u64 {
        reader.read_exact(&mut page).map_err(io)?;
        tree.add(&page);
    }
    let pages = tree.pages();
    Ok((tree.root(), pages))
}

fn look(file: &Path) -> rusqlite::Result<(Option<Position>, String)> {
    let connection = open_immutable(file)?;
    let mut schema = String::new();
    let mut add = |sql: &str| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            schema.push_str(&row.get::<_, Option<String>>(0)?.unwrap_or_default());
            schema.push('\n');
        }
        Ok(())
    };
    add("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?;
    if connection.table_exists(None, "sqlite_stat1")? {
        add("SELECT tbl || ' ' || coalesce(idx, '') || ' ' || stat FROM sqlite_stat1 ORDER BY 1")?;
    }
    Ok((read_database::position(&connection)?, schema))
}

/// Opens a file that is never written to, without locks and without files beside it.
pub fn open_immutable(file: &Path) -> rusqlite::Result<Connection> {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}
