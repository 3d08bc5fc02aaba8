//! The catalogue file: two tables in one SQLite file, written beside its place and renamed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags, params};

use crate::package::Package;

const SCHEMA: &str = "
CREATE TABLE package (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  section TEXT NOT NULL,
  summary TEXT NOT NULL,
  description TEXT NOT NULL,
  homepage TEXT,
  maintainer TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  tags TEXT NOT NULL  -- JSON array of strings
) STRICT;
CREATE TABLE dependency (
  id INTEGER PRIMARY KEY,
  package TEXT NOT NULL,  -- names, not ids: a target may be outside the catalogue
  target TEXT NOT NULL,
  UNIQUE (package, target)
) STRICT;
";

/// Nothing here survives a crash, and need not: an unfinished draft is never renamed into place.
const PRAGMAS: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
";

const INSERT_PACKAGE: &str = "
INSERT INTO package (name, version, section, summary, description, homepage, maintainer, size_bytes, tags)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const INSERT_DEPENDENCY: &str = "INSERT INTO dependency (package, target) VALUES (?1, ?2)";

const COUNTS: &str = "SELECT (SELECT count(*) FROM package), (SELECT count(*) FROM dependency)";

/// Files SQLite keeps beside a database while some program writes it.
const COMPANIONS: [&str; 2] = ["-wal", "-journal"];

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) packages: i64,
    pub(crate) dependencies: i64,
    pub(crate) bytes: u64,
}

/// A catalogue on its way to `out`. Dropped before [`Draft::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Draft {
    // Declared, and so closed, before its file is removed.
    connection: Connection,
    file: DraftFile,
}

impl Draft {
    /// A catalogue without rows.
    pub(crate) fn empty(out: &Path) -> Result<Self> {
        let draft = Self::open(out)?;
        draft.connection.execute_batch(SCHEMA).with_context(|| draft.file.cannot_write())?;
        Ok(draft)
    }

    /// A copy of another catalogue, page by page, so that an edit of it differs in few pages.
    pub(crate) fn copy_of(original: &Path, out: &Path) -> Result<Self> {
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let not_a_catalogue = || {
            let made_with = "`packages-import invent --out FILE.db` makes one";
            format!("{} is not a catalogue that can be read; {made_with}", original.display())
        };
        let source = Connection::open_with_flags(original, read_only).with_context(not_a_catalogue)?;
        counts(&source).with_context(not_a_catalogue)?;

        let mut draft = Self::open(out)?;
        rusqlite::backup::Backup::new(&source, &mut draft.connection)
            .and_then(|copy| copy.step(-1))
            .with_context(|| format!("cannot copy {} to {}", original.display(), draft.file.draft.display()))?;
        // The copy inherits the original's journal mode; WAL would put the edit into a second file.
        draft.connection.execute_batch("PRAGMA journal_mode = DELETE;").with_context(|| draft.file.cannot_write())?;
        draft.connection.execute_batch(PRAGMAS).with_context(|| draft.file.cannot_write())?;
        Ok(draft)
    }

    fn open(out: &Path) -> Result<Self> {
        let file = DraftFile::claim(out)?;
        let connection = Connection::open(&file.draft)
            .and_then(|connection| connection.execute_batch(PRAGMAS).map(|()| connection))
            .with_context(|| file.cannot_write())?;
        Ok(Self { connection, file })
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Adds the packages and their dependencies in order of their names, so that each index grows
    /// at its end only.
    pub(crate) fn insert(&mut self, packages: &[Package]) -> Result<()> {
        let mut in_order: Vec<&Package> = packages.iter().collect();
        in_order.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        insert_all(&mut self.connection, &in_order).with_context(|| self.file.cannot_write())
    }

    /// Makes the file durable and puts it in its place.
    pub(crate) fn finish(self) -> Result<Written> {
        let Self { connection, file } = self;
        let (packages, dependencies) = counts(&connection).with_context(|| file.cannot_write())?;
        connection.close().map_err(|(_, error)| error).with_context(|| file.cannot_write())?;
        let bytes = file.publish()?;
        Ok(Written { packages, dependencies, bytes })
    }
}

fn insert_all(connection: &mut Connection, packages: &[&Package]) -> Result<()> {
    let transaction = connection.transaction()?;
    let mut insert_package = transaction.prepare(INSERT_PACKAGE)?;
    let mut insert_dependency = transaction.prepare(INSERT_DEPENDENCY)?;
    for package in packages {
        let Package { name, version, section, summary, description, homepage, maintainer, size_bytes, .. } = package;
        let tags = serde_json::to_string(&package.tags)?;
        insert_package
            .execute(params![name, version, section, summary, description, homepage, maintainer, size_bytes, tags])
            .with_context(|| format!("package {name}"))?;
        for target in &package.dependencies {
            insert_dependency.execute([name, target]).with_context(|| format!("dependency of {name} on {target}"))?;
        }
    }
    drop((insert_package, insert_dependency));
    Ok(transaction.commit()?)
}

fn counts(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row(COUNTS, (), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The file beside `out` that the rows go to. Dropped, it is removed.
#[derive(Debug)]
struct DraftFile {
    out: PathBuf,
    draft: PathBuf,
}

impl DraftFile {
    fn claim(out: &Path) -> Result<Self> {
        ensure!(!out.is_dir(), "--out {} is a folder: give the name of a file in it", out.display());
        ensure!(out.file_name().is_some(), "--out {} does not name a file", out.display());
        let folder = folder_of(out);
        ensure!(folder.is_dir(), "there is no folder {0} to write to: `mkdir -p {0}` makes it", folder.display());
        for companion in COMPANIONS.map(|suffix| with_suffix(out, suffix)) {
            // SQLite would replay it into the new file.
            if fs::metadata(&companion).is_ok_and(|meta| meta.len() > 0) {
                bail!(
                    "{} is there, so a program has {} open or left it half-way: end that program, or choose another --out",
                    companion.display(),
                    out.display()
                );
            }
        }
        let draft = with_suffix(out, ".tmp");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}, left by an earlier run", draft.display()))
            }
            _ => Ok(Self { out: out.to_owned(), draft }),
        }
    }

    /// Returns the file's size in bytes.
    fn publish(self) -> Result<u64> {
        let publish = || {
            let file = File::open(&self.draft)?;
            file.sync_all()?;
            fs::rename(&self.draft, &self.out)?;
            File::open(folder_of(&self.out))?.sync_all()?;
            io::Result::Ok(file.metadata()?.len())
        };
        publish().with_context(|| format!("cannot put the catalogue at {}", self.out.display()))
    }

    fn cannot_write(&self) -> String {
        format!("cannot write the catalogue {}", self.draft.display())
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.draft);
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
