//! The pages of one record while it is made: compressed in each way there is, the smallest kept.

use std::io::{self, Write};

use zstd::zstd_safe::{CCtx, compress_bound};

use super::{
    HEAD_BYTES, Head, Page, RECORD_PAGES, pages,
    record::{Coding, DICTIONARY_MAGIC, RecordHead},
};
use crate::limits::PAGE_BYTES;

/// Writes records one after the other, then the end.
pub(super) struct Records<W> {
    out: W,
    written_bytes: u64,
    records: u32,
    pages: u32,
    /// The page after the last one written.
    next: u32,
    compressor: CCtx<'static>,
    compressed: Vec<u8>,
    level: i32,
}

/// Pages on their way into one record.
#[derive(Default)]
pub(super) struct Group {
    pub(super) numbers: Vec<u32>,
    pub(super) data: Vec<u8>,
}

impl Group {
    pub(super) fn add(&mut self, number: u32, page: &Page) {
        self.numbers.push(number);
        self.data.extend_from_slice(page);
    }

    pub(super) fn is_full(&self) -> bool {
        self.numbers.len() == RECORD_PAGES
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.data.clear();
    }
}

/// What a group may be compressed with.
pub(super) enum Old<'a> {
    Nothing,
    /// The old pages of the same numbers.
    Same(&'a [u8]),
    Listed(&'a [u32], &'a [u8]),
}

impl<W: Write> Records<W> {
    pub(super) fn begin(mut out: W, head: &Head, level: i32) -> io::Result<Records<W>> {
        out.write_all(&head.to_bytes())?;
        Ok(Records {
            out,
            written_bytes: HEAD_BYTES as u64,
            records: 0,
            pages: 0,
            next: 0,
            compressor: CCtx::create(),
            compressed: vec![0; compress_bound(RECORD_PAGES * PAGE_BYTES)],
            level,
        })
    }

    /// Writes the group, if there is anything in it, and empties it.
    pub(super) fn write(&mut self, group: &mut Group, old: Old<'_>) -> io::Result<()> {
        let Some(last) = group.numbers.last() else { return Ok(()) };
        let mut list = Vec::new();
        pages::write(self.next, &group.numbers, &mut list);
        let (coding, dictionary) = match old {
            Old::Same(dictionary) if is_usable(dictionary) => (Coding::ZstdOnSame, dictionary),
            Old::Listed(numbers, dictionary) if is_usable(dictionary) => {
                pages::write(0, numbers, &mut list);
                (Coding::ZstdOnPages, dictionary)
            }
            _ => (Coding::Zstd, &[][..]),
        };
        let compressed =
            self.compressor.compress_using_dict(&mut self.compressed[..], &group.data, dictionary, self.level);
        let (coding, data) = match compressed {
            Ok(length) if length < group.data.len() => (coding, &self.compressed[..length]),
            _ => {
                list.clear();
                pages::write(self.next, &group.numbers, &mut list);
                (Coding::Plain, &group.data[..])
            }
        };
        let pages = group.numbers.len();
        let head = RecordHead::Pages { data_bytes: data.len(), list_bytes: list.len(), pages, coding };
        self.out.write_all(&head.to_bytes())?;
        self.out.write_all(&list)?;
        self.out.write_all(data)?;
        self.written_bytes += (head.to_bytes().len() + head.body_bytes()) as u64;
        self.next = last + 1;
        self.records += 1;
        self.pages += pages as u32;
        group.clear();
        Ok(())
    }

    pub(super) fn end(mut self) -> io::Result<Written<W>> {
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
