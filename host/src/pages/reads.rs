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

/// As they come: pages are read many times over.
struct Reads {
    pages: Vec<u32>,
    too_many: bool,
}

/// From here on, what has been noted is put in order.
const NOTED: usize = READ_SET_PAGES * 4;

thread_local! {
    static READS: RefCell<Option<Reads>> = const { RefCell::new(None) };
}

/// Does the work, and says which pages SQLite read for it.
pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, ReadSet) {
    READS.set(Some(Reads { pages: Vec::new(), too_many: false }));
    let result = work();
    let mut reads = READS.take();
    if BROKEN_FOR_TESTS.load(Ordering::Relaxed) {
        reads.iter_mut().for_each(|reads| reads.pages.retain(|page| page % 3 != 0));
    }
    let set = reads.map_or(ReadSet::TooMany, |reads| match reads.too_many {
        true => ReadSet::TooMany,
        false => ReadSet::of(reads.pages),
    });
    (result, set)
}

/// Notes a page, if someone wants to know.
pub(super) fn note(number: u32) {
    READS.with_borrow_mut(|reads| {
        let Some(reads) = reads else { return };
        if reads.too_many || reads.pages.last() == Some(&number) {
            return;
        }
        reads.pages.push(number);
        if reads.pages.len() >= NOTED {
            reads.pages.sort_unstable();
            reads.pages.dedup();
            if reads.pages.len() > READ_SET_PAGES {
                (reads.pages, reads.too_many) = (Vec::new(), true);
            }
        }
    });
}
