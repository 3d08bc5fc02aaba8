//! Writing a page object: pages in ascending order, each with the one it replaces.

use std::io::{self, Write};

use super::{
    Page, RECORD_PAGES, Snapshot, Told,
    group::{Coder, Old, Records, Written},
};

/// Pages of 256 at a time are compressed together, with those they replace as the dictionary: what an edit leaves as it
/// was, or moves to a page beside, costs next to nothing. Holds one record in memory.
pub struct Writer<W> {
    to: Snapshot,
    records: Records<W>,
    coder: Coder,
    numbers: Vec<u32>,
    data: Vec<u8>,
    old: Vec<u8>,
    old_pages: u32,
    /// The page after the last one of the record before, and after the last one that was added.
    written: u32,
    next: u32,
}

impl<W: Write> Writer<W> {
    /// An object that makes the snapshot out of nothing: every page is to be added.
    pub fn base(out: W, to: Snapshot) -> io::Result<Writer<W>> {
        Writer::new(out, None, to, Told::Alone)
    }

    /// An object that makes the one snapshot out of the other: the pages that differ are to be added.
    pub fn delta(out: W, from: Snapshot, to: Snapshot) -> io::Result<Writer<W>> {
        Writer::new(out, Some(from), to, Told::FromSame)
    }

    fn new(out: W, from: Option<Snapshot>, to: Snapshot, told: Told<'_>) -> io::Result<Writer<W>> {
        Ok(Writer {
            to,
            records: Records::begin(out, from, to)?,
            coder: Coder::new(told.level()),
            numbers: Vec::new(),
            data: Vec::new(),
            old: Vec::new(),
            old_pages: from.map_or(0, |from| from.pages),
            written: 0,
            next: 0,
        })
    }

    /// Adds a page; `old` is the page of the same number in the snapshot before, which it has or has not. Pages come in
    /// ascending order.
    pub fn add(&mut self, number: u32, page: &Page, old: Option<&Page>) -> io::Result<()> {
        assert!(number >= self.next && number < self.to.pages, "BUG: pages are added in order, within the snapshot");
        assert!(old.is_some() == (number < self.old_pages), "BUG: a page has the old one of its number");
        self.numbers.push(number);
        self.data.extend_from_slice(page);
        self.old.extend(old.into_iter().flatten());
        self.next = number + 1;
        if self.numbers.len() == RECORD_PAGES { self.close() } else { Ok(()) }
    }

    pub fn finish(mut self) -> io::Result<Written<W>> {
        self.close()?;
        self.records.end()
    }

    fn close(&mut self) -> io::Result<()> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        let old = if self.old.is_empty() { Old::Nothing } else { Old::Same(&self.old) };
        let record = self.coder.code(self.written, &self.numbers, &self.data, old);
        self.written = self.next;
        self.numbers.clear();
        self.data.clear();
        self.old.clear();
        self.records.add(&record)
    }
}
