//! A push tried out on a copy of the store before the store itself is touched.
//!
//! Migrations only go forward, so one that succeeds and leaves rows that `snapshot.sql` cannot take would leave the app
//! without releases. Here that shows while there is still nothing to undo.

use std::{
    io,
    path::{Path, PathBuf},
};

use nearside_host::archive::{Archive, ArchiveError};
use rusqlite::{Connection, OpenFlags, backup::Backup};

use crate::{
    change_log,
    migrate::{self, MigrateError},
    read_database::{ReadDatabase, ReadError, Shape},
    stage::Stage,
    store,
};

const FOLDER: &str = "rehearsal";

#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("snapshot.sql does not take the rows there are: {0}")]
    Read(#[from] ReadError),
    #[error("the store cannot be copied to try the push out: {0}")]
    Copy(#[from] rusqlite::Error),
    #[error("{folder}: {error}", folder = folder.display())]
    Io { folder: PathBuf, error: io::Error },
}

/// Runs the migrations on a copy of the store, and makes the read database from it.
pub fn rehearse(app_folder: &Path, archive: &Archive) -> Result<(), RehearsalError> {
    let stage = Stage::set(app_folder.join(FOLDER)).map_err(|(folder, error)| RehearsalError::Io { folder, error })?;
    let copy = stage.folder().join(store::FILE_NAME);
    copy_store(&app_folder.join(store::FILE_NAME), &copy)?;
    let mut connection = Connection::open(&copy)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")?;
    change_log::drop_triggers(&connection)?;
    migrate::run(&mut connection, &archive.migrations()?)?;
    connection.execute_batch("COMMIT")?;
    ReadDatabase::build(&stage.folder().join("read.db"), &copy, &Shape::of(archive)?)?;
    Ok(())
}

/// Whether two versions of an app differ in anything a rehearsal would show.
pub fn is_needed(running: &Archive, pushed: &Archive) -> Result<bool, ArchiveError> {
    Ok(running.migrations()? != pushed.migrations()? || Shape::of(running)? != Shape::of(pushed)?)
}

fn copy_store(store: &Path, copy: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut copy = Connection::open(copy)?;
    copy.execute_batch("PRAGMA synchronous = OFF")?;
    // Held in a transaction, so that writes in between do not make it begin again.
    source.execute_batch("BEGIN")?;
    Backup::new(&source, &mut copy)?.run_to_completion(PAGES_AT_ONCE, std::time::Duration::from_millis(1), None)
}

const PAGES_AT_ONCE: i32 = 4_096;
