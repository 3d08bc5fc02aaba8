//! Writing a page object: pages in ascending order, each with the one it replaces.

use std::io::{self, Write};

use super::{
    Head, Page, Snapshot,
    group::{Group, Old, Records, Written},
};

/// Of bases: compressing one must not take much longer than reading the pages.
const BASE_LEVEL: i32 = 5;
/// Of deltas, which are small.
pub(super) const DELTA_LEVEL: i32 = 9;

/// Pages of 256 at a time are compressed together, with those they replace as the dictionary: what an edit leaves as it
/// was, or moves to a page beside, costs next to nothing. Holds one record in memory.
pub struct Writer<W> {
    to: Snapshot,
    records: Records<W>,
    group: Group,
    old: Vec<u8>,
    next: u32,
    old_pages: u32,
}

impl<W: Write> Writer<W> {
    /// An object that makes the snapshot out of nothing: every page is to be added.
    pub fn base(out: W, to: Snapshot) -> io::Result<Writer<W>> {
        Writer::new(out, None, to, BASE_LEVEL)
    }

    /// An object that makes the one snapshot out of the other: the pages that differ are to be added.
    pub fn delta(out: W, from: Snapshot, to: Snapshot) -> io::Result<Writer<W>> {
        Writer::new(out, Some(from), to, DELTA_LEVEL)
    }

    fn new(out: W, from: Option<Snapshot>, to: Snapshot, level: i32) -> io::Result<Writer<W>> {
        let records = Records::begin(out, &Head { from, to }, level)?;
        let old_pages = from.map_or(0, |from| from.pages);
        Ok(Writer { to, records, group: Group::default(), old: Vec::new(), next: 0, old_pages })
    }

    /// Adds a page; `old` is the page of the same number in the snapshot before, which it has or has not. Pages come in
    /// ascending order.
    pub fn add(&mut self, number: u32, page: &Page, old: Option<&Page>) -> io::Result<()> {
        assert!(number >= self.next && number < self.to.pages, "BUG: pages are added in order, within the snapshot");
        assert!(old.is_some() == (number < self.old_pages), "BUG: a page has the old one of its number");
        self.group.add(number, page);
        self.old.extend(old.into_iter().flatten());
        self.next = number + 1;
        if self.group.is_full() { self.close() } else { Ok(()) }
    }

    pub fn finish(mut self) -> io::Result<Written<W>> {
        self.close()?;
        self.records.end()
    }

    fn close(&mut self) -> io::Result<()> {
        self.records.write(&mut self.group, if self.old.is_empty() { Old::Nothing } else { Old::Same(&self.old) })?;
        self.old.clear();
        Ok(())
    }
}
