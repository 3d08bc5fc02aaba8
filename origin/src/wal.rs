//! The write-ahead log of a database, read beside SQLite: which pages its commits wrote, and where their images are.
//!
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>. Only the heads of frames are read while following.
//! How many frames count is SQLite's word, not ours: a crash, or a transaction that was rolled back, leaves frames in the
//! file that never were part of a commit.

use std::{collections::HashMap, fs::File, io, os::unix::fs::FileExt, path::PathBuf};

use nearside_protocol::{limits::PAGE_BYTES, page_object::Page};
use rusqlite::Connection;

const HEAD_BYTES: u64 = 32;
const FRAME_HEAD_BYTES: u64 = 24;
const FRAME_BYTES: u64 = FRAME_HEAD_BYTES + PAGE_BYTES as u64;
/// Of the two magic numbers, which differ in the byte order of checksums.
const MAGIC: [u32; 2] = [0x377f_0682, 0x377f_0683];

#[derive(Debug, thiserror::Error)]
pub enum WalError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: it is not the log SQLite says it is: {why}", path = path.display())]
    Unlike { path: PathBuf, why: &'static str },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// One page that was written, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Counted from 1, as SQLite does.
    pub page: u32,
    /// The pages the database has after the commit that this frame ends.
    pub commits: Option<u32>,
}

pub struct Wal {
    path: PathBuf,
    file: Option<File>,
    /// They change whenever the log begins anew, which is when all of it is in the database's own file.
    salts: [u8; 8],
    read_frames: u32,
    /// The newest frame of each page, counted from 1.
    newest: HashMap<u32, u32>,
}

impl Wal {
    pub fn of(database: &std::path::Path) -> Wal {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Wal { path: path.into(), file: None, salts: [0; 8], read_frames: 0, newest: HashMap::new() }
    }

    pub fn frames(&self) -> u32 {
        self.read_frames
    }

    /// Reads what was committed since the last call. Between two calls, nobody begins the log anew more than once: the
    /// one who writes calls this after each transaction.
    pub fn follow(&mut self, connection: &Connection, mut each: impl FnMut(Frame)) -> Result<(), WalError> {
        let frames = committed(connection)?;
        if frames == 0 {
            self.begin([0; 8]);
            return Ok(());
        }
        let salts = self.head()?;
        if salts != self.salts {
            self.begin(salts);
        }
        if frames < self.read_frames {
            return Err(self.unlike("it has fewer frames than it had"));
        }
        let mut head = [0; FRAME_HEAD_BYTES as usize];
        while self.read_frames < frames {
            self.read_at(&mut head, HEAD_BYTES + u64::from(self.read_frames) * FRAME_BYTES)?;
            if head[8..16] != self.salts {
                return Err(self.unlike("a frame is of an older log"));
            }
            self.read_frames += 1;
            let page = number(&head[0..4]);
            self.newest.insert(page, self.read_frames);
            each(Frame { page, commits: Some(number(&head[4..8])).filter(|pages| *pages > 0) });
        }
        Ok(())
    }

    /// The newest image of a page, counted from 1; false when it is in the database's own file.
    pub fn page(&self, number: u32, page: &mut Page) -> Result<bool, WalError> {
        let Some(frame) = self.newest.get(&number) else { return Ok(false) };
        self.read_at(page, HEAD_BYTES + u64::from(frame - 1) * FRAME_BYTES + FRAME_HEAD_BYTES)?;
        Ok(true)
    }

    fn begin(&mut self, salts: [u8; 8]) {
        self.salts = salts;
        self.read_frames = 0;
        // A log that once was large is no reason to keep its memory.
        self.newest = HashMap::new();
    }

    /// Looks at the log's head, and gives its salts.
    fn head(&mut self) -> Result<[u8; 8], WalError> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path).map_err(|error| WalError::Io { path: self.path.clone(), error })?);
        }
        let mut head = [0; HEAD_BYTES as usize];
        self.read_at(&mut head, 0)?;
        if !MAGIC.contains(&number(&head[0..4])) {
            return Err(self.unlike("it does not begin like one"));
        }
        if number(&head[8..12]) != PAGE_BYTES as u32 {
            return Err(self.unlike("its pages have another size"));
        }
        Ok(std::array::from_fn(|at| head[16 + at]))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), WalError> {
        let file = self.file.as_ref().ok_or_else(|| self.unlike("it has frames and no head"))?;
        file.read_exact_at(bytes, at).map_err(|error| WalError::Io { path: self.path.clone(), error })
    }

    fn unlike(&self, why: &'static str) -> WalError {
        WalError::Unlike { path: self.path.clone(), why }
    }
}

/// How many frames of the log are part of a commit. `NOOP` tells, and moves nothing.
fn committed(connection: &Connection) -> Result<u32, WalError> {
    let frames = connection.query_row("PRAGMA main.wal_checkpoint(NOOP)", [], |row| row.get::<_, i64>(1))?;
    Ok(u32::try_from(frames).unwrap_or(0))
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
