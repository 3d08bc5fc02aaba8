//! Writing segments: terms in groups, long lists beside them, and the documents it tells of.

use crate::{
    batch::Said,
    dictionary::{GroupWriter, Place, TermRow},
    documents::{self, Changes, Documents, Told},
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
        self.put_some(rows, term, more, postings, (None, u64::MAX)).map(drop)
    }

    /// The same for so long as the bytes last; gives whether it is whole. What was begun is gone on with, of these changes.
    pub fn put_some(
        &mut self,
        rows: &mut impl RowsMut,
        term: &[u8],
        more: i64,
        postings: &Postings,
        (begun, budget_bytes): (Option<Changes>, u64),
    ) -> Result<bool> {
        // A posting takes two bytes at the least.
        if begun.is_none() && postings.len() <= limits::INLINE_BYTES / 2 {
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
        let begun = begun.map(|changes| Begun::read(rows, at, |document, tf| self.impact(document, tf, changes)));
        let begun = begun.transpose()?;
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

    /// What a champion of a list that was begun is worth. One that has a newer copy since is not looked at any more, but what
    /// it kept from being a champion is in no list of them: so it stays, or a lesser one would seem to be the best of the rest.
    fn impact(&self, document: u32, tf: f32, changes: Changes) -> u16 {
        let length = self.documents.length_if_newest(document, changes);
        length.map_or(u16::MAX, |length| self.norms.impact(tf, length))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clause::Clause,
        cursor::{Cursor, Scope},
        find,
        held::Held,
        score::length_code,
        top::{Hit, Top},
    };

    const SHAPE: Shape = Shape { columns: 1, positions: false };
    const AVERAGE: f32 = 50.0;

    fn postings(documents: impl Iterator<Item = u32>) -> Postings {
        let mut made = Postings::default();
        documents.for_each(|document| made.push(document, &[1], &[]));
        made
    }

    /// Between two parts of a list, one of its champions becomes another document: a long one, whose newest copy is elsewhere.
    #[test]
    fn a_champion_that_changed_meanwhile_makes_no_room_for_a_lesser_one() {
        let (changes, weights) = (Changes { first: 1, last: 1 }, Weights::parse(None, 1).unwrap());
        let (mut rows, mut documents) = (Held::default(), Documents::default());
        // More good ones than champions, and all in the first part.
        let good = limits::CHAMPIONS as u32 + 1;
        let length = |document: u32| length_code(if document < good { 1 } else { 200 });
        (0..20_000).for_each(|document| documents.tell(document, Some(length(document)), 1).unwrap());
        let put = |rows: &mut Held, documents: &Documents, postings: &Postings, how| {
            let mut writer = TermWriter::new((SHAPE, &weights), documents, AVERAGE, (1, 0));
            writer.put_some(rows, b"word", postings.len() as i64, postings, how).unwrap()
        };
        assert!(!put(&mut rows, &documents, &postings(0..20_000), (None, 1)));
        documents.tell(5, Some(length_code(5_000)), 2).unwrap();
        let rest = postings((0..20_000).filter(|document| *document != 5));
        assert!(put(&mut rows, &documents, &rest, (Some(changes), u64::MAX)));
        let norms = Norms::new(AVERAGE);
        let scope = Scope {
            rows: &rows,
            documents: &documents,
            norms: &norms,
            weights: &weights,
            shape: SHAPE,
            text_columns: 1,
            segment: 1,
            changes,
            averages: (AVERAGE, AVERAGE),
            alone: false,
        };
        for most in [1, 31, 32, 33, 40] {
            let mut top = Top::new(most);
            let cursor = Cursor::open(scope, &Place::List(0, 19_999), 1, 7).unwrap();
            find::search(&mut Clause::List(cursor), &mut top).unwrap();
            let found: Vec<u32> = top.into_sorted().iter().map(|hit: &Hit| hit.document).collect();
            let best: Vec<u32> = (0..).filter(|document| *document != 5).take(most).collect();
            assert_eq!(found, best, "the best {most}");
        }
    }
}
