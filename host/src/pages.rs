//! The page store: every release a node keeps, in one file of pages and one book of who has which.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the store: opening, committing, retiring, repairing |
//! | [`keep`] | which releases stay when another comes |
//! | [`draft`] | the next release's pages, while they come |
//! | [`table`] | a release's pages: where each is, and what it must hash to |
//! | `book` | the tables on disk: one record a release, whose sync is the moment it is kept |
//! | `slots` | the pages on disk: slots of 4 KiB, mapped in extents |
//! | `mapping` | one extent in memory (unsafe) |
//! | [`vfs`] | SQLite reading a table (unsafe) |
//! | [`reads`] | which pages a piece of work read |
//!
//! What makes it safe: nothing a reader may see is ever written in place. A page goes into a slot that no kept release and no
//! open reader refers to; then the slots are synced; then the book's record is written and synced. Until that, the release
//! before is the newest; from then on, this one is. A page is hashed when it comes in, and again at its first use after a
//! start.

mod book;
pub mod draft;
pub mod keep;
mod mapping;
pub mod reads;
mod slots;
pub mod store;
pub mod table;
pub mod vfs;

use std::{io, path::PathBuf};

use nearside_protocol::digest::Digest;

pub use draft::Draft;
pub use keep::Keep;
pub use store::{Kept, PageStore};
pub use table::Table;

#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("page {number} of {root} is damaged on this disk: its bytes are not those it was stored with")]
    Damaged { root: Digest, number: u32 },
    #[error("there is no page {number}: the snapshot has {pages}")]
    NoPage { number: u32, pages: u32 },
    #[error("{0} of its pages did not come")]
    Incomplete(u32),
    #[error("{0} has no room for more pages: {1} MiB are the most it holds")]
    Full(PathBuf, u64),
    #[error("{0} is of format {1}, and this version reads {2}: upgrade, or remove it to pull everything anew")]
    Future(PathBuf, u16, u16),
    #[error("release {0} is not above {1}, the newest there is")]
    NotNewer(String, String),
    #[error("a write to {0} failed before; nothing more is written until the node is started again")]
    Failed(PathBuf),
}

#[cfg(test)]
mod tests;
