//! Merging segments into a larger one, a slice at a time: a commit does as much of it as it may write.
//!
//! Two go on beside each other: a *flush* makes a small segment of the log's older changes, and a *merge* makes a larger one
//! of all segments of a tier. A flush cannot wait for a merge of a large index to end, or the log would grow as long as that takes.

use std::collections::VecDeque;

use crate::{
    dictionary::{self, Place, TermRow},
    documents::{self, Changes, Documents, Told},
    fault::Result,
    held::Held,
    limits, list,
    meta::{Done, Merge, Meta, Segment},
    options::Shape,
    posting::{self, Postings},
    rows::{Rows, RowsMut, Store, lane_of},
    score::Weights,
    segment::TermWriter,
    source::Source,
};

/// Decides on the next merge of segments.
pub fn begin(meta: &mut Meta) -> Result<bool> {
    let told: u64 = meta.segments.iter().map(|segment| u64::from(segment.documents)).sum();
    let few = meta.live.documents.saturating_mul(limits::TOLD_TIMES).saturating_add(limits::TOLD_MORE);
    if told > few && meta.segments.len() > 1 {
        return begin_all(meta).map(|()| true);
    }
    for tier in 0..limits::TIERS {
        let of_tier = |segment: &&Segment| segment.tier() == tier;
        if meta.segments.iter().filter(of_tier).count() < limits::FANOUT {
            continue;
        }
        let (first, last) = (meta.segments.iter().find(of_tier), meta.segments.iter().rfind(of_tier));
        let Some((first, last)) = first.zip(last) else { continue };
        let changes = Changes { first: first.changes.first, last: last.changes.last };
        // From here on, what is new goes to the other lane.
        meta.sides ^= 1 << tier;
        let into = meta.begin_segment((tier + 1).min(limits::TIERS - 1))?;
        meta.merge = Some(Merge::begun(into, changes, meta.frozen.average()));
        return Ok(true);
    }
    Ok(false)
}

/// Begins to merge all segments there are.
pub fn begin_all(meta: &mut Meta) -> Result<()> {
    meta.sides ^= (1 << limits::TIERS) - 1;
    let into = meta.begin_segment(limits::TIERS - 1)?;
    let changes = Changes { first: 1, last: meta.log_begins() - 1 };
    meta.merge = Some(Merge::begun(into, changes, meta.frozen.average()));
    Ok(())
}

/// Begins to make a segment of the log up to this change.
pub fn begin_flush(meta: &mut Meta, last: u32) -> Result<()> {
    // Where there is nothing older, it is the largest.
    let tier = if meta.segments.is_empty() { limits::TIERS - 1 } else { 0 };
    let into = meta.begin_segment(tier)?;
    meta.flush = Some(Merge::begun(into, Changes { first: meta.log_begins(), last }, meta.frozen.average()));
    Ok(())
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Flush,
    Merge,
}

impl Which {
    fn of(self, meta: &mut Meta) -> &mut Option<Merge> {
        match self {
            Which::Flush => &mut meta.flush,
            Which::Merge => &mut meta.merge,
        }
    }
}

/// What a slice of a merge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    pub bytes: u64,
    /// It is whole, and stands in place of what it was made of.
    pub is_whole: bool,
}

/// Goes on with a merge until so many bytes are written.
pub fn advance(
    store: &mut impl Store,
    (meta, which): (&mut Meta, Which),
    (sources, documents): (&[Source], &Documents),
    how: (Shape, &Weights),
    budget_bytes: u64,
) -> Result<Advanced> {
    let Some(mut merge) = which.of(meta).take() else { return Ok(Advanced { bytes: 0, is_whole: true }) };
    let inputs: Vec<Source> =
        sources.iter().filter(|source| merge.changes.has(source.segment.changes)).cloned().collect();
    let mut bytes = 0;
    if let Done::Terms { is_begun } = merge.done {
        bytes = terms(store, &mut merge, (documents, &inputs), how, (is_begun, budget_bytes))?;
    }
    if matches!(merge.done, Done::Documents { .. }) && bytes < budget_bytes {
        let told = told(store, documents, merge.changes, &inputs)?;
        let told = documents_of(store, &mut merge, told, budget_bytes - bytes)?;
        bytes += told.bytes;
        if told.is_whole {
            finish(store, meta, &merge, told.documents, &inputs)?;
            return Ok(Advanced { bytes, is_whole: true });
        }
    }
    *which.of(meta) = Some(merge);
    Ok(Advanced { bytes, is_whole: false })
}

/// Several segments as one in memory.
pub fn in_memory(inputs: &[Source], (documents, average): (&Documents, f32), how: (Shape, &Weights)) -> Result<Source> {
    let changes = inputs.iter().map(|source| source.segment.changes);
    let changes = changes.reduce(|all, next| Changes { first: all.first, last: next.last }).unwrap_or_default();
    let mut merge = Merge::begun(0, changes, average);
    let mut rows = Held::default();
    terms(&mut rows, &mut merge, (documents, inputs), how, (false, u64::MAX))?;
    let told = told(&rows, documents, changes, inputs)?;
    let documents = told.len() as u32;
    documents::write(&mut rows, 0, told.into_iter())?;
    let stamp = inputs.last().map_or([0; 16], |source| source.segment.stamp);
    Ok(Source::held(Segment { id: 0, changes, documents, average, stamp }, rows))
}

/// Goes on with the terms; gives the bytes written.
fn terms(
    rows: &mut impl RowsMut,
    merge: &mut Merge,
    (documents, inputs): (&Documents, &[Source]),
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
            let how = (std::mem::take(&mut is_begun).then_some(merge.changes), left);
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
    found: &Found<'_>,
    documents: &Documents,
    shape: Shape,
    into: &mut Postings,
) -> Result<i64> {
    let (mut more, mut lists) = (0, Vec::new());
    for (source, row) in found {
        more += row.more;
        let mut read = Postings::default();
        match &row.postings {
            Place::Nowhere => continue,
            Place::Here(list) => posting::read_all(list, shape, &mut read)?,
            Place::List(list, _) => list::read_all(source.rows(rows), (source.segment.id, *list), shape, &mut read)?,
        }
        lists.push((source.segment.changes, read, 0));
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
fn told(rows: &dyn Rows, documents: &Documents, changes: Changes, inputs: &[Source]) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    for source in inputs {
        documents::read(source.rows(rows), &source.segment, |(document, length)| {
            // What newer segments tell of is theirs to tell; and below the oldest there is nothing to hide.
            let newest = documents.length_if_newest(document, source.segment.changes).is_some();
            if newest && (length.is_some() || changes.first > 1) {
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
fn finish(store: &mut impl Store, meta: &mut Meta, merge: &Merge, documents: u32, inputs: &[Source]) -> Result<()> {
    let stamp = inputs.last().map_or([0; 16], |source| source.segment.stamp);
    let segment = Segment { id: merge.into, changes: merge.changes, documents, average: merge.average, stamp };
    let of_it = |segment: &Segment| merge.changes.has(segment.changes);
    let lanes: u32 = meta.segments.iter().filter(|one| of_it(one)).fold(0, |lanes, one| lanes | 1 << lane_of(one.id));
    let at = meta.segments.iter().position(of_it).unwrap_or(meta.segments.len());
    meta.segments.retain(|one| !of_it(one));
    meta.segments.insert(at, segment);
    // All of a lane is merged at once, and its successor goes elsewhere.
    let lanes = (0..limits::LANES).filter(|lane| lanes >> lane & 1 == 1 && *lane != lane_of(merge.into));
    lanes.into_iter().try_for_each(|lane| store.clear_lane(lane))
}

/// A term's rows, the oldest segment's first.
type Found<'a> = Vec<(&'a Source, TermRow)>;

/// The terms of several segments in order, each with its rows.
pub struct Terms<'a> {
    inputs: Vec<Input<'a>>,
}

struct Input<'a> {
    source: &'a Source,
    ahead: VecDeque<(Vec<u8>, TermRow)>,
    from: Vec<u8>,
    ended: bool,
}

const READ_AHEAD: usize = 128;

impl<'a> Terms<'a> {
    pub fn new(sources: &'a [Source], from: &[u8]) -> Terms<'a> {
        let input = |source| Input { source, ahead: VecDeque::new(), from: from.to_vec(), ended: false };
        Terms { inputs: sources.iter().map(input).collect() }
    }

    pub fn next(&mut self, rows: &dyn Rows) -> Result<Option<(Vec<u8>, Found<'a>)>> {
        for input in &mut self.inputs {
            input.refill(rows)?;
        }
        let first = self.inputs.iter().filter_map(|input| input.ahead.front()).map(|(term, _)| term).min();
        let Some(first) = first.cloned() else { return Ok(None) };
        let mut found = Vec::new();
        for input in &mut self.inputs {
            if input.ahead.front().is_some_and(|(term, _)| *term == first)
                && let Some((_, row)) = input.ahead.pop_front()
            {
                found.push((input.source, row));
            }
        }
        Ok(Some((first, found)))
    }
}

impl Input<'_> {
    fn refill(&mut self, rows: &dyn Rows) -> Result<()> {
        if !self.ahead.is_empty() || self.ended {
            return Ok(());
        }
        let ahead = &mut self.ahead;
        dictionary::scan(self.source.rows(rows), self.source.segment.id, &self.from, &mut |term, row| {
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
