//! Address space for one memory of a guest, used by one guest after another.
//!
//! All of the project's dealings with bare memory on behalf of guests are here.
#![allow(unsafe_code)]

use std::{ffi::c_void, io, ops::Range, ptr};

use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};

use super::kept::{Kept, PAGE_BYTES};

/// A reservation of `before`, `reserved` and `behind` bytes, of which the first of the reserved may be used.
///
/// What holds at all times: nobody can use what lies before or behind. Between two guests, all that can be used is zero.
pub(super) struct Slot {
    all: *mut c_void,
    all_bytes: usize,
    start: *mut u8,
    reserved_bytes: usize,
    /// What may be read and written, from the start.
    open_bytes: usize,
    /// What can be used is not sure any more.
    is_spoiled: bool,
    kept: Kept,
}

// SAFETY: a slot owns its mapping, which is the same from every thread.
unsafe impl Send for Slot {}
// SAFETY: what is behind its pointers is touched only by those who have the slot alone, and by the guest it was given to.
unsafe impl Sync for Slot {}

impl Slot {
    /// Takes address space, and no memory.
    pub(super) fn new(guard_bytes: usize, reserved_bytes: usize) -> io::Result<Slot> {
        let (guard_bytes, reserved_bytes) = (whole_pages(guard_bytes)?, whole_pages(reserved_bytes)?);
        let all_bytes = reserved_bytes.checked_add(guard_bytes).and_then(|bytes| bytes.checked_add(guard_bytes));
        let all_bytes = all_bytes.ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, where the kernel finds room: nothing that exists is touched.
        let all = unsafe { mm::mmap_anonymous(ptr::null_mut(), all_bytes, ProtFlags::empty(), flags) }?;
        let start = all.cast::<u8>().wrapping_add(guard_bytes);
        let kept = Kept::default();
        let slot = Slot { all, all_bytes, start, reserved_bytes, open_bytes: 0, is_spoiled: false, kept };
        // A huge page for a guest that touches little of it would be cleared for nothing. Kernels without them refuse, rightly.
        // SAFETY: this advice changes nothing that can be seen.
        let _ = unsafe { mm::madvise(slot.start.cast(), reserved_bytes, Advice::LinuxNoHugepage) };
        Ok(slot)
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Lets so many bytes from the start be used, in whole pages, and no more.
    pub(super) fn open(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = whole_pages(bytes)?;
        if bytes > self.reserved_bytes {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (range, protection) = match bytes > self.open_bytes {
            true => (self.open_bytes..bytes, MprotectFlags::READ | MprotectFlags::WRITE),
            false => (bytes..self.open_bytes, MprotectFlags::empty()),
        };
        if !range.is_empty() {
            // The kernel goes through a range piece by piece, and may have done a part of it when it fails.
            if let Err(cause) = self.protect(&range, protection) {
                self.is_spoiled = true;
                let closed = self.protect(&range, MprotectFlags::empty());
                tracing::warn!(%cause, ?closed, "a guest's memory is not opened or closed as it should");
                return Err(cause);
            }
            self.open_bytes = bytes;
        }
        Ok(())
    }

    fn protect(&self, range: &Range<usize>, protection: MprotectFlags) -> io::Result<()> {
        // SAFETY: the range is within the reservation, in whole pages, and only this slot's guest uses it.
        Ok(unsafe { mm::mprotect(self.start.add(range.start).cast(), range.len(), protection) }?)
    }

    /// After a guest that is gone: makes all zero again. Fails where that is not sure; then the slot is not used again.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.is_spoiled {
            return Err(io::Error::other("it was not opened as it should"));
        }
        let pages = self.open_bytes / PAGE_BYTES;
        let mut done = 0;
        for kept in self.kept.after(self.start, pages) {
            let kept = kept.start.min(pages)..kept.end.min(pages);
            give_back(self.start, done..kept.start)?;
            // SAFETY: these pages are open, nobody else has the slot, and zeros are what its next guest is to find.
            unsafe { ptr::write_bytes(self.start.add(kept.start * PAGE_BYTES), 0, kept.len() * PAGE_BYTES) };
            done = kept.end;
        }
        give_back(self.start, done..pages)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping, and whoever drops the slot is the last to know its addresses.
        if let Err(cause) = unsafe { mm::munmap(self.all, self.all_bytes) } {
            tracing::error!(%cause, "a guest's address space is not given back");
        }
    }
}

/// To the kernel, which has zeros there when it is asked again.
fn give_back(start: *mut u8, pages: Range<usize>) -> io::Result<()> {
    if pages.is_empty() {
        return Ok(());
    }
    // SAFETY: the pages are within a slot, whose guest is gone: what is lost is what is to be lost.
    Ok(unsafe {
        mm::madvise(start.add(pages.start * PAGE_BYTES).cast(), pages.len() * PAGE_BYTES, Advice::LinuxDontNeed)
    }?)
}

fn whole_pages(bytes: usize) -> io::Result<usize> {
    bytes.checked_next_multiple_of(PAGE_BYTES).ok_or(io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 512;

    fn bytes(slot: &mut Slot) -> &mut [u8] {
        // SAFETY: open, and borrowed for as long as the slot is.
        unsafe { std::slice::from_raw_parts_mut(slot.start, slot.open_bytes) }
    }

    #[test]
    fn all_is_zero_after_each_guest_whatever_it_wrote() {
        let mut slot = Slot::new(1 << 16, PAGES * PAGE_BYTES).unwrap();
        for guest in 0..200_usize {
            slot.open((1 + guest * 7 % PAGES) * PAGE_BYTES).unwrap();
            let bytes = bytes(&mut slot);
            assert!(bytes.iter().all(|byte| *byte == 0), "guest {guest}");
            let step = [PAGE_BYTES / 2, 5 * PAGE_BYTES, 97 * PAGE_BYTES][guest % 3];
            bytes.iter_mut().skip(guest).step_by(step).for_each(|byte| *byte = 1);
            slot.clear().unwrap();
        }
    }

    #[test]
    fn what_was_cleared_in_place_is_still_there_and_the_rest_is_not() {
        let mut slot = Slot::new(1 << 16, PAGES * PAGE_BYTES).unwrap();
        slot.open(PAGES * PAGE_BYTES).unwrap();
        let there = |slot: &Slot, page: usize| super::super::kept::present(slot.start, PAGES).unwrap()[page];
        bytes(&mut slot)[300 * PAGE_BYTES] = 1;
        slot.clear().unwrap();
        assert!(there(&slot, 300) && !there(&slot, 100));
        bytes(&mut slot)[100 * PAGE_BYTES] = 1;
        slot.clear().unwrap();
        assert!(there(&slot, 300) && !there(&slot, 100));
    }

    #[test]
    fn a_slot_that_opens_by_half_is_closed_and_not_used_again() {
        let mut slot = Slot::new(1 << 16, PAGES * PAGE_BYTES).unwrap();
        slot.open(PAGE_BYTES).unwrap();
        // In the midst of it a page that cannot be written: of a file that was opened to be read.
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let (at, flags) = (slot.start.wrapping_add(8 * PAGE_BYTES).cast(), MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: a page of the slot's own, which nobody has a reference to.
        unsafe { mm::mmap(at, PAGE_BYTES, ProtFlags::empty(), flags, &file, 0) }.unwrap();
        assert!(slot.open(16 * PAGE_BYTES).is_err());
        let at = format!("{:x}-", slot.start.addr() + PAGE_BYTES);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps
            .lines()
            .find(|line| line.starts_with(&at))
            .expect("what is behind the open page is a mapping of its own");
        assert!(line.contains(" ---p "), "{line}");
        assert!(slot.clear().is_err());
    }

    #[test]
    fn more_than_is_reserved_is_not_to_be_had() {
        for bytes in [usize::MAX, usize::MAX & !0xffff] {
            assert_eq!(Slot::new(32 << 20, bytes).err().map(|error| error.kind()), Some(io::ErrorKind::OutOfMemory));
        }
        let mut slot = Slot::new(1 << 16, PAGES * PAGE_BYTES).unwrap();
        assert!(slot.open(usize::MAX).is_err());
        assert!(slot.open(PAGES * PAGE_BYTES + 1).is_err());
        slot.open(PAGE_BYTES + 1).unwrap();
        assert_eq!(bytes(&mut slot).len(), 2 * PAGE_BYTES);
    }
}
