//! Writing segments: a row a term, long lists beside it, and the documents it tells of.

use crate::{
    batch::Batch,
    bytes::{Bytes, put_signed, put_varint},
    documents::{self, Changes, Documents},
    fault::{Fault, Result},
    limits,
    list::{self, Worth},
    meta::{Meta, Segment},
    options::Shape,
    posting::{self, Postings},
    rows::RowsMut,
    score::{Norms, Weights},
};

/// What a term's row says: how many more documents have the term than older segments say, and where its postings are.
#[derive(Clone, Debug, PartialEq)]
pub struct TermRow {
    pub more: i64,
    pub postings: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Nowhere,
    Here(Vec<u8>),
    /// In a list of this number, so many.
    List(u32, u32),
}

impl TermRow {
    pub fn read(row: &[u8]) -> Result<TermRow> {
        let mut bytes = Bytes::new(row);
        let more = bytes.signed()?;
        if more.unsigned_abs() > u64::from(u32::MAX) {
            return Err(Fault::Damaged("the number of documents with a word"));
        }
        let postings = match bytes.u8()? {
            0 => Place::Nowhere,
            1 => Place::Here(bytes.take(bytes.len())?.to_vec()),
            2 => Place::List(bytes.varint32()?, bytes.varint32()?),
            _ => return Err(Fault::Damaged("a term's row is of an unknown kind")),
        };
        match postings {
            Place::List(list, _) if list >= limits::SEGMENT_LISTS => Err(Fault::Damaged("the number of a list")),
            postings => Ok(TermRow { more, postings }),
        }
    }

    fn start(more: i64, kind: u8) -> Vec<u8> {
        let mut row = Vec::new();
        put_signed(&mut row, more);
        row.push(kind);
        row
    }
}

/// Writes terms of one segment, by ascending term.
pub struct TermWriter<'a> {
    pub shape: Shape,
    pub weights: &'a Weights,
    pub norms: Norms,
    pub documents: &'a Documents,
    pub segment: u32,
    pub lists: u32,
    pub bytes: u64,
}

impl TermWriter<'_> {
    pub fn put_short(&mut self, rows: &mut impl RowsMut, term: &[u8], more: i64, list: &[u8]) -> Result<()> {
        if list.is_empty() && more == 0 {
            return Ok(());
        }
        let mut row = TermRow::start(more, u8::from(!list.is_empty()));
        row.extend(list);
        self.put_row(rows, term, &row)
    }

    pub fn put(&mut self, rows: &mut impl RowsMut, term: &[u8], more: i64, postings: &Postings) -> Result<()> {
        // A posting takes two bytes at the least.
        if postings.len() <= limits::INLINE_BYTES / 2 {
            let mut list = Vec::new();
            posting::put_all(&mut list, postings, self.shape);
            if list.len() <= limits::INLINE_BYTES {
                return self.put_short(rows, term, more, &list);
            }
        }
        if self.lists >= limits::SEGMENT_LISTS || postings.len() > limits::LIST_POSTINGS {
            return Err(Fault::Refused("the index has too many long lists for one segment".into()));
        }
        let worths: Vec<Worth> = (0..postings.len()).map(|index| self.worth(postings, index)).collect();
        self.bytes += list::write(rows, (self.segment, self.lists), postings, &worths, self.shape)?;
        let mut row = TermRow::start(more, 2);
        put_varint(&mut row, self.lists.into());
        put_varint(&mut row, postings.len() as u64);
        self.lists += 1;
        self.put_row(rows, term, &row)
    }

    fn put_row(&mut self, rows: &mut impl RowsMut, term: &[u8], row: &[u8]) -> Result<()> {
        self.bytes += (term.len() + row.len() + 8) as u64;
        rows.put_term(self.segment, term, row)
    }

    fn worth(&self, postings: &Postings, index: usize) -> Worth {
        let tf = self.weights.tf(postings.counts_of(index, self.shape.columns));
        // A document that is gone meanwhile counts as the shortest: its posting is never looked at.
        let length = self.documents.length(postings.documents[index]).unwrap_or(0);
        Worth { tf, impact: self.norms.impact(tf, length) }
    }
}

/// Makes a batch the newest segment; gives the bytes written.
pub fn append(
    rows: &mut impl RowsMut,
    meta: &mut Meta,
    documents: &mut Documents,
    batch: Batch,
    (shape, weights): (Shape, &Weights),
) -> Result<u64> {
    let (id, change) = (meta.next_segment, meta.next_change);
    if id + 1 >= limits::SEGMENT_IDS {
        return Err(Fault::Refused(
            "the index has been changed too often: run INSERT INTO t(t) VALUES('rebuild')".into(),
        ));
    }
    let (terms, told) = batch.into_parts();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&meta.stamp);
    let mut count = 0;
    for (document, length) in told.clone() {
        crate::index::count(&mut meta.live, documents.length(document), length);
        documents.tell(document, length, change)?;
        hasher.update(&document.to_le_bytes()).update(&[u8::from(length.is_some()), length.unwrap_or(0)]);
        count += 1;
    }
    meta.frozen = meta.live.settled();
    let average = meta.frozen.average();
    let mut bytes = documents::write(rows, id, told)?;
    let norms = Norms::new(average);
    let mut writer = TermWriter { shape, weights, norms, documents, segment: id, lists: 0, bytes: 0 };
    let mut postings = Postings::default();
    for (term, list) in terms {
        hasher.update(&(term.len() as u32).to_le_bytes()).update(&term).update(&list.more.to_le_bytes());
        hasher.update(&(list.postings.len() as u32).to_le_bytes()).update(&list.postings);
        if list.postings.len() <= limits::INLINE_BYTES {
            writer.put_short(rows, &term, list.more, &list.postings)?;
        } else {
            postings.clear();
            posting::read_all(&list.postings, shape, &mut postings)?;
            writer.put(rows, &term, list.more, &postings)?;
        }
    }
    bytes += writer.bytes;
    let hash = hasher.finalize();
    meta.stamp = std::array::from_fn(|index| hash.as_bytes()[index]);
    meta.segments.push(Segment {
        id,
        changes: Changes { first: change, last: change },
        level: level(count),
        documents: count,
        average,
        stamp: meta.stamp,
    });
    (meta.next_segment, meta.next_change) = (id + 1, change + 1);
    Ok(bytes)
}

/// Segments of a level are about as large as each other: up to 7 documents, and each next eight times that.
pub fn level(documents: u32) -> u8 {
    (documents.max(1).ilog2() / 3) as u8
}
