//! Writing segments: terms in groups, long lists beside them, and the documents it tells of.

use crate::{
    batch::Said,
    dictionary::{GroupWriter, Place, TermRow},
    documents::{self, Documents, Told},
    fault::{Fault, Result},
    limits,
    list::{self, Begun, Worth},
    options::Shape,
    posting::{self, Postings},
    rows::RowsMut,
    score::{Norms, Weights},
};

/// Writes terms of one segment, by ascending term.
pub struct TermWriter<'a> {
    shape: Shape,
    weights: &'a Weights,
    norms: Norms,
    documents: &'a Documents,
    segment: u32,
    pub lists: u32,
    group: GroupWriter,
    pub bytes: u64,
}

impl<'a> TermWriter<'a> {
    pub fn new(
        (shape, weights): (Shape, &'a Weights),
        documents: &'a Documents,
        average: f32,
        (segment, lists): (u32, u32),
    ) -> TermWriter<'a> {
        let (norms, group) = (Norms::new(average), GroupWriter::default());
        TermWriter { shape, weights, norms, documents, segment, lists, group, bytes: 0 }
    }

    pub fn put_short(&mut self, rows: &mut impl RowsMut, term: &[u8], more: i64, list: &[u8]) -> Result<()> {
        if list.is_empty() && more == 0 {
            return Ok(());
        }
        let postings = if list.is_empty() { Place::Nowhere } else { Place::Here(list) };
        self.put_row(rows, term, TermRow { more, postings })
    }

    pub fn put(&mut self, rows: &mut impl RowsMut, term: &[u8], more: i64, postings: &Postings) -> Result<()> {
        self.put_some(rows, term, more, postings, (false, u64::MAX)).map(drop)
    }

    /// The same for so long as the bytes last; gives whether it is whole. What was begun is gone on with.
    pub fn put_some(
        &mut self,
        rows: &mut impl RowsMut,
        term: &[u8],
        more: i64,
        postings: &Postings,
        (is_begun, budget_bytes): (bool, u64),
    ) -> Result<bool> {
        // A posting takes two bytes at the least.
        if !is_begun && postings.len() <= limits::INLINE_BYTES / 2 {
            let mut list = Vec::new();
            posting::put_all(&mut list, postings, self.shape);
            if list.len() <= limits::INLINE_BYTES {
                return self.put_short(rows, term, more, &list).map(|()| true);
            }
        }
        if self.lists >= limits::SEGMENT_LISTS || postings.len() > limits::LIST_POSTINGS {
            return Err(Fault::Refused("the index has too many long lists for one segment".into()));
        }
        let worths: Vec<Worth> = (0..postings.len()).map(|index| self.worth(postings, index)).collect();
        let at = (self.segment, self.lists);
        let impact = |document, tf| self.norms.impact(tf, self.documents.length(document).unwrap_or(0));
        let begun = if is_begun { Some(Begun::read(rows, at, impact)?) } else { None };
        let written = list::write(rows, at, (postings, &worths), self.shape, begun, budget_bytes)?;
        self.bytes += written.bytes;
        if !written.is_whole {
            return Ok(false);
        }
        let postings = Place::List(self.lists, postings.len() as u32);
        self.lists += 1;
        self.put_row(rows, term, TermRow { more, postings }).map(|()| true)
    }

    fn put_row(&mut self, rows: &mut impl RowsMut, term: &[u8], row: TermRow<&[u8]>) -> Result<()> {
        self.bytes += self.group.put(rows, self.segment, term, row)?;
        Ok(())
    }

    /// Writes what is left of the last group; gives the bytes written in all.
    pub fn end(&mut self, rows: &mut impl RowsMut) -> Result<u64> {
        self.bytes += self.group.end(rows, self.segment)?;
        Ok(self.bytes)
    }

    fn worth(&self, postings: &Postings, index: usize) -> Worth {
        let tf = self.weights.tf(postings.counts_of(index, self.shape.columns));
        // A document that is gone meanwhile counts as the shortest: its posting is never looked at.
        let length = self.documents.length(postings.documents[index]).unwrap_or(0);
        Worth { tf, impact: self.norms.impact(tf, length) }
    }
}

/// Writes a segment of what a change tells and says; gives the bytes written.
pub fn write(
    rows: &mut impl RowsMut,
    id: u32,
    (told, said): (&[Told], &[Said]),
    (documents, average): (&Documents, f32),
    how: (Shape, &Weights),
) -> Result<u64> {
    let bytes = documents::write(rows, id, told.iter().copied())?;
    let mut writer = TermWriter::new(how, documents, average, (id, 0));
    let mut postings = Postings::default();
    for one in said {
        if one.postings.len() <= limits::INLINE_BYTES {
            writer.put_short(rows, &one.term, one.more, &one.postings)?;
        } else {
            postings.clear();
            posting::read_all(&one.postings, how.0, &mut postings)?;
            writer.put(rows, &one.term, one.more, &postings)?;
        }
    }
    Ok(bytes + writer.end(rows)?)
}
