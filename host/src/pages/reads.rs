//! Which pages a piece of work read, on the thread that does it.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering},
};

use nearside_protocol::limits::READ_SET_PAGES;

/// The pages, ascending; or so many that it is not worth telling them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadSet {
    Pages(Vec<u32>),
    TooMany,
}

impl Default for ReadSet {
    fn default() -> ReadSet {
        ReadSet::Pages(Vec::new())
    }
}

impl ReadSet {
    /// Adds what other work read.
    pub fn join(&mut self, other: &ReadSet) {
        let joined = match (std::mem::take(self), other) {
            (ReadSet::Pages(mut pages), ReadSet::Pages(others)) => {
                pages.extend_from_slice(others);
                ReadSet::of(pages)
            }
            _ => ReadSet::TooMany,
        };
        *self = joined;
    }

    pub fn bytes(&self) -> usize {
        match self {
            ReadSet::Pages(pages) => pages.len() * size_of::<u32>(),
            ReadSet::TooMany => 0,
        }
    }

    fn of(mut pages: Vec<u32>) -> ReadSet {
        pages.sort_unstable();
        pages.dedup();
        pages.shrink_to_fit();
        if pages.len() > READ_SET_PAGES { ReadSet::TooMany } else { ReadSet::Pages(pages) }
    }
}

/// Makes every third page be forgotten, so that a test can show that it would notice. For tests alone.
#[doc(hidden)]
pub static BROKEN_FOR_TESTS: AtomicBool = AtomicBool::new(false);

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Different ones.
    pub pages: u64,
    /// As often as SQLite took one up.
    pub fetches: u64,
}

/// As they come: pages are read many times over.
#[derive(Default)]
struct Reads {
    pages: Vec<u32>,
    /// Used once there are too many to tell which they are; they are counted all the same.
    many: Option<Marks>,
    fetches: u64,
}

/// A bit for each page: two MiB for the largest database there may be.
#[derive(Default)]
struct Marks {
    bits: Vec<u64>,
    count: u64,
}

impl Marks {
    fn mark(&mut self, page: u32) {
        let (word, bit) = (page as usize / 64, 1 << (page % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.count += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }
}

/// From here on, what has been noted is put in order.
const NOTED: usize = READ_SET_PAGES * 4;

thread_local! {
    static READS: RefCell<Option<Reads>> = const { RefCell::new(None) };
}

/// Does the work, and says which pages SQLite read for it, and how many.
pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, ReadSet, Extent) {
    READS.set(Some(Reads::default()));
    let result = work();
    let Some(mut reads) = READS.take() else { return (result, ReadSet::TooMany, Extent::default()) };
    if BROKEN_FOR_TESTS.load(Ordering::Relaxed) {
        reads.pages.retain(|page| page % 3 != 0);
    }
    let fetches = reads.fetches;
    if let Some(marks) = reads.many {
        return (result, ReadSet::TooMany, Extent { pages: marks.count, fetches });
    }
    reads.pages.sort_unstable();
    reads.pages.dedup();
    let extent = Extent { pages: reads.pages.len() as u64, fetches };
    (result, ReadSet::of(reads.pages), extent)
}

/// Notes a page, if someone wants to know.
pub(crate) fn note(number: u32) {
    READS.with_borrow_mut(|reads| {
        let Some(reads) = reads else { return };
        reads.fetches += 1;
        if let Some(marks) = &mut reads.many {
            return marks.mark(number);
        }
        if reads.pages.last() == Some(&number) {
            return;
        }
        reads.pages.push(number);
        if reads.pages.len() >= NOTED {
            reads.pages.sort_unstable();
            reads.pages.dedup();
            if reads.pages.len() > READ_SET_PAGES {
                let marks = reads.many.insert(Marks::default());
                std::mem::take(&mut reads.pages).into_iter().for_each(|page| marks.mark(page));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_whether_or_not_they_are_told_apart() {
        let most = READ_SET_PAGES as u32;
        let read = |pages: u32, times: u32| recorded(|| (0..times).for_each(|_| (0..pages).for_each(note)));
        let ((), set, extent) = read(3, 2);
        assert_eq!((set, extent), (ReadSet::Pages(vec![0, 1, 2]), Extent { pages: 3, fetches: 6 }));
        for (pages, times) in [(most, 1), (most + 1, 1), (most + 1, 9), (most * 9, 2)] {
            let ((), set, extent) = read(pages, times);
            assert_eq!(set == ReadSet::TooMany, pages > most);
            assert_eq!(extent, Extent { pages: pages.into(), fetches: u64::from(pages) * u64::from(times) });
        }
        note(1);
        assert_eq!(recorded(|| ()).2, Extent::default());
    }
}
