//! Pages as they travel: the base and delta objects of `SNAPSHOT.md`, written and read a record at a time.

mod group;
mod head;
mod pages;
mod plain;
mod read;
mod record;
mod record_maker;
mod similar;
mod write;

pub use group::{MadeRecord, Records, Written};
pub use head::{HEAD_BYTES, Head};
pub use plain::{Part, PlainBase};
pub use read::{Broken, Reader};
pub use record_maker::{RecordMaker, Told, Which};
pub use similar::Similar;
pub use write::Writer;

use crate::{digest::Digest, limits::PAGE_BYTES};

pub const FORMAT: u16 = 1;
/// Pages one record may hold, and old pages it may be made with.
pub const RECORD_PAGES: usize = 256;
pub const RECORD_OLD_PAGES: usize = 512;

/// One page of a snapshot.
pub type Page = [u8; PAGE_BYTES];

/// A snapshot that an object makes, or is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub root: Digest,
    pub pages: u32,
}

/// Whether so much changed that the pages probably moved, and an index of all old
/// pages is worth reading them for.
pub fn is_rebuilt(changed: u32, old_pages: u32) -> bool {
    changed >= 64 && changed > old_pages / 4
}

#[cfg(test)]
mod tests;
