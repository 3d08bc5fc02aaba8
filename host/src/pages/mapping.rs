//! One extent of the slots file in memory. One of the two places of unsafe code in the page store; `vfs.rs` is the other.
#![allow(unsafe_code)]

use std::{fs::File, io};

use memmap2::{MmapOptions, MmapRaw};
use nearside_protocol::{limits::PAGE_BYTES, page_object::Page};

/// Slots of one extent: 16 MiB.
pub(super) const EXTENT_SLOTS: u32 = 4_096;
pub(super) const EXTENT_BYTES: u64 = EXTENT_SLOTS as u64 * PAGE_BYTES as u64;
/// SQLite may look some bytes past a page that is malformed. After the last page of an extent that must be memory, too.
pub(super) const MARGIN_BYTES: u64 = PAGE_BYTES as u64;

pub(super) struct Mapping(MmapRaw);

impl Mapping {
    /// Maps an extent of a file that is at least so long, margin included, and never gets shorter.
    pub(super) fn of(file: &File, extent: usize) -> io::Result<Mapping> {
        let length = (EXTENT_BYTES + MARGIN_BYTES) as usize;
        let start = extent as u64 * EXTENT_BYTES;
        if file.metadata()?.len() < start + length as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its extents"));
        }
        MmapOptions::new().offset(start).len(length).map_raw_read_only(file).map(Mapping)
    }

    /// The page in a slot of this extent, by its number within it.
    pub(super) fn page(&self, slot: u32) -> &Page {
        assert!(slot < EXTENT_SLOTS, "BUG: a slot is within its extent");
        // SAFETY: the slot lies within the mapping, which lives as long as `self`. A page is bytes: any content is
        // valid, at any alignment. The bytes do not change while the reference lives: the file is open in this process
        // alone (`store.rs` holds its lock), is never made shorter, and a slot is written only by `Slots::write`, which
        // `Draft` calls for slots that no table refers to - and a reference is only ever taken through a table.
        unsafe { &*self.0.as_ptr().add(slot as usize * PAGE_BYTES).cast::<Page>() }
    }
}
