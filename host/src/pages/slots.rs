//! The pages on disk: one file of slots of 4 KiB, which grows by extents that are mapped once and never again.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nearside_protocol::{
    digest::Digest,
    limits::{PAGE_BYTES, SLOTS_BYTES},
    page_object::Page,
};

use super::{
    PagesError,
    mapping::{EXTENT_BYTES, EXTENT_SLOTS, MARGIN_BYTES, Mapping},
};
use crate::disk::{Disk, DiskFile};

/// The number of a slot that is none.
pub(super) const NO_SLOT: u32 = u32::MAX;

const EXTENTS: usize = (SLOTS_BYTES / EXTENT_BYTES) as usize;
/// Extents are listed by the GiB, so that an app of a few pages does not take the memory that listing all of them does.
const EXTENTS_LISTED: usize = 64;
const LISTS: usize = EXTENTS.div_ceil(EXTENTS_LISTED);

struct Extent {
    mapping: Mapping,
    /// A bit for each slot whose content has been hashed since it came into this process's memory.
    verified: Box<[AtomicU64]>,
}

type List = Box<[OnceLock<Extent>]>;

pub(super) struct Slots {
    file: DiskFile,
    extents: Box<[OnceLock<List>]>,
    free: Mutex<Free>,
    failed: AtomicBool,
    written: AtomicU64,
}

/// Which slots may be written: those given back, and all from `end` on.
struct Free {
    given_back: BTreeSet<u32>,
    end: u32,
}

impl Slots {
    /// Opens the file, or makes it. Every slot counts as free until [`Slots::occupy`].
    pub(super) fn open(path: &Path, disk: &Disk) -> Result<Slots, PagesError> {
        let fault = |error| PagesError::Io(path.to_owned(), error);
        let file = disk.open(path).map_err(fault)?;
        let slots = Slots {
            file,
            extents: (0..LISTS).map(|_| OnceLock::new()).collect(),
            free: Mutex::new(Free { given_back: BTreeSet::new(), end: 0 }),
            failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
        };
        let there = (slots.file.length().map_err(fault)?.saturating_sub(MARGIN_BYTES) / EXTENT_BYTES) as usize;
        for extent in 0..there.min(EXTENTS) {
            slots.map(extent)?;
        }
        Ok(slots)
    }

    /// Says which slots the kept tables use. Called once, after opening.
    pub(super) fn occupy(&self, used: &[bool]) {
        let mut free = self.free.lock().expect("BUG: nothing panics while holding the free slots");
        let given_back = (0..used.len()).filter(|slot| !used[*slot]).map(|slot| slot as u32).collect();
        *free = Free { given_back, end: used.len() as u32 };
    }

    /// A slot that is no one's.
    pub(super) fn take(&self) -> Result<u32, PagesError> {
        let mut free = self.free.lock().expect("BUG: nothing panics while holding the free slots");
        if let Some(slot) = free.given_back.pop_first() {
            return Ok(slot);
        }
        let slot = free.end;
        let extent = (slot / EXTENT_SLOTS) as usize;
        if extent >= EXTENTS {
            return Err(PagesError::Full(self.file.path().to_owned(), SLOTS_BYTES >> 20));
        }
        if self.extent(extent).is_none() {
            self.grow(extent)?;
        }
        free.end = slot + 1;
        Ok(slot)
    }

    pub(super) fn give_back(&self, slots: impl IntoIterator<Item = u32>) {
        let mut free = self.free.lock().expect("BUG: nothing panics while holding the free slots");
        free.given_back.extend(slots);
    }

    /// Slots that are someone's, in bytes.
    pub(super) fn used_bytes(&self) -> u64 {
        let free = self.free.lock().expect("BUG: nothing panics while holding the free slots");
        (free.end as u64 - free.given_back.len() as u64) * PAGE_BYTES as u64
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Fills a slot that was taken and that no table refers to yet.
    pub(super) fn write(&self, slot: u32, page: &Page) -> Result<(), PagesError> {
        self.sound()?;
        self.file.write_at(page, slot as u64 * PAGE_BYTES as u64).map_err(|error| self.fail(error))?;
        self.written.fetch_add(PAGE_BYTES as u64, Ordering::Relaxed);
        self.set_verified(slot, true);
        Ok(())
    }

    /// Everything written is durable when this returns.
    pub(super) fn sync(&self) -> Result<(), PagesError> {
        self.sound()?;
        self.file.sync().map_err(|error| self.fail(error))
    }

    /// The page in a slot; none if it is not the one with this hash. Hashed only the first time.
    pub(super) fn page(&self, slot: u32, hash: &Digest) -> Option<&Page> {
        let (extent, within) = (self.extent((slot / EXTENT_SLOTS) as usize)?, slot % EXTENT_SLOTS);
        let page = extent.mapping.page(within);
        let (word, bit) = (&extent.verified[within as usize / 64], 1 << (within % 64));
        if word.load(Ordering::Acquire) & bit != 0 {
            return Some(page);
        }
        if Digest::of(page) != *hash {
            return None;
        }
        word.fetch_or(bit, Ordering::Release);
        Some(page)
    }

    /// One that is mapped.
    fn extent(&self, extent: usize) -> Option<&Extent> {
        self.extents.get(extent / EXTENTS_LISTED)?.get()?[extent % EXTENTS_LISTED].get()
    }

    /// Hashes a slot whether or not it was before. What is found damaged is not given out any more.
    pub(super) fn check(&self, slot: u32, hash: &Digest) -> bool {
        self.set_verified(slot, false);
        self.page(slot, hash).is_some()
    }

    fn set_verified(&self, slot: u32, verified: bool) {
        let Some(extent) = self.extent((slot / EXTENT_SLOTS) as usize) else { return };
        let within = slot % EXTENT_SLOTS;
        let (word, bit) = (&extent.verified[within as usize / 64], 1 << (within % 64));
        match verified {
            true => word.fetch_or(bit, Ordering::Release),
            false => word.fetch_and(!bit, Ordering::Release),
        };
    }

    fn grow(&self, extent: usize) -> Result<(), PagesError> {
        self.sound()?;
        let bytes = (extent as u64 + 1) * EXTENT_BYTES + MARGIN_BYTES;
        let length = self.file.length().map_err(|error| self.fail(error))?;
        if length < bytes {
            self.file.set_length(bytes).map_err(|error| self.fail(error))?;
        }
        self.map(extent)
    }

    fn map(&self, extent: usize) -> Result<(), PagesError> {
        let mapping = Mapping::of(self.file.file(), extent)
            .map_err(|error| PagesError::Io(self.file.path().to_owned(), error))?;
        let verified = (0..EXTENT_SLOTS / 64).map(|_| AtomicU64::new(0)).collect();
        let list = &self.extents[extent / EXTENTS_LISTED];
        let _ = list.get_or_init(list_of_none)[extent % EXTENTS_LISTED].set(Extent { mapping, verified });
        Ok(())
    }

    fn sound(&self) -> Result<(), PagesError> {
        match self.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(PagesError::Failed(self.file.path().to_owned())),
        }
    }

    /// After a failed write or sync nobody knows what is on the disk: trying again could take a page for durable that
    /// is not.
    fn fail(&self, error: std::io::Error) -> PagesError {
        self.failed.store(true, Ordering::Relaxed);
        PagesError::Io(self.file.path().to_owned(), error)
    }
}

fn list_of_none() -> List {
    (0..EXTENTS_LISTED).map(|_| OnceLock::new()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_beyond_the_first_list_are_found_and_the_others_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::open(&folder.path().join("slots"), &Disk::real()).unwrap();
        // The file has holes: it takes no room.
        for extent in [0, EXTENTS_LISTED] {
            slots.grow(extent).unwrap();
        }
        let mapped: Vec<usize> = (0..=EXTENTS).filter(|extent| slots.extent(*extent).is_some()).collect();
        assert_eq!(mapped, [0, EXTENTS_LISTED]);
        assert!(slots.page(u32::MAX, &Digest::of(b"")).is_none());
    }
}
