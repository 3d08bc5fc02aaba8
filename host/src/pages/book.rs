//! The tables on disk. A book is a file of records: the first has a whole table, each later one what is different in the
//! next. A record is whole when its hash is right; the first that is not ends the book.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `NSBR` |
//! | 4 | 2 | format, 2; 1 is read as well |
//! | 6 | 2 | kind: 1 release, 2 repair |
//! | 8 | 8 | bytes of the body |
//! | 16 | … | body |
//! | … | 32 | BLAKE3 of all before it in this record |
//!
//! The body of a release: the oldest release kept from now on (epoch, seq: 8 bytes each), its own (16), pages of its
//! snapshot (4), entries (4), bytes of its manifest (4), later ones than the oldest that are let go of (4; not in format 1),
//! those (16 each), the entries, the signed manifest as JSON. The body of a repair: entries (4), the entries. An entry: page
//! (4), slot (4), hash (32).

use std::{
    fs,
    path::{Path, PathBuf},
};

use nearside_protocol::{digest::Digest, release::ReleaseId};

use super::PagesError;
use crate::disk::{Disk, DiskFile};

const MAGIC: [u8; 4] = *b"NSBR";
const FORMAT: u16 = 2;
const FIRST_FORMAT: u16 = 1;
const HEAD_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
const ENTRY_BYTES: usize = 40;
const RELEASE: u16 = 1;
const REPAIR: u16 = 2;

/// A page, its slot, its hash.
pub(super) type Entry = (u32, u32, Digest);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    Release {
        oldest: ReleaseId,
        thinned: Vec<ReleaseId>,
        release: ReleaseId,
        pages: u32,
        entries: Vec<Entry>,
        manifest: Vec<u8>,
    },
    /// Entries that hold for every kept table with that page and hash.
    Repair(Vec<Entry>),
}

pub(super) struct Book {
    file: DiskFile,
    number: u64,
    /// Where the next record goes.
    end: u64,
    /// Bytes of the first record, which a new book would have to write again.
    first: u64,
    failed: bool,
}

impl Book {
    /// Opens the newest book and gives its records, in order; none when there is no book with a whole first record.
    pub(super) fn open(
        folder: &Path,
        disk: &Disk,
        each: &mut impl FnMut(Seen<'_>),
    ) -> Result<Option<Book>, PagesError> {
        let fault = |error| PagesError::Io(folder.to_owned(), error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            match path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("book-")) {
                Some(rest) if rest.ends_with(".tmp") => {
                    let _ = disk.remove(&path);
                }
                Some(rest) => numbers.extend(rest.parse::<u64>()),
                None => {}
            }
        }
        numbers.sort_unstable();
        // A book gets its name when it is whole, and the one before goes after that: the newest is the one.
        let Some(number) = numbers.pop() else { return Ok(None) };
        for old in numbers {
            let _ = disk.remove(&path_of(folder, old));
        }
        let path = path_of(folder, number);
        let fault = |error| PagesError::Io(path.clone(), error);
        let bytes = fs::read(&path).map_err(fault)?;
        let (first, end) = read(&path, &bytes, each)?;
        if first == 0 {
            tracing::error!(book = %path.display(), "its first record is damaged: everything is pulled anew");
            let _ = disk.remove(&path);
            return Ok(None);
        }
        if end < bytes.len() as u64 {
            tracing::warn!(book = %path.display(), bytes = bytes.len() as u64 - end, "an unfinished record is dropped");
        }
        let file = disk.open(&path).map_err(fault)?;
        // What stands there is not to be taken for a part of the next record.
        file.set_length(end).and_then(|()| file.sync()).map_err(fault)?;
        Ok(Some(Book { file, number, end, first, failed: false }))
    }

    /// Makes a new book of these records, durably, and takes the one before away.
    pub(super) fn create(
        folder: &Path,
        disk: &Disk,
        before: Option<&Book>,
        records: &[Record],
    ) -> Result<Book, PagesError> {
        let number = before.map_or(1, |before| before.number + 1);
        let path = path_of(folder, number);
        let fault = |error| PagesError::Io(path.clone(), error);
        let first = records.first().map(encode).unwrap_or_default();
        let mut bytes = first.clone();
        records.iter().skip(1).for_each(|record| bytes.extend(encode(record)));
        disk.write(&path, &bytes).map_err(fault)?;
        if let Some(before) = before {
            let _ = disk.remove(before.file.path());
        }
        Ok(Book {
            file: disk.open(&path).map_err(fault)?,
            number,
            end: bytes.len() as u64,
            first: first.len() as u64,
            failed: false,
        })
    }

    /// Adds a record, durably. After a failure nothing is added any more: nobody knows what is on the disk.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), PagesError> {
        if self.failed {
            return Err(PagesError::Failed(self.file.path().to_owned()));
        }
        let bytes = encode(record);
        let wrote = self.file.write_at(&bytes, self.end).and_then(|()| self.file.sync());
        if let Err(error) = wrote {
            self.failed = true;
            return Err(PagesError::Io(self.file.path().to_owned(), error));
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Whether its records have grown so many that a new book is worth its bytes.
    pub(super) fn is_long(&self) -> bool {
        const SHORT_BYTES: u64 = 1 << 20;
        self.end - self.first > SHORT_BYTES.max(self.first / 2)
    }
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("book-{number}"))
}

fn encode(record: &Record) -> Vec<u8> {
    let (kind, entries) = match record {
        Record::Release { entries, .. } => (RELEASE, entries),
        Record::Repair(entries) => (REPAIR, entries),
    };
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 64 + entries.len() * ENTRY_BYTES + 4_096);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    if let Record::Release { oldest, release, pages, .. } = record {
        for number in [oldest.epoch, oldest.seq, release.epoch, release.seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&pages.to_le_bytes());
    }
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    if let Record::Release { manifest, thinned, .. } = record {
        bytes.extend_from_slice(&(manifest.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(thinned.len() as u32).to_le_bytes());
        for number in thinned.iter().flat_map(|release| [release.epoch, release.seq]) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    for (number, slot, hash) in entries {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&slot.to_le_bytes());
        bytes.extend_from_slice(hash.as_bytes());
    }
    if let Record::Release { manifest, .. } = record {
        bytes.extend_from_slice(manifest);
    }
    let body = (bytes.len() - HEAD_BYTES) as u64;
    bytes[8..HEAD_BYTES].copy_from_slice(&body.to_le_bytes());
    let hash = Digest::of(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

/// A record as it stands in the book: a whole table has megabytes of entries, which are gone through once.
pub(super) enum Seen<'a> {
    Release {
        oldest: ReleaseId,
        /// Later than that, and let go of.
        thinned: Vec<ReleaseId>,
        release: ReleaseId,
        pages: u32,
        entries: Entries<'a>,
        manifest: &'a [u8],
    },
    Repair(Entries<'a>),
}

#[derive(Clone)]
pub(super) struct Entries<'a>(std::slice::Iter<'a, [u8; ENTRY_BYTES]>);

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let mut fields = Fields(self.0.next()?);
        Some((fields.u32()?, fields.u32()?, Digest::from_bytes(*fields.take(32)?.first_chunk()?)))
    }
}

/// Gives the whole records from the start; then the length of the first, and where the last one ends.
fn read(path: &Path, bytes: &[u8], each: &mut impl FnMut(Seen<'_>)) -> Result<(u64, u64), PagesError> {
    let (mut first, mut at) = (0, 0);
    while let Some((format, record, length)) = read_one(&bytes[at..]) {
        if format > FORMAT {
            return Err(PagesError::Future(path.to_owned(), format, FORMAT));
        }
        let Some(record) = record else { break };
        each(record);
        at += length;
        if first == 0 {
            first = at as u64;
        }
    }
    Ok((first, at as u64))
}

/// The record at the start of these bytes, with its format and length; nothing when it is not whole.
fn read_one(bytes: &[u8]) -> Option<(u16, Option<Seen<'_>>, usize)> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    if head[..4] != MAGIC {
        return None;
    }
    let length = HEAD_BYTES.checked_add(usize::try_from(u64::from_le_bytes(*head[8..].first_chunk()?)).ok()?)?;
    let hash = bytes.get(length..length.checked_add(HASH_BYTES)?)?;
    if Digest::of(&bytes[..length]).as_bytes() != hash {
        return None;
    }
    let format = u16::from_le_bytes([head[4], head[5]]);
    let kind = u16::from_le_bytes([head[6], head[7]]);
    let is_known = (FIRST_FORMAT..=FORMAT).contains(&format);
    let record = if is_known { decode(format, kind, &mut Fields(&bytes[HEAD_BYTES..length])) } else { None };
    Some((format, record, length + HASH_BYTES))
}

fn decode<'a>(format: u16, kind: u16, body: &mut Fields<'a>) -> Option<Seen<'a>> {
    match kind {
        RELEASE => {
            let (oldest, release) = (body.release()?, body.release()?);
            let (pages, count, manifest) = (body.u32()?, body.u32()?, body.u32()?);
            let gone = if format == FIRST_FORMAT { 0 } else { body.u32()? };
            let thinned = (0..gone).map(|_| body.release()).collect::<Option<_>>()?;
            let entries = body.entries(count)?;
            let manifest = body.take(manifest as usize)?;
            Some(Seen::Release { oldest, thinned, release, pages, entries, manifest })
        }
        REPAIR => {
            let count = body.u32()?;
            body.entries(count).map(Seen::Repair)
        }
        _ => None,
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    fn release(&mut self) -> Option<ReleaseId> {
        Some(ReleaseId { epoch: self.u64()?, seq: self.u64()? })
    }

    fn entries(&mut self, count: u32) -> Option<Entries<'a>> {
        let bytes = self.take((count as usize).checked_mul(ENTRY_BYTES)?)?;
        Some(Entries(bytes.as_chunks().0.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(seq: u64) -> Record {
        let id = |seq| ReleaseId { epoch: 1, seq };
        let entries = (0..3).map(|page| (page, page + seq as u32, Digest::of(&[page as u8]))).collect();
        let thinned = (2..seq).map(id).collect();
        Record::Release { oldest: id(1), thinned, release: id(seq), pages: 3, entries, manifest: b"{}".to_vec() }
    }

    fn owned(seen: Seen<'_>) -> Record {
        match seen {
            Seen::Repair(entries) => Record::Repair(entries.collect()),
            Seen::Release { oldest, thinned, release, pages, entries, manifest } => {
                let (entries, manifest) = (entries.collect(), manifest.to_vec());
                Record::Release { oldest, thinned, release, pages, entries, manifest }
            }
        }
    }

    fn records_in(bytes: &[u8]) -> Vec<Record> {
        let mut records = Vec::new();
        read(Path::new("book"), bytes, &mut |seen| records.push(owned(seen))).unwrap();
        records
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_end_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::real();
        let mut book = Book::create(folder.path(), &disk, None, &[release(1)]).unwrap();
        book.append(&release(4)).unwrap();
        book.append(&Record::Repair(vec![(1, 9, Digest::of(b"x"))])).unwrap();
        let all = vec![release(1), release(4), Record::Repair(vec![(1, 9, Digest::of(b"x"))])];
        let mut records = Vec::new();
        let book = Book::open(folder.path(), &disk, &mut |seen| records.push(owned(seen))).unwrap().unwrap();
        assert_eq!(records, all);
        let bytes = fs::read(book.file.path()).unwrap();
        let second = encode(&release(1)).len();
        for cut in 0..bytes.len() {
            let records = records_in(&bytes[..cut]);
            assert_eq!(records, all[..records.len()], "cut at {cut}");
            assert!(records.len() < 3 && (cut < second) == records.is_empty());
        }
    }

    #[test]
    fn a_book_of_the_first_format_is_read() {
        let mut bytes = encode(&release(1));
        bytes.truncate(bytes.len() - HASH_BYTES);
        bytes[4] = FIRST_FORMAT as u8;
        // It has no number of those let go of.
        let at = HEAD_BYTES + 4 * 8 + 3 * 4;
        bytes.drain(at..at + 4);
        let body = (bytes.len() - HEAD_BYTES) as u64;
        bytes[8..HEAD_BYTES].copy_from_slice(&body.to_le_bytes());
        let hash = Digest::of(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        assert_eq!(records_in(&bytes), [release(1)]);
    }

    #[test]
    fn any_flipped_byte_ends_the_book_there() {
        let bytes = [encode(&release(1)), encode(&release(2))].concat();
        let first = encode(&release(1)).len();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert_eq!(records_in(&flipped).len(), usize::from(at >= first), "byte {at}");
        }
    }
}
