//! Pages as they will travel: the base and delta objects of `SNAPSHOT.md`, written and read a record at a time. Nodes copy
//! snapshots whole until they pull these.

mod head;
mod plain;
mod read;
mod write;

pub use head::{HEAD_BYTES, Head};
pub use plain::{Part, PlainBase};
pub use read::{Broken, Reader};
pub use write::Writer;

use crate::limits::PAGE_BYTES;

pub const FORMAT: u16 = 1;
/// Pages one record may hold.
pub const RECORD_PAGES: usize = 256;
const RECORD_HEAD_BYTES: usize = 12;

/// One page of a snapshot.
pub type Page = [u8; PAGE_BYTES];

/// How a record's data gives its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Zstd,
    /// With the old page as the dictionary.
    ZstdOnOld,
}

impl Coding {
    fn number(self) -> u8 {
        match self {
            Coding::Plain => 0,
            Coding::Zstd => 1,
            Coding::ZstdOnOld => 2,
        }
    }

    fn of(number: u8) -> Option<Coding> {
        [Coding::Plain, Coding::Zstd, Coding::ZstdOnOld].into_iter().find(|coding| coding.number() == number)
    }
}

/// What stands before a record's data.
fn record_head(number: u32, pages: usize, coding: Coding, data_bytes: usize) -> [u8; RECORD_HEAD_BYTES] {
    let mut head = [0; RECORD_HEAD_BYTES];
    head[..4].copy_from_slice(&number.to_le_bytes());
    head[4..6].copy_from_slice(&(pages as u16).to_le_bytes());
    head[6] = coding.number();
    head[8..].copy_from_slice(&(data_bytes as u32).to_le_bytes());
    head
}

#[cfg(test)]
mod tests;
