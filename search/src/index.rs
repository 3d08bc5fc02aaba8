//! An index as a whole: what a connection knows of it, changes, searches.

use crate::{
    batch::Batch,
    cursor::Scope,
    documents::{Changes, Documents},
    fault::{Fault, Result},
    find, limits, merge,
    meta::Meta,
    options::Options,
    plan::{Plan, plan},
    query::Query,
    rows::{Rows, RowsMut},
    score::{Norms, Statistics, length_of},
    segment,
    top::{Hit, Top},
};

/// What is remembered between statements, by one connection or by all of a release. It is bound to the contents by the first row, which every statement reads.
#[derive(Clone)]
pub struct Known {
    row: Vec<u8>,
    pub meta: Meta,
    pub documents: Documents,
    norms: Norms,
}

impl Known {
    /// What the index is now, by its first row; what was known of it before is used as far as it is of the same past.
    pub fn load(rows: &dyn Rows, row: &[u8], options: &Options, before: Option<&Known>) -> Result<Known> {
        let meta = Meta::read(row)?;
        if meta.options != options.digest() {
            return Err(Fault::Damaged("it was made for other columns or weights"));
        }
        // The changes that are known, when they are changes of this index.
        let same = |known: &&Known| {
            let (change, stamp) = (known.meta.next_change - 1, known.meta.stamp);
            meta.segments.iter().any(|segment| segment.changes.last == change && segment.stamp == stamp)
        };
        let (known, mut documents) = match before.filter(same) {
            Some(known) => (known.meta.next_change - 1, known.documents.clone()),
            None => (0, Documents::default()),
        };
        for segment in meta.segments.iter().filter(|segment| segment.changes.last > known) {
            documents.apply(rows, segment)?;
        }
        let norms = Norms::new(meta.frozen.average());
        Ok(Known { row: row.to_vec(), meta, documents, norms })
    }

    pub fn empty(options: &Options) -> Known {
        let meta = Meta::new(options.digest());
        let norms = Norms::new(meta.frozen.average());
        Known { row: meta.write(), meta, documents: Documents::default(), norms }
    }

    /// The first row, after a change.
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// Makes a batch part of the index, and goes on with merging.
    pub fn commit(&mut self, rows: &mut impl RowsMut, options: &Options, batch: Batch) -> Result<()> {
        let how = (options.shape(), &options.weights);
        let written = segment::append(rows, &mut self.meta, &mut self.documents, batch, how)?;
        let most = (2 * written).clamp(limits::MERGE_BYTES_LEAST, limits::MERGE_BYTES_MOST);
        let mut left = most.min(limits::COMMIT_BYTES.saturating_sub(written)).max(limits::MERGE_BYTES_LEAST);
        while left > 0 || self.meta.segments.len() > limits::SEGMENTS {
            if self.meta.merge.is_none() && !merge::begin(&mut self.meta)? {
                break;
            }
            // Over the number of segments that is possible, however much there is to write.
            let budget = if self.meta.segments.len() > limits::SEGMENTS { u64::MAX } else { left };
            let spent = merge::advance(rows, &mut self.meta, &self.documents, how, budget)?;
            left = left.saturating_sub(spent.max(1));
        }
        self.changed();
        Ok(())
    }

    /// Merges all segments into one.
    pub fn optimize(&mut self, rows: &mut impl RowsMut, options: &Options) -> Result<()> {
        let how = (options.shape(), &options.weights);
        while self.meta.merge.is_some() {
            merge::advance(rows, &mut self.meta, &self.documents, how, u64::MAX)?;
        }
        self.meta.frozen = self.meta.live.settled();
        if let [first, .., last] = &self.meta.segments[..] {
            let changes = Changes { first: first.changes.first, last: last.changes.last };
            merge::start(&mut self.meta, changes)?;
            merge::advance(rows, &mut self.meta, &self.documents, how, u64::MAX)?;
        }
        self.changed();
        Ok(())
    }

    fn changed(&mut self) {
        self.row = self.meta.write();
        self.norms = Norms::new(self.meta.frozen.average());
    }

    /// The best hits, the best first.
    pub fn best(&self, rows: &dyn Rows, options: &Options, query: &Query, most: usize) -> Result<Vec<Hit>> {
        let plan = plan(rows, &self.meta, query)?;
        let mut top = Top::new(most);
        for number in self.largest_first() {
            if let Some(mut clause) = plan.clause(self.scope(rows, options, number), number, false)? {
                find::search(&mut clause, &mut top)?;
            }
        }
        Ok(top.into_sorted())
    }

    /// The first hits by document, with their scores if they are asked for.
    pub fn all(
        &self,
        rows: &dyn Rows,
        options: &Options,
        query: &Query,
        (scored, most): (bool, usize),
    ) -> Result<Vec<Hit>> {
        let plan: Plan = plan(rows, &self.meta, query)?;
        let mut hits = Vec::new();
        for number in 0..self.meta.segments.len() {
            if let Some(mut clause) = plan.clause(self.scope(rows, options, number), number, true)? {
                find::first(&mut clause, (scored, most), |hit| hits.push(hit))?;
            }
        }
        // The first of each segment have the first of all among them.
        hits.sort_unstable_by_key(|hit| hit.document);
        hits.truncate(most);
        Ok(hits)
    }

    /// The largest segment sets the bar for the others.
    fn largest_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.meta.segments.len()).collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(self.meta.segments[*number].documents));
        numbers
    }

    pub fn scope<'a>(&'a self, rows: &'a dyn Rows, options: &'a Options, number: usize) -> Scope<'a> {
        let segment = &self.meta.segments[number];
        Scope {
            rows,
            documents: &self.documents,
            norms: &self.norms,
            weights: &options.weights,
            shape: options.shape(),
            text_columns: options.text_columns(),
            segment: segment.id,
            changes: segment.changes,
            averages: (segment.average, self.meta.frozen.average()),
            alone: self.meta.segments.len() == 1,
        }
    }
}

/// Counts a document that was as long as `before` and is as long as `now`.
pub fn count(live: &mut Statistics, before: Option<u8>, now: Option<u8>) {
    let tokens = |length: Option<u8>| length.map_or(0, |code| u64::from(length_of(code)));
    let gone = u64::from(before.is_some());
    live.documents = (live.documents + u64::from(now.is_some())).saturating_sub(gone);
    live.tokens = (live.tokens + tokens(now)).saturating_sub(tokens(before));
}
