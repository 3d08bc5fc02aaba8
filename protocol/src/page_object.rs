//! Pages as they will travel: the base and delta objects of `SNAPSHOT.md`, written and read a record at a time. Nodes copy
//! snapshots whole until they pull these.

mod head;
mod read;
mod write;

pub use head::{HEAD_BYTES, Head};
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

#[cfg(test)]
mod tests;
