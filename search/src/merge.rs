//! Merging segments into a larger one, a slice at a time: a commit does as much of it as it may write.

use std::collections::VecDeque;

use crate::{
    documents::{self, Changes, Documents},
    fault::{Fault, Result},
    limits, list,
    meta::{Merge, Meta, Segment},
    options::Shape,
    posting::{self, Postings},
    rows::{Rows, RowsMut},
    score::{Norms, Weights},
    segment::{Place, TermRow, TermWriter, level},
};

/// Decides on the next merge: of the lowest level of which there are enough segments without a larger one between them.
/// Smaller ones between and before them come along. The newest waits for the next commit: so whoever knows the index up to the
/// commit before finds the change it knows last in the first row, and reads on from there.
pub fn begin(meta: &mut Meta) -> Result<bool> {
    let Some((_, segments)) = meta.segments.split_last() else { return Ok(false) };
    for level in 0..=segments.iter().map(|segment| segment.level).max().unwrap_or(0) {
        for run in segments.chunk_by(|a, b| (a.level <= level) == (b.level <= level)) {
            let of_level = |segment: &&Segment| segment.level == level;
            if run.iter().filter(of_level).count() >= limits::FANOUT
                && let Some(last) = run.iter().rfind(of_level)
            {
                let changes = Changes { first: run[0].changes.first, last: last.changes.last };
                return start(meta, changes).map(|()| true);
            }
        }
    }
    if let [.., last] = segments
        && segments.len() >= limits::SEGMENTS
    {
        let first = &segments[segments.len() - limits::FANOUT];
        let changes = Changes { first: first.changes.first, last: last.changes.last };
        return start(meta, changes).map(|()| true);
    }
    Ok(false)
}

/// Decides to merge these changes' segments.
pub fn start(meta: &mut Meta, changes: Changes) -> Result<()> {
    if meta.next_segment + 1 >= limits::SEGMENT_IDS {
        return Err(Fault::Refused(
            "the index has been merged too often: run INSERT INTO t(t) VALUES('rebuild')".into(),
        ));
    }
    let (into, average) = (meta.next_segment, meta.frozen.average());
    meta.merge = Some(Merge { into, changes, average, lists: 0, from: Vec::new() });
    meta.next_segment += 1;
    Ok(())
}

/// Goes on with a merge until so many bytes are written; gives how many were.
pub fn advance(
    rows: &mut impl RowsMut,
    meta: &mut Meta,
    documents: &Documents,
    (shape, weights): (Shape, &Weights),
    budget_bytes: u64,
) -> Result<u64> {
    let Some(merge) = meta.merge.take() else { return Ok(0) };
    let inputs: Vec<Segment> = meta.segments.iter().filter(|one| merge.changes.has(one.changes)).cloned().collect();
    let norms = Norms::new(merge.average);
    let (segment, lists) = (merge.into, merge.lists);
    let mut writer = TermWriter { shape, weights, norms, documents, segment, lists, bytes: 0 };
    let mut terms = Terms::new(&inputs, &merge.from);
    let mut postings = Postings::default();
    while let Some((term, found)) = terms.next(rows)? {
        if writer.bytes >= budget_bytes {
            meta.merge = Some(Merge { lists: writer.lists, from: term, ..merge });
            return Ok(writer.bytes);
        }
        let more = live_postings(rows, &found, documents, shape, &mut postings)?;
        writer.put(rows, &term, more, &postings)?;
    }
    let told = finish(rows, meta, documents, &merge, &inputs)?;
    Ok(writer.bytes + told)
}

/// A term's postings that still count, out of several segments; gives how many more documents have it.
pub fn live_postings(
    rows: &dyn Rows,
    found: &[(Segment, TermRow)],
    documents: &Documents,
    shape: Shape,
    into: &mut Postings,
) -> Result<i64> {
    let (mut more, mut lists) = (0, Vec::new());
    for (segment, row) in found {
        more += row.more;
        let mut read = Postings::default();
        match &row.postings {
            Place::Nowhere => continue,
            Place::Here(list) => posting::read_all(list, shape, &mut read)?,
            Place::List(list, _) => list::read_all(rows, (segment.id, *list), shape, &mut read)?,
        }
        lists.push((segment.changes, read, 0));
    }
    into.clear();
    loop {
        for (changes, list, at) in &mut lists {
            let newest = |document: &u32| documents.length_if_newest(*document, *changes).is_some();
            *at += list.documents[*at..].iter().take_while(|document| !newest(document)).count();
        }
        // A document's newest copy is in one segment alone.
        let ahead = lists.iter_mut().filter(|(_, list, at)| *at < list.len());
        let Some((_, list, at)) = ahead.min_by_key(|(_, list, at)| list.documents[*at]) else { return Ok(more) };
        into.push(list.documents[*at], list.counts_of(*at, shape.columns), list.places_of(*at));
        *at += 1;
    }
}

fn finish(
    rows: &mut impl RowsMut,
    meta: &mut Meta,
    documents: &Documents,
    merge: &Merge,
    inputs: &[Segment],
) -> Result<u64> {
    let mut told = Vec::new();
    for segment in inputs {
        documents::read(rows, segment, |(document, length)| {
            // What newer segments tell of is theirs to tell; and below the oldest there is nothing to hide.
            let newest = documents.length_if_newest(document, segment.changes).is_some();
            if newest && (length.is_some() || merge.changes.first > 1) {
                told.push((document, length));
            }
            Ok(())
        })?;
    }
    told.sort_unstable();
    let count = told.len() as u32;
    let bytes = documents::write(rows, merge.into, told.into_iter())?;
    let stamp = inputs.last().map_or([0; 16], |segment| segment.stamp);
    let first = meta.segments.iter().position(|segment| merge.changes.has(segment.changes)).unwrap_or(0);
    let merged = Segment {
        id: merge.into,
        changes: merge.changes,
        level: level(count),
        documents: count,
        average: merge.average,
        stamp,
    };
    meta.segments.splice(first..first + inputs.len(), [merged]);
    for segment in inputs {
        rows.drop_segment(segment.id)?;
    }
    Ok(bytes)
}

/// A term's rows, the oldest segment's first.
type Found = Vec<(Segment, TermRow)>;

/// The terms of several segments in order, each with its rows.
pub struct Terms {
    sources: Vec<Source>,
}

struct Source {
    segment: Segment,
    ahead: VecDeque<(Vec<u8>, TermRow)>,
    from: Vec<u8>,
    ended: bool,
}

const READ_AHEAD: usize = 128;

impl Terms {
    pub fn new(segments: &[Segment], from: &[u8]) -> Terms {
        let source = |segment: &Segment| Source {
            segment: segment.clone(),
            ahead: VecDeque::new(),
            from: from.to_vec(),
            ended: false,
        };
        Terms { sources: segments.iter().map(source).collect() }
    }

    pub fn next(&mut self, rows: &dyn Rows) -> Result<Option<(Vec<u8>, Found)>> {
        for source in &mut self.sources {
            source.refill(rows)?;
        }
        let first = self.sources.iter().filter_map(|source| source.ahead.front()).map(|(term, _)| term).min();
        let Some(first) = first.cloned() else { return Ok(None) };
        let mut found = Vec::new();
        for source in &mut self.sources {
            if source.ahead.front().is_some_and(|(term, _)| *term == first)
                && let Some((_, row)) = source.ahead.pop_front()
            {
                found.push((source.segment.clone(), row));
            }
        }
        Ok(Some((first, found)))
    }
}

impl Source {
    fn refill(&mut self, rows: &dyn Rows) -> Result<()> {
        if !self.ahead.is_empty() || self.ended {
            return Ok(());
        }
        let ahead = &mut self.ahead;
        rows.scan(self.segment.id, &self.from, &mut |term, row| {
            ahead.push_back((term.to_vec(), TermRow::read(row)?));
            Ok(ahead.len() < READ_AHEAD)
        })?;
        self.ended = self.ahead.len() < READ_AHEAD;
        if let Some((last, _)) = self.ahead.back() {
            // The least term after it.
            self.from = [last, &[0][..]].concat();
        }
        Ok(())
    }
}
