//! Making the records of an object apart from one another, so that several can be made at once. The object is the same
//! byte for byte, whoever made which of them.

use std::ops::Range;

use super::{
    Page, RECORD_PAGES, Similar,
    group::{Coder, MadeRecord, Old},
};
use crate::limits::PAGE_BYTES;

/// Of bases: compressing one must not take much longer than reading the pages.
const BASE_LEVEL: i32 = 5;
/// Of deltas, which are small.
const DELTA_LEVEL: i32 = 9;
/// Of moved pages, which are much the same as before: looking longer finds that.
const MOVED_LEVEL: i32 = 12;

/// What the pages of an object are told from.
#[derive(Clone, Copy)]
pub enum Told<'a> {
    /// Nothing: it is a base.
    Alone,
    /// The old pages of the same numbers.
    FromSame,
    /// Those old pages that share most with them.
    FromSimilar(&'a Similar),
}

impl Told<'_> {
    pub(super) fn level(self) -> i32 {
        match self {
            Told::Alone => BASE_LEVEL,
            Told::FromSame => DELTA_LEVEL,
            Told::FromSimilar(_) => MOVED_LEVEL,
        }
    }
}

/// The pages an object holds: all of a snapshot, or some in ascending order.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    All(u32),
    These(&'a [u32]),
}

impl Which<'_> {
    pub fn pages(self) -> usize {
        match self {
            Which::All(pages) => pages as usize,
            Which::These(numbers) => numbers.len(),
        }
    }

    pub fn records(self) -> usize {
        self.pages().div_ceil(RECORD_PAGES)
    }

    /// The pages of one of its records.
    pub fn of_record(self, record: usize) -> Vec<u32> {
        let range: Range<usize> = record * RECORD_PAGES..self.pages().min((record + 1) * RECORD_PAGES);
        match self {
            Which::All(_) => (range.start as u32..range.end as u32).collect(),
            Which::These(numbers) => numbers[range].to_vec(),
        }
    }

    /// The page after the last one of the record before.
    fn after_record_before(self, record: usize) -> u32 {
        match (self, record * RECORD_PAGES) {
            (_, 0) => 0,
            (Which::All(_), first) => first as u32,
            (Which::These(numbers), first) => numbers[first - 1] + 1,
        }
    }
}

/// Makes one record after the other. It takes some 64 MiB, whatever the object's size.
pub struct RecordMaker<'a> {
    which: Which<'a>,
    told: Told<'a>,
    old_pages: u32,
    coder: Coder,
    data: Vec<u8>,
    old: Vec<u8>,
}

impl<'a> RecordMaker<'a> {
    /// `old_pages` are those of the snapshot it is told from.
    pub fn new(which: Which<'a>, told: Told<'a>, old_pages: u32) -> RecordMaker<'a> {
        RecordMaker { which, told, old_pages, coder: Coder::new(told.level()), data: Vec::new(), old: Vec::new() }
    }

    /// The record of this number, from 0. `new` and `old` read pages of the two snapshots.
    pub fn make<E>(
        &mut self,
        record: usize,
        new: impl Fn(u32, &mut Page) -> Result<(), E>,
        old: impl Fn(u32, &mut Page) -> Result<(), E>,
    ) -> Result<MadeRecord, E> {
        let numbers = self.which.of_record(record);
        read(&numbers, new, &mut self.data)?;
        let listed = match self.told {
            Told::Alone => Vec::new(),
            Told::FromSame => numbers.iter().copied().filter(|number| *number < self.old_pages).collect(),
            Told::FromSimilar(similar) => similar.to(self.data.as_chunks().0),
        };
        read(&listed, old, &mut self.old)?;
        let old = match self.told {
            Told::Alone => Old::Nothing,
            Told::FromSame => Old::Same(&self.old),
            Told::FromSimilar(_) => Old::Listed(&listed, &self.old),
        };
        Ok(self.coder.code(self.which.after_record_before(record), &numbers, &self.data, old))
    }
}

fn read<E>(numbers: &[u32], pages: impl Fn(u32, &mut Page) -> Result<(), E>, into: &mut Vec<u8>) -> Result<(), E> {
    into.resize(numbers.len() * PAGE_BYTES, 0);
    numbers.iter().zip(into.as_chunks_mut().0).try_for_each(|(number, page)| pages(*number, page))
}
