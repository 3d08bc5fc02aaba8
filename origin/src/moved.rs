//! Which pages of the read database moved since its last capture, and what they are now.
//!
//! The projector's thread alone writes and checkpoints the database, and does this work too: so between a commit and
//! what is told here nobody else's can come.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use nearside_protocol::{
    limits::{MOVED_PAGES, PAGE_BYTES},
    page_object::Page,
};
use rusqlite::Connection;

use crate::wal::{Wal, WalError};

/// The page, counted from 0, that holds the byte SQLite locks: it has no content, and is in no log.
const LOCK_PAGE: u32 = ((1 << 30) / PAGE_BYTES) as u32;

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Pages that may differ, counted from 0.
#[derive(Clone, Debug, PartialEq)]
enum Pages {
    /// So many that they are not listed, or nobody knows.
    All,
    These(BTreeSet<u32>),
}

impl Pages {
    fn none() -> Pages {
        Pages::These(BTreeSet::new())
    }

    fn add(&mut self, page: u32) {
        if let Pages::These(pages) = self {
            pages.insert(page);
            if pages.len() > MOVED_PAGES {
                *self = Pages::All;
            }
        }
    }

    fn add_all(&mut self, more: Pages) {
        match more {
            Pages::All => *self = Pages::All,
            Pages::These(pages) => pages.into_iter().for_each(|page| self.add(page)),
        }
    }
}

/// What a capture is laid over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// What the last capture gave, which has been kept.
    LastCapture,
    /// What the last capture was laid over: what it gave came to nothing.
    BeforeLastCapture,
    /// Something else: compare every page.
    Unknown,
}

pub struct Moved {
    path: PathBuf,
    /// Open for as long as any connection is: closing it would take the locks of all of this process's connections with it.
    file: File,
    wal: Wal,
    page_count: u32,
    since_capture: Pages,
    /// What the last capture gave.
    captured: Pages,
}

impl Moved {
    /// Begins to follow a database. Its first capture gives every page.
    pub fn follow_from(connection: &Connection, path: &Path) -> Result<Moved, CaptureError> {
        let io = |error| CaptureError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(io)?;
        let mut moved = Moved {
            path: path.to_owned(),
            file,
            wal: Wal::of(path),
            page_count: 0,
            since_capture: Pages::All,
            captured: Pages::All,
        };
        moved.follow(connection)?;
        if moved.page_count == 0 {
            let mut first = [0; PAGE_BYTES];
            moved.read(0, &mut first)?;
            moved.page_count = u32::from_be_bytes([first[28], first[29], first[30], first[31]]);
        }
        Ok(moved)
    }

    /// Frames in the log: what a checkpoint would move, at most.
    pub fn log_frames(&self) -> u32 {
        self.wal.frames()
    }

    /// Notes what was committed since the last call; called after each transaction, and each checkpoint.
    pub fn follow(&mut self, connection: &Connection) -> Result<(), CaptureError> {
        let (pages, page_count) = (&mut self.since_capture, &mut self.page_count);
        let followed = self.wal.follow(connection, |frame| {
            pages.add(frame.page - 1);
            if let Some(after) = frame.commits {
                // A page that the database grew over need not have been written.
                (*page_count..after).for_each(|page| pages.add(page));
                *page_count = after;
            }
        });
        if followed.is_err() {
            // Read from its beginning the next time.
            self.wal = Wal::of(&self.path);
            self.since_capture = Pages::All;
        }
        Ok(followed?)
    }

    /// What is different from what it is laid over.
    pub fn capture(&mut self, since: Since) -> Capture<'_> {
        let new = std::mem::replace(&mut self.since_capture, Pages::none());
        match since {
            Since::LastCapture => self.captured = new,
            Since::BeforeLastCapture => self.captured.add_all(new),
            Since::Unknown => self.captured = Pages::All,
        }
        Capture { moved: self }
    }

    /// A page as it is now, counted from 0.
    fn read(&self, number: u32, page: &mut Page) -> Result<(), CaptureError> {
        if number == LOCK_PAGE {
            page.fill(0);
            return Ok(());
        }
        if !self.wal.page(number + 1, page)? {
            self.read_from_file(number, page).map_err(|error| CaptureError::Io { path: self.path.clone(), error })?;
        }
        if number == 0 {
            // The version of the format for writers and readers: 2 is write-ahead logging, 1 is not.
            page[18..20].copy_from_slice(&[1, 1]);
        }
        Ok(())
    }

    /// What the file ends before is zeroes, as it is to SQLite: a page that was taken and freed before it was written.
    fn read_from_file(&self, number: u32, page: &mut Page) -> io::Result<()> {
        let mut filled = 0;
        while filled < PAGE_BYTES {
            let at = u64::from(number) * PAGE_BYTES as u64 + filled as u64;
            match self.file.read_at(&mut page[filled..], at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        page[filled..].fill(0);
        Ok(())
    }
}

/// One moment of the database: the pages that may be different, and how many there are.
pub struct Capture<'a> {
    moved: &'a Moved,
}

impl Capture<'_> {
    pub fn page_count(&self) -> u32 {
        self.moved.page_count
    }

    /// Gives each page, in ascending order.
    pub fn each<E: From<CaptureError>>(&self, mut sink: impl FnMut(u32, &Page) -> Result<(), E>) -> Result<(), E> {
        let mut page = [0; PAGE_BYTES];
        let mut give = |number: u32| {
            self.moved.read(number, &mut page)?;
            sink(number, &page)
        };
        match &self.moved.captured {
            Pages::All => (0..self.moved.page_count).try_for_each(&mut give),
            Pages::These(pages) => pages.range(..self.moved.page_count).copied().try_for_each(&mut give),
        }
    }
}

#[cfg(test)]
mod tests;
