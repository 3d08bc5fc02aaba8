//! Which pages of a slot its guests write, so that those are cleared in place and only the others given back.
//!
//! Guests of one toolchain write the same few places over and over: their stack's end, their data, the beginning of their heap.
//! Where these lie differs from toolchain to toolchain, so it is looked at: now and again the kernel is asked which pages are
//! there. Its answer decides only what is quicker. A page that it did not tell of is given back, and reads as zeros, too.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::OnceLock};

pub(super) const PAGE_BYTES: usize = 4096;

/// So many pages of a slot are cleared in place at most.
const KEPT_PAGES: usize = (1 << 20) / PAGE_BYTES;
/// Clearing so many pages between two ranges costs no more than a call of the kernel.
const BRIDGED_PAGES: usize = 8;
/// A slot is looked at after its first guest, and then after each of so many.
const LOOK_EVERY: u32 = 16;
/// After so many, all of a slot is given back: what its guests no longer write is not cleared for ever.
const FORGET_EVERY: u32 = 4_096;

/// Of one slot, in pages from its start.
#[derive(Default)]
pub(super) struct Kept {
    ranges: Vec<Range<usize>>,
    guests: u32,
}

impl Kept {
    /// A guest has gone that had `pages` at `start`. Gives what is to be cleared; all else is to be given back.
    pub(super) fn after(&mut self, start: *const u8, pages: usize) -> &[Range<usize>] {
        if self.guests == FORGET_EVERY {
            *self = Kept::default();
            return &[];
        }
        if self.guests.is_multiple_of(LOOK_EVERY)
            && let Some(there) = present(start, pages)
        {
            self.learn(&there);
        }
        self.guests += 1;
        &self.ranges
    }

    /// Adds the pages that are there, unless that were too many: a guest that wrote so much is no usual one.
    fn learn(&mut self, there: &[bool]) {
        let was = |page: usize| self.ranges.iter().any(|range| range.contains(&page));
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let all = there.len().max(self.ranges.last().map_or(0, |range| range.end));
        for page in (0..all).filter(|page| there.get(*page).is_some_and(|there| *there) || was(*page)) {
            match ranges.last_mut() {
                Some(range) if page - range.end <= BRIDGED_PAGES => range.end = page + 1,
                _ => ranges.push(page..page + 1),
            }
        }
        if ranges.iter().map(Range::len).sum::<usize>() <= KEPT_PAGES {
            self.ranges = ranges;
        }
    }
}

/// Which of these pages are in memory; none where the kernel does not tell.
pub(super) fn present(start: *const u8, pages: usize) -> Option<Vec<bool>> {
    /// Of the 64 bits that `/proc/self/pagemap` has for each page.
    const PRESENT: u8 = 1 << 7;
    static PAGEMAP: OnceLock<Option<File>> = OnceLock::new();
    let pagemap = PAGEMAP.get_or_init(|| File::open("/proc/self/pagemap").ok()).as_ref()?;
    let mut told = vec![0; pages * 8];
    pagemap.read_exact_at(&mut told, (start.addr() / PAGE_BYTES * 8) as u64).ok()?;
    Some(told.chunks_exact(8).map(|page| page[7] & PRESENT != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(pages: &[usize]) -> Vec<bool> {
        (0..300).map(|page| pages.contains(&page)).collect()
    }

    #[test]
    fn what_lies_near_is_one_range_and_what_is_too_much_is_none() {
        let mut kept = Kept::default();
        kept.learn(&there(&[3, 4, 12, 100]));
        assert_eq!(kept.ranges, [3..13, 100..101]);
        kept.learn(&there(&[92, 299]));
        assert_eq!(kept.ranges, [3..13, 92..101, 299..300]);
        kept.learn(&(0..300).map(|_| true).collect::<Vec<_>>());
        assert_eq!(kept.ranges, [3..13, 92..101, 299..300]);
        // Of a smaller guest, less was looked at.
        kept.learn(&[true]);
        assert_eq!(kept.ranges, [0..13, 92..101, 299..300]);
    }

    #[test]
    fn pages_that_were_written_are_present_and_are_forgotten_in_time() {
        let pages = 64;
        let memory = vec![1_u8; (pages + 1) * PAGE_BYTES];
        let start = memory.as_ptr().map_addr(|at| at.next_multiple_of(PAGE_BYTES));
        let mut kept = Kept::default();
        assert_eq!(kept.after(start, pages).first(), Some(&(0..pages)));
        let mut forgot = 0;
        for _ in 0..3 * FORGET_EVERY {
            forgot += u32::from(kept.after(start, pages).is_empty());
        }
        assert_eq!(forgot, 2);
    }
}
