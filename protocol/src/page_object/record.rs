//! One record's head: how its data gives its pages, and how long its parts are.

use super::{RECORD_OLD_PAGES, RECORD_PAGES};
use crate::limits::PAGE_BYTES;

pub(super) const RECORD_HEAD_BYTES: usize = 10;
/// The lists of a record's pages and of the old pages it is made with: a run takes at most ten bytes.
pub(super) const LIST_BYTES_MOST: usize = 10 * (RECORD_PAGES + RECORD_OLD_PAGES);

/// zstd takes a dictionary that begins with this for one of its own, which ours never are.
pub(super) const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Zstd,
    /// With the old pages of the same numbers, as far as there are any, as the dictionary.
    ZstdOnSame,
    /// With listed old pages as the dictionary.
    ZstdOnPages,
}

const CODINGS: [Coding; 4] = [Coding::Plain, Coding::Zstd, Coding::ZstdOnSame, Coding::ZstdOnPages];
const END: u8 = 255;

impl Coding {
    fn number(self) -> u8 {
        match self {
            Coding::Plain => 0,
            Coding::Zstd => 1,
            Coding::ZstdOnSame => 2,
            Coding::ZstdOnPages => 3,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RecordHead {
    Pages {
        data_bytes: usize,
        list_bytes: usize,
        pages: usize,
        coding: Coding,
    },
    /// Nothing follows; so many records came before.
    End {
        records: u32,
    },
}

impl RecordHead {
    pub(super) fn to_bytes(self) -> [u8; RECORD_HEAD_BYTES] {
        let (first, list_bytes, pages, coding) = match self {
            RecordHead::Pages { data_bytes, list_bytes, pages, coding } => {
                (data_bytes as u32, list_bytes as u16, pages as u16, coding.number())
            }
            RecordHead::End { records } => (records, 0, 0, END),
        };
        let mut bytes = [0; RECORD_HEAD_BYTES];
        bytes[..4].copy_from_slice(&first.to_le_bytes());
        bytes[4..6].copy_from_slice(&list_bytes.to_le_bytes());
        bytes[6..8].copy_from_slice(&pages.to_le_bytes());
        bytes[8] = coding;
        bytes
    }

    /// None for what no writer writes.
    pub(super) fn read(bytes: &[u8; RECORD_HEAD_BYTES]) -> Option<RecordHead> {
        let first = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let list_bytes = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
        let pages = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        if bytes[9] != 0 {
            return None;
        }
        if bytes[8] == END {
            return (pages == 0 && list_bytes == 0).then_some(RecordHead::End { records: first });
        }
        let coding = CODINGS.into_iter().find(|coding| coding.number() == bytes[8])?;
        let data_bytes = first as usize;
        let plain_bytes = pages * PAGE_BYTES;
        let sized = match coding {
            Coding::Plain => data_bytes == plain_bytes,
            _ => data_bytes < plain_bytes,
        };
        let fits = (1..=RECORD_PAGES).contains(&pages) && (2..=LIST_BYTES_MOST).contains(&list_bytes);
        (sized && fits).then_some(RecordHead::Pages { data_bytes, list_bytes, pages, coding })
    }

    /// What follows this head before the next.
    pub(super) fn body_bytes(self) -> usize {
        match self {
            RecordHead::Pages { data_bytes, list_bytes, .. } => list_bytes + data_bytes,
            RecordHead::End { .. } => 0,
        }
    }
}
