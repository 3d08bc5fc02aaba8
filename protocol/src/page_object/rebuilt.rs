//! Writing a delta to a snapshot whose pages moved: each record is made with those old pages that share most with it.

use std::io::{self, Write};

use super::{
    Head, Page, Similar, Snapshot,
    group::{Group, Old, Records, Written},
};
use crate::limits::PAGE_BYTES;

/// Moved pages are much the same as before: looking longer finds that.
const LEVEL: i32 = 12;

/// Takes more memory than a [`super::Writer`]: the index, and some 64 MiB.
pub struct RebuiltWriter<'a, W, O> {
    to: Snapshot,
    records: Records<W>,
    group: Group,
    similar: &'a Similar,
    old: O,
    dictionary: Vec<u8>,
    next: u32,
}

impl<'a, W: Write, O: FnMut(u32, &mut Page) -> io::Result<()>> RebuiltWriter<'a, W, O> {
    /// `old` gives pages of `from`, which `similar` is the index of.
    pub fn new(out: W, from: Snapshot, to: Snapshot, similar: &'a Similar, old: O) -> io::Result<Self> {
        let records = Records::begin(out, &Head { from: Some(from), to }, LEVEL)?;
        Ok(RebuiltWriter { to, records, group: Group::default(), similar, old, dictionary: Vec::new(), next: 0 })
    }

    /// Adds a page that differs from the old one of its number, or that is beyond those. Pages come in ascending order.
    pub fn add(&mut self, number: u32, page: &Page) -> io::Result<()> {
        assert!(number >= self.next && number < self.to.pages, "BUG: pages are added in order, within the snapshot");
        self.group.add(number, page);
        self.next = number + 1;
        if self.group.is_full() { self.close() } else { Ok(()) }
    }

    pub fn finish(mut self) -> io::Result<Written<W>> {
        self.close()?;
        self.records.end()
    }

    fn close(&mut self) -> io::Result<()> {
        let numbers = self.similar.to(self.group.data.as_chunks().0);
        self.dictionary.clear();
        let mut page = [0; PAGE_BYTES];
        for number in &numbers {
            (self.old)(*number, &mut page)?;
            self.dictionary.extend_from_slice(&page);
        }
        self.records.write(&mut self.group, Old::Listed(&numbers, &self.dictionary))
    }
}
