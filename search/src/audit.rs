//! `integrity-check`: an index held against the documents it is of, and its maxima against its postings.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    batch::Batch,
    dictionary::{Place, TermRow},
    fault::{Fault, Result},
    index::Known,
    list::{Block, Chunk, Head},
    merge::{Terms, live_postings},
    meta::Segment,
    options::{Options, Shape},
    posting::{self, Postings},
    rows::{Rows, chunk_id},
    score::Norms,
};

pub fn check(known: &Known, rows: &dyn Rows, options: &Options, content: Option<Vec<Batch>>) -> Result<()> {
    let shape = options.shape();
    let mut expected = content.map(|batches| gathered(batches, known, shape)).transpose()?;
    let mut terms = Terms::new(&known.sources, &[]);
    let mut postings = Postings::default();
    while let Some((term, found)) = terms.next(rows)? {
        let more = live_postings(rows, &found, &known.documents, shape, &mut postings)?;
        for (source, row) in &found {
            check_list(known, source.rows(rows), options, &source.segment, row)?;
        }
        let Some(expected) = &mut expected else { continue };
        if more != postings.len() as i64 {
            return Err(Fault::Damaged("it counts other documents with a word than there are"));
        }
        match expected.remove(&term) {
            None if postings.is_empty() => {}
            Some(there) if there == postings => {}
            _ => return Err(Fault::Damaged("it is not of the text that is there")),
        }
    }
    if expected.is_some_and(|left| !left.is_empty()) {
        return Err(Fault::Damaged("words are missing from it"));
    }
    Ok(())
}

/// What the lists should be.
fn gathered(batches: Vec<Batch>, known: &Known, shape: Shape) -> Result<BTreeMap<Vec<u8>, Postings>> {
    let mut all = BTreeMap::<Vec<u8>, Postings>::new();
    let mut count = 0;
    for batch in batches {
        let (told, said) = batch.into_parts();
        for (document, length) in told {
            count += 1;
            if known.documents.length(document) != length {
                return Err(Fault::Damaged("a document is missing, or is of another length"));
            }
        }
        for one in said {
            posting::read_all(&one.postings, shape, all.entry(one.term.into_vec()).or_default())?;
        }
    }
    if count != known.meta.live.documents {
        return Err(Fault::Damaged("it has documents that are not there"));
    }
    Ok(all)
}

/// No posting of a long list may be worth more than what is said over it, and none that is no champion more than the last
/// that is one.
fn check_list(known: &Known, rows: &dyn Rows, options: &Options, segment: &Segment, row: &TermRow) -> Result<()> {
    let Place::List(list, _) = row.postings else { return Ok(()) };
    let (norms, shape, mut bytes) = (Norms::new(segment.average), options.shape(), Vec::new());
    rows.row(chunk_id(segment.id, list, 0), &mut bytes)?;
    let head = Head::read(&bytes)?;
    let mut champions = Champions::new(&head, |document| known.documents.length_if_newest(document, segment.changes));
    let (mut chunk, mut block) = (Chunk::default(), Block::default());
    for (number, part) in head.chunks.iter().enumerate() {
        chunk.load(rows, chunk_id(segment.id, list, number + 1), *part)?;
        for at in 0..chunk.blocks.len() {
            chunk.open_block(at, shape, &mut block)?;
            for index in 0..block.len {
                let Some(length) = known.documents.length_if_newest(block.documents[index], segment.changes) else {
                    continue;
                };
                let counts: Vec<u32> = (0..shape.columns).map(|column| chunk.count(&block, column, index)).collect();
                let tf = options.weights.tf(&counts);
                let impact = norms.impact(tf, length);
                if impact > chunk.blocks[at].most {
                    return Err(Fault::Damaged("a maximum is too low"));
                }
                champions.see(block.documents[index], tf, impact)?;
            }
        }
    }
    champions.end()
}

/// A list's champions, held against its postings.
struct Champions {
    /// Those that are looked at, in their order, and each one's impact when it was met.
    all: Vec<(u32, f32, Option<u16>)>,
    /// All others come after the last of them. Not when that one has a newer copy elsewhere: then nobody says so.
    is_bound: bool,
    best_other: Option<Order>,
}

/// The highest impact first, then the lowest id.
type Order = (Reverse<u16>, u32);

impl Champions {
    fn new(head: &Head, length: impl Fn(u32) -> Option<u8>) -> Champions {
        let is_newest = |document: u32| length(document).is_some();
        let newest = head.champions.iter().filter(|(document, _)| is_newest(*document));
        Champions {
            all: newest.map(|(document, tf)| (*document, *tf, None)).collect(),
            is_bound: head.champions.last().is_some_and(|(document, _)| is_newest(*document)),
            best_other: None,
        }
    }

    fn see(&mut self, document: u32, tf: f32, impact: u16) -> Result<()> {
        match self.all.iter_mut().find(|champion| champion.0 == document) {
            Some((_, said, met)) => {
                if *said != tf {
                    return Err(Fault::Damaged("a champion counts for something else"));
                }
                *met = Some(impact);
            }
            None => {
                let order = (Reverse(impact), document);
                self.best_other = Some(self.best_other.map_or(order, |best| best.min(order)));
            }
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        let met = self.all.iter().map(|(document, _, impact)| Some((Reverse((*impact)?), *document)));
        let met: Vec<Order> = met.collect::<Option<_>>().ok_or(Fault::Damaged("a champion is in no list"))?;
        if !met.is_sorted_by(|one, next| one < next) {
            return Err(Fault::Damaged("champions are out of order"));
        }
        match (met.last(), self.best_other) {
            (Some(last), Some(other)) if self.is_bound && other < *last => Err(Fault::Damaged("a champion is missing")),
            _ => Ok(()),
        }
    }
}
