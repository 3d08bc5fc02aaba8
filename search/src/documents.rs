//! The documents of an index: how long each is, and which segment has its newest copy. On disk each segment tells of
//! the documents it is about; in memory they are one table.

use std::sync::Arc;

use crate::{
    bytes::{Bytes, put_varint},
    fault::{Fault, Result},
    limits::{self, CHUNK_BYTES, RANGE_DOCUMENTS, RANGES},
    meta::Segment,
    rows::{Rows, RowsMut},
};

/// What a segment says of a document: its quantised length, or that it is gone.
pub type Told = (u32, Option<u8>);

/// How far the documents of a segment are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub rows: u32,
    pub documents: u32,
    /// Those below this one are.
    pub next: u32,
    pub is_whole: bool,
    pub bytes: u64,
}

/// Writes what a segment says of documents, by ascending id; gives the bytes written.
pub fn write(rows: &mut impl RowsMut, segment: u32, told: impl Iterator<Item = Told>) -> Result<u64> {
    Ok(write_some(rows, segment, told, Written::default(), u64::MAX)?.bytes)
}

/// The same from where it was left, for so long as the bytes last: whole rows.
pub fn write_some(
    rows: &mut impl RowsMut,
    segment: u32,
    told: impl Iterator<Item = Told>,
    written: Written,
    budget_bytes: u64,
) -> Result<Written> {
    let (mut row, mut written) = (Vec::new(), Written { bytes: 0, is_whole: false, ..written });
    let from = written.next;
    for (document, length) in told.skip_while(|(document, _)| *document < from) {
        put_varint(&mut row, u64::from(document - written.next) << 1 | u64::from(length.is_none()));
        row.extend(length);
        (written.next, written.documents) = (document + 1, written.documents + 1);
        if row.len() > CHUNK_BYTES - 8 {
            rows.put_documents(segment, written.rows, &row)?;
            written.rows += 1;
            written.bytes += row.len() as u64;
            row.clear();
            if written.bytes >= budget_bytes {
                return Ok(written);
            }
        }
    }
    if !row.is_empty() {
        rows.put_documents(segment, written.rows, &row)?;
        written.rows += 1;
        written.bytes += row.len() as u64;
    }
    Ok(Written { is_whole: true, ..written })
}

/// Calls `each` with all a segment says.
pub fn read(rows: &dyn Rows, segment: &Segment, mut each: impl FnMut(Told) -> Result<()>) -> Result<()> {
    let (mut row, mut before, mut left) = (Vec::new(), None, segment.documents);
    for number in 0..limits::DOCUMENT_ROWS {
        if !rows.documents(segment.id, number, &mut row)? {
            break;
        }
        let mut bytes = Bytes::new(&row);
        while !bytes.is_empty() {
            let word = bytes.varint()?;
            let step = u32::try_from(word >> 1).ok();
            let document = match before {
                None => step,
                Some(before) => step.and_then(|step| step.checked_add(1)?.checked_add(before)),
            };
            let document = document.filter(|document| *document < u32::MAX).ok_or(Fault::Damaged("a document id"))?;
            left = left.checked_sub(1).ok_or(Fault::Damaged("a segment has too many documents"))?;
            each((document, if word & 1 == 0 { Some(bytes.u8()?) } else { None }))?;
            before = Some(document);
        }
    }
    if left == 0 { Ok(()) } else { Err(Fault::Damaged("a segment has too few documents")) }
}

/// All documents in memory: ranges of 4,096 ids, those that are in use. A copy shares its ranges until they change, so what
/// one release knows costs the next only what is different.
#[derive(Clone, Default)]
pub struct Documents {
    ranges: Vec<Option<Arc<Range>>>,
    in_use: usize,
}

#[derive(Clone)]
struct Range {
    lengths: [u8; RANGE_DOCUMENTS],
    /// The number of the change that a document's newest copy came with; 0 where there was none.
    changes: [u32; RANGE_DOCUMENTS],
    gone: [u64; RANGE_DOCUMENTS / 64],
}

/// The changes a segment holds: a posting in it counts when its document's newest change is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    pub first: u32,
    pub last: u32,
}

impl Documents {
    pub fn apply(&mut self, rows: &dyn Rows, segment: &Segment) -> Result<()> {
        read(rows, segment, |(document, length)| self.tell(document, length, segment.changes.last))
    }

    pub fn tell(&mut self, document: u32, length: Option<u8>, change: u32) -> Result<()> {
        let (range, index) = (document as usize / RANGE_DOCUMENTS, document as usize % RANGE_DOCUMENTS);
        if range >= self.ranges.len() {
            self.ranges.resize_with(range + 1, || None);
        }
        if self.ranges[range].is_none() {
            self.in_use += 1;
            if self.in_use > RANGES {
                let ids = RANGE_DOCUMENTS;
                let what = format!(
                    "rowids are too scattered: they lie in more than {RANGES} ranges of {ids}; number rows from 1"
                );
                return Err(Fault::Refused(what));
            }
        }
        let range = self.ranges[range].get_or_insert_with(|| {
            Arc::new(Range {
                lengths: [0; RANGE_DOCUMENTS],
                changes: [0; RANGE_DOCUMENTS],
                gone: [0; RANGE_DOCUMENTS / 64],
            })
        });
        let range = Arc::make_mut(range);
        range.lengths[index] = length.unwrap_or(0);
        range.changes[index] = change;
        let (word, bit) = (&mut range.gone[index / 64], 1 << (index % 64));
        if length.is_none() {
            *word |= bit
        } else {
            *word &= !bit
        }
        Ok(())
    }

    #[inline]
    fn place(&self, document: u32) -> Option<(&Range, usize)> {
        let range = self.ranges.get(document as usize / RANGE_DOCUMENTS)?.as_deref()?;
        Some((range, document as usize % RANGE_DOCUMENTS))
    }

    pub fn bytes(&self) -> usize {
        self.in_use * size_of::<Range>()
    }

    /// All that are there, by ascending id, with their lengths.
    pub fn all(&self) -> impl Iterator<Item = (u32, u8)> {
        let ids = (0..self.ranges.len()).filter(|range| self.ranges[*range].is_some());
        ids.flat_map(|range| range * RANGE_DOCUMENTS..(range + 1) * RANGE_DOCUMENTS)
            .filter_map(|id| Some((id as u32, self.length(id as u32)?)))
    }

    /// The quantised length of a document that is there.
    pub fn length(&self, document: u32) -> Option<u8> {
        let (range, index) = self.place(document)?;
        let there = range.changes[index] != 0 && range.gone[index / 64] >> (index % 64) & 1 == 0;
        there.then_some(range.lengths[index])
    }

    /// The same, if these changes have its newest copy.
    #[inline]
    pub fn length_if_newest(&self, document: u32, changes: Changes) -> Option<u8> {
        let (range, index) = self.place(document)?;
        let change = range.changes[index];
        (change >= changes.first && change <= changes.last).then_some(range.lengths[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Held;

    fn segment(id: u32, documents: u32) -> Segment {
        Segment { id, documents, changes: Changes { first: id, last: id }, ..Segment::default() }
    }

    #[test]
    fn the_newest_word_on_a_document_counts() {
        let mut rows = Held::default();
        write(&mut rows, 1, (0..10_000).map(|id| (id * 3, Some((id % 200) as u8)))).unwrap();
        write(&mut rows, 2, [(3, None), (6, Some(77)), (100_000, Some(1))].into_iter()).unwrap();
        let mut documents = Documents::default();
        documents.apply(&rows, &segment(1, 10_000)).unwrap();
        documents.apply(&rows, &segment(2, 3)).unwrap();
        assert_eq!([0, 1, 3, 6, 9].map(|id| documents.length(id)), [Some(0), None, None, Some(77), Some(3)]);
        let (old, new) = (Changes { first: 1, last: 1 }, Changes { first: 2, last: 2 });
        assert_eq!(documents.length_if_newest(6, old), None);
        assert_eq!(documents.length_if_newest(6, new), Some(77));
        assert_eq!(documents.length_if_newest(9, old), Some(3));
        assert!(read(&rows, &segment(1, 9_999), |_| Ok(())).is_err());
        assert!(read(&rows, &segment(1, 10_001), |_| Ok(())).is_err());
    }

    #[test]
    fn scattered_ids_are_refused() {
        let mut documents = Documents::default();
        let refused = (0..=RANGES as u32).find(|range| documents.tell(range * 5_000 * 8, Some(1), 1).is_err());
        assert_eq!(refused, Some(RANGES as u32));
    }
}
