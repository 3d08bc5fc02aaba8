//! Merging segments into a larger one, a slice at a time: a commit does as much of it as it may write.

use std::collections::VecDeque;

use crate::{
    dictionary::{self, Place, TermRow},
    documents::{self, Changes, Documents, Told},
    fault::{Fault, Result},
    limits, list,
    meta::{Done, Merge, Meta, Segment},
    options::Shape,
    posting::{self, Postings},
    rows::{Rows, RowsMut},
    score::Weights,
    segment::{TermWriter, level},
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
    let done = Done::Terms { is_begun: false };
    meta.merge = Some(Merge { into, changes, average, lists: 0, done, from: Vec::new() });
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
    let Some(mut merge) = meta.merge.take() else { return Ok(0) };
    let inputs: Vec<Segment> = meta.segments.iter().filter(|one| merge.changes.has(one.changes)).cloned().collect();
    let mut written = 0;
    if let Done::Terms { is_begun } = merge.done {
        written = terms(rows, &mut merge, (documents, &inputs[..]), (shape, weights), (is_begun, budget_bytes))?;
    }
    if matches!(merge.done, Done::Documents { .. }) && written < budget_bytes {
        let told = told(rows, documents, &merge, &inputs)?;
        let told = documents_of(rows, &mut merge, told, budget_bytes - written)?;
        written += told.bytes;
        if told.is_whole {
            finish(rows, meta, &merge, told.documents, &inputs)?;
            return Ok(written);
        }
    }
    meta.merge = Some(merge);
    Ok(written)
}

/// Goes on with the terms; gives the bytes written.
fn terms(
    rows: &mut impl RowsMut,
    merge: &mut Merge,
    (documents, inputs): (&Documents, &[Segment]),
    how: (Shape, &Weights),
    (mut is_begun, budget_bytes): (bool, u64),
) -> Result<u64> {
    let mut writer = TermWriter::new(how, documents, merge.average, (merge.into, merge.lists));
    let mut terms = Terms::new(inputs, &merge.from);
    let mut postings = Postings::default();
    while let Some((term, found)) = terms.next(rows)? {
        let left = budget_bytes.saturating_sub(writer.bytes);
        if left > 0 {
            let more = live_postings(rows, &found, documents, how.0, &mut postings)?;
            let how = (std::mem::take(&mut is_begun), left);
            if writer.put_some(rows, &term, more, &postings, how)? {
                continue;
            }
            is_begun = true;
        }
        (merge.lists, merge.from) = (writer.lists, term);
        merge.done = Done::Terms { is_begun };
        return writer.end(rows);
    }
    (merge.lists, merge.done) = (writer.lists, Done::Documents { rows: 0, documents: 0, next: 0 });
    merge.from.clear();
    writer.end(rows)
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

/// What the merged segment is to say of documents.
fn told(rows: &dyn Rows, documents: &Documents, merge: &Merge, inputs: &[Segment]) -> Result<Vec<Told>> {
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
    Ok(told)
}

/// Goes on with the documents. One that was told of and is newer elsewhere by now does no harm: the newest word counts.
fn documents_of(
    rows: &mut impl RowsMut,
    merge: &mut Merge,
    told: Vec<Told>,
    budget_bytes: u64,
) -> Result<documents::Written> {
    let so_far = match merge.done {
        Done::Documents { rows, documents, next } => documents::Written { rows, documents, next, ..Default::default() },
        Done::Terms { .. } => documents::Written::default(),
    };
    let written = documents::write_some(rows, merge.into, told.into_iter(), so_far, budget_bytes)?;
    merge.done = Done::Documents { rows: written.rows, documents: written.documents, next: written.next };
    Ok(written)
}

/// The merged segment takes the place of those it is of.
fn finish(rows: &mut impl RowsMut, meta: &mut Meta, merge: &Merge, documents: u32, inputs: &[Segment]) -> Result<()> {
    let stamp = inputs.last().map_or([0; 16], |segment| segment.stamp);
    let first = meta.segments.iter().position(|segment| merge.changes.has(segment.changes)).unwrap_or(0);
    let merged = Segment {
        id: merge.into,
        changes: merge.changes,
        level: level(documents),
        documents,
        average: merge.average,
        stamp,
    };
    meta.segments.splice(first..first + inputs.len(), [merged]);
    inputs.iter().try_for_each(|segment| rows.drop_segment(segment.id))
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
        dictionary::scan(rows, self.segment.id, &self.from, &mut |term, row| {
            ahead.push_back((term.to_vec(), row.owned()));
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
