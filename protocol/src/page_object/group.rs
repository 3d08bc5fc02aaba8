//! One record, coded, and the object that records make one after the other.

use std::io::{self, Write};

use zstd::zstd_safe::{CCtx, compress_bound};

use super::{
    HEAD_BYTES, Head, RECORD_PAGES, Snapshot, pages,
    record::{Coding, DICTIONARY_MAGIC, RecordHead},
};
use crate::limits::PAGE_BYTES;

/// Writes records one after the other, then the end.
pub struct Records<W> {
    out: W,
    written_bytes: u64,
    records: u32,
    pages: u32,
}

/// A record as it stands in an object.
pub struct MadeRecord {
    bytes: Vec<u8>,
    pages: u32,
}

impl MadeRecord {
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn pages(&self) -> u32 {
        self.pages
    }
}

/// Makes records, in memory it keeps for the next.
pub(super) struct Coder {
    compressor: CCtx<'static>,
    compressed: Vec<u8>,
    level: i32,
}

/// What pages may be compressed with.
pub(super) enum Old<'a> {
    Nothing,
    /// The old pages of the same numbers.
    Same(&'a [u8]),
    Listed(&'a [u32], &'a [u8]),
}

impl Coder {
    pub(super) fn new(level: i32) -> Coder {
        let compressed = vec![0; compress_bound(RECORD_PAGES * PAGE_BYTES)];
        Coder { compressor: CCtx::create(), compressed, level }
    }

    /// The record of these pages, at least one; `next` is the page after the last one of the record before.
    pub(super) fn code(&mut self, next: u32, numbers: &[u32], data: &[u8], old: Old<'_>) -> MadeRecord {
        let mut list = Vec::new();
        pages::write(next, numbers, &mut list);
        let own_list_bytes = list.len();
        let (coding, dictionary) = match old {
            Old::Same(dictionary) if is_usable(dictionary) => (Coding::ZstdOnSame, dictionary),
            Old::Listed(numbers, dictionary) if is_usable(dictionary) => {
                pages::write(0, numbers, &mut list);
                (Coding::ZstdOnPages, dictionary)
            }
            _ => (Coding::Zstd, &[][..]),
        };
        let compressed = self.compressor.compress_using_dict(&mut self.compressed[..], data, dictionary, self.level);
        let (coding, coded) = match compressed {
            Ok(length) if length < data.len() => (coding, &self.compressed[..length]),
            _ => {
                list.truncate(own_list_bytes);
                (Coding::Plain, data)
            }
        };
        let pages = numbers.len();
        let head = RecordHead::Pages { data_bytes: coded.len(), list_bytes: list.len(), pages, coding };
        MadeRecord { bytes: [&head.to_bytes()[..], &list, coded].concat(), pages: pages as u32 }
    }
}

impl<W: Write> Records<W> {
    /// An object that makes the one snapshot out of the other, or out of nothing.
    pub fn begin(mut out: W, from: Option<Snapshot>, to: Snapshot) -> io::Result<Records<W>> {
        out.write_all(&Head { from, to }.to_bytes())?;
        Ok(Records { out, written_bytes: HEAD_BYTES as u64, records: 0, pages: 0 })
    }

    /// Writes the next record.
    pub fn add(&mut self, record: &MadeRecord) -> io::Result<()> {
        self.out.write_all(&record.bytes)?;
        self.written_bytes += record.bytes.len() as u64;
        self.records += 1;
        self.pages += record.pages;
        Ok(())
    }

    pub fn end(mut self) -> io::Result<Written<W>> {
        let end = RecordHead::End { records: self.records }.to_bytes();
        self.out.write_all(&end)?;
        Ok(Written { out: self.out, pages: self.pages, bytes: self.written_bytes + end.len() as u64 })
    }
}

fn is_usable(dictionary: &[u8]) -> bool {
    !dictionary.is_empty() && !dictionary.starts_with(&DICTIONARY_MAGIC)
}

/// An object that is whole, and what a manifest says of it.
pub struct Written<W> {
    pub out: W,
    pub pages: u32,
    pub bytes: u64,
}
