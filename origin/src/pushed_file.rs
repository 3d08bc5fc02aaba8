//! A database that is simply the file somebody pushed: taken in as snapshots are, and read page by page.
//!
//! Kept as `pushed.db` in the app's folder: without a write-ahead log, of 4096-byte pages, looked through for damage. The
//! pages stay where the one who made the file put them, unless they had another size.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    limits::{DATABASE_BYTES, PAGE_BYTES},
    page_object::Page,
};
use rusqlite::{Connection, OpenFlags, backup::Backup};

use crate::{read_database, snapshot::open_immutable};

const NAME: &str = "pushed.db";
/// One that some nodes try out.
const TRIED: &str = "tried.db";
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: u64 = 100;

#[derive(Debug, thiserror::Error)]
pub enum PushedError {
    #[error("the file is not a SQLite database: {0}")]
    NotADatabase(String),
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the database has {bytes} bytes; a release has at most {DATABASE_BYTES}")]
    TooLarge { bytes: u64 },
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: {error}", path = path.display())]
    Sqlite { path: PathBuf, error: rusqlite::Error },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> PushedError {
    let path = path.to_owned();
    move |error| PushedError::Io { path, error }
}

fn sqlite_at(path: &Path) -> impl FnOnce(rusqlite::Error) -> PushedError {
    let path = path.to_owned();
    move |error| PushedError::Sqlite { path, error }
}

/// Which content a file has: it is replaced whole, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    inode: u64,
    bytes: u64,
    modified_ns: i64,
    modified_s: i64,
}

pub struct PushedFile {
    path: PathBuf,
    file: File,
    id: FileId,
}

impl PushedFile {
    /// The file that was taken in last, if there is one.
    pub fn in_folder(folder: &Path) -> Result<Option<PushedFile>, PushedError> {
        PushedFile::at(folder.join(NAME))
    }

    /// The file that some nodes try out, if there is one.
    pub fn to_be_tried(folder: &Path) -> Result<Option<PushedFile>, PushedError> {
        PushedFile::at(folder.join(TRIED))
    }

    /// Makes the file that was tried out the one that is for everyone; nothing when that is done. Durable when it returns.
    pub fn promote(folder: &Path, disk: &Disk) -> Result<(), PushedError> {
        let tried = folder.join(TRIED);
        if tried.exists() { disk.rename(&tried, &folder.join(NAME)).map_err(io_at(&tried)) } else { Ok(()) }
    }

    /// Nobody tries it out any more.
    pub fn forget_tried(folder: &Path) -> Result<(), PushedError> {
        let tried = folder.join(TRIED);
        match fs::remove_file(&tried) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PushedError::Io { path: tried, error }),
            _ => Ok(()),
        }
    }

    fn at(path: PathBuf) -> Result<Option<PushedFile>, PushedError> {
        match File::open(&path) {
            Ok(file) => PushedFile::of(path, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PushedError::Io { path, error }),
        }
    }

    fn of(path: PathBuf, file: File) -> Result<PushedFile, PushedError> {
        let meta = file.metadata().map_err(io_at(&path))?;
        let id =
            FileId { inode: meta.ino(), bytes: meta.len(), modified_s: meta.mtime(), modified_ns: meta.mtime_nsec() };
        Ok(PushedFile { path, file, id })
    }

    pub fn id(&self) -> FileId {
        self.id
    }

    pub fn pages(&self) -> u32 {
        (self.id.bytes / PAGE_BYTES as u64) as u32
    }

    /// Gives each page, in order.
    pub fn each<E: From<PushedError>>(&self, mut sink: impl FnMut(u32, &Page) -> Result<(), E>) -> Result<(), E> {
        let mut page = [0; PAGE_BYTES];
        for number in 0..self.pages() {
            let read = self.file.read_exact_at(&mut page, u64::from(number) * PAGE_BYTES as u64);
            read.map_err(io_at(&self.path))?;
            sink(number, &page)?;
        }
        Ok(())
    }

    pub fn open(&self) -> Result<Connection, PushedError> {
        open_immutable(&self.path).map_err(sqlite_at(&self.path))
    }

    pub fn schema(&self) -> Result<String, PushedError> {
        read_database::schema(&self.open()?).map_err(sqlite_at(&self.path))
    }
}

/// A file that was made ready, and takes the place of the one before when it is kept.
pub struct Imported {
    path: PathBuf,
    pub report: Vec<String>,
}

impl Imported {
    pub fn open(&self) -> Result<Connection, PushedError> {
        open_immutable(&self.path).map_err(sqlite_at(&self.path))
    }

    /// Durable when it returns.
    pub fn keep(&self, folder: &Path, disk: &Disk) -> Result<(), PushedError> {
        self.keep_as(&folder.join(NAME), disk)
    }

    /// The same for one that some nodes are to try out.
    pub fn keep_to_be_tried(&self, folder: &Path, disk: &Disk) -> Result<(), PushedError> {
        self.keep_as(&folder.join(TRIED), disk)
    }

    fn keep_as(&self, path: &Path, disk: &Disk) -> Result<(), PushedError> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(io_at(&self.path))?;
        disk.rename(&self.path, path).map_err(io_at(path))
    }
}

impl Drop for Imported {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a file that came in ready to be published. It is ours to change, and has no other files beside it.
pub fn import(file: &Path) -> Result<Imported, PushedError> {
    look_at_header(file)?;
    let mut imported = Imported { path: beside(file, "import"), report: Vec::new() };
    let _ = fs::remove_file(&imported.path);
    let connection = open_plain(file)?;
    let told = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => PushedError::NotADatabase(error.to_string()),
        _ => PushedError::Damaged(error.to_string()),
    };
    // Its header says so from then on.
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(told)?;
    let page_bytes: usize = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(told)?;
    let check = |connection: &Connection| -> Result<(), PushedError> {
        let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map_err(told)?;
        if verdict == "ok" { Ok(()) } else { Err(PushedError::Damaged(verdict)) }
    };
    check(&connection)?;
    if page_bytes == PAGE_BYTES {
        drop(connection);
        fs::rename(file, &imported.path).map_err(io_at(file))?;
    } else {
        connection.pragma_update(None, "page_size", PAGE_BYTES as i64).map_err(told)?;
        connection.execute("VACUUM INTO ?1", [imported.path.to_string_lossy()]).map_err(told)?;
        imported
            .report
            .push(format!("its pages of {page_bytes} bytes were made {PAGE_BYTES}: every push does that anew"));
    }
    cut_to_size(&imported.path)?;
    Ok(imported)
}

/// A copy of a database that may be in use, with what its write-ahead log holds.
pub fn copy(of: &Path, to: &Path) -> Result<(), PushedError> {
    look_at_header(of)?;
    let source = Connection::open_with_flags(of, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite_at(of))?;
    let mut copy = Connection::open(to).map_err(sqlite_at(to))?;
    let backup = Backup::new(&source, &mut copy).map_err(sqlite_at(of))?;
    const PAGES_AT_ONCE: i32 = 4_096;
    backup.run_to_completion(PAGES_AT_ONCE, std::time::Duration::from_millis(1), None).map_err(sqlite_at(of))
}

fn look_at_header(file: &Path) -> Result<(), PushedError> {
    let mut magic = [0; MAGIC.len()];
    match File::open(file).and_then(|mut file| file.read_exact(&mut magic)) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(io_at(file)(error)),
        Ok(()) if &magic == MAGIC => Ok(()),
        _ => Err(PushedError::NotADatabase("it does not begin like one".into())),
    }
}

fn open_plain(file: &Path) -> Result<Connection, PushedError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(sqlite_at(file))?;
    // As whoever only reads: nothing is looked at before it is known to be sound.
    nearside_search::register_sharing(&connection, Arc::default()).map_err(sqlite_at(file))?;
    // It may come from anyone.
    connection.pragma_update(None, "trusted_schema", false).map_err(sqlite_at(file))?;
    connection.pragma_update(None, "cell_size_check", true).map_err(sqlite_at(file))?;
    Ok(connection)
}

/// As long as its header says, and no longer.
fn cut_to_size(path: &Path) -> Result<(), PushedError> {
    let file = File::options().read(true).write(true).open(path).map_err(io_at(path))?;
    let mut header = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut header, 0).map_err(io_at(path))?;
    let has = file.metadata().map_err(io_at(path))?.len();
    let of = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    // The count is only right when whoever wrote last knew of it.
    let says = if of(24) == of(92) { u64::from(of(28)) * PAGE_BYTES as u64 } else { has };
    if says == 0 || says > has || !says.is_multiple_of(PAGE_BYTES as u64) {
        return Err(PushedError::Damaged(format!("it has {has} bytes, and should have {says}")));
    }
    if says > DATABASE_BYTES {
        return Err(PushedError::TooLarge { bytes: says });
    }
    if says < has {
        file.set_len(says).map_err(io_at(path))?;
    }
    Ok(())
}

fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(path: &Path, pragmas: &str) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(&format!(
                "{pragmas} CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO item SELECT i, 'name ' || i FROM n;"
            ))
            .unwrap();
        connection
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn any_database_is_made_what_a_snapshot_is() {
        for (pragmas, vacuumed) in [
            ("", false),
            ("PRAGMA journal_mode = WAL;", false),
            ("PRAGMA page_size = 1024;", true),
            ("PRAGMA page_size = 65536;", true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (made, came) = (folder.path().join("made.db"), folder.path().join("incoming-1"));
            drop(database(&made, pragmas));
            fs::copy(&made, &came).unwrap();
            let imported = import(&came).unwrap();
            assert_eq!(imported.report.len(), usize::from(vacuumed), "{pragmas}");
            imported.keep(folder.path(), &Disk::real()).unwrap();
            drop(imported);
            let file = PushedFile::in_folder(folder.path()).unwrap().unwrap();
            assert_eq!(count(&file.open().unwrap()), 5_000);
            let mut bytes = Vec::new();
            file.each(|_, page| {
                bytes.extend_from_slice(page);
                Ok::<_, PushedError>(())
            })
            .unwrap();
            assert_eq!(&bytes[16..20], &[0x10, 0, 1, 1], "{pragmas}");
            let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(files.iter().all(|name| !name.to_string_lossy().contains("import")), "{files:?}");
        }
    }

    #[test]
    fn what_is_in_a_log_beside_the_file_is_copied_too() {
        let folder = tempfile::tempdir().unwrap();
        let (live, to) = (folder.path().join("live.db"), folder.path().join("copy.db"));
        let connection = database(&live, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;");
        copy(&live, &to).unwrap();
        assert_eq!(count(&open_immutable(&to).unwrap()), 5_000);
        drop(connection);
    }

    #[test]
    fn what_is_no_database_or_damaged_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let came = folder.path().join("incoming-1");
        for (bytes, expected) in [
            (&b""[..], "not a SQLite database: it does not begin like one"),
            (b"id,name\n1,a\n", "not a SQLite database"),
            (b"SQLite format 3\0 and nothing else", "not a"),
        ] {
            fs::write(&came, bytes).unwrap();
            let Err(error) = import(&came) else { panic!("{expected}") };
            assert!(error.to_string().contains(expected), "{error}");
        }
        drop(database(&folder.path().join("made.db"), ""));
        let mut bytes = fs::read(folder.path().join("made.db")).unwrap();
        bytes[8_192..12_288].fill(0xaa);
        fs::write(&came, &bytes).unwrap();
        assert!(matches!(import(&came), Err(PushedError::Damaged(_))));
        fs::write(&came, &bytes[..20_480]).unwrap();
        assert!(matches!(import(&came), Err(PushedError::Damaged(_))));
        assert!(PushedFile::in_folder(folder.path()).unwrap().is_none());
    }
}
