//! An index as a whole: what a connection knows of it, and how it is searched. `commit.rs` changes it.

use std::sync::Arc;

use crate::{
    cursor::Scope,
    documents::Documents,
    fault::{Fault, Result},
    find,
    log::{Position, Reader, Slot, stamp},
    meta::Meta,
    options::Options,
    plan::{Plan, plan},
    query::Query,
    record,
    rows::{Rows, Slots},
    score::{Norms, Statistics, length_of},
    source::{self, Source},
    top::{Hit, Top},
};

/// What is remembered between statements, by one connection or by all of a release. It is bound to the contents by the first
/// row, which every statement reads.
#[derive(Clone)]
pub struct Known {
    /// Where the first row is, and what it is.
    pub(crate) slot: u32,
    pub(crate) row: Vec<u8>,
    pub meta: Meta,
    pub documents: Documents,
    /// The segments, the oldest first, and behind them those that the log is in memory.
    pub sources: Vec<Source>,
    /// Where each change of the log begins.
    pub(crate) begins: Arc<Vec<(u32, Position)>>,
    pub(crate) norms: Norms,
}

impl Known {
    /// What the index is now, by its first row; what was known of it before is used as far as it is of the same past.
    pub fn load(
        rows: &(impl Rows + Slots),
        (slot, row): (u32, &[u8]),
        options: &Options,
        before: Option<&Known>,
    ) -> Result<Known> {
        let meta = Meta::read(Slot::read(row)?.meta)?;
        if meta.options != options.digest() {
            return Err(Fault::Damaged("it was made for other columns or weights"));
        }
        let mut known = Known {
            slot,
            row: row.to_vec(),
            documents: Documents::default(),
            sources: Vec::new(),
            begins: Arc::default(),
            norms: Norms::new(meta.frozen.average()),
            meta,
        };
        match before {
            Some(before) if known.goes_on_from(rows, options, before)? => {}
            _ => known.start_anew(rows, options)?,
        }
        Ok(known)
    }

    pub fn empty(options: &Options) -> Known {
        let meta = Meta::new(options.digest());
        Known {
            slot: 0,
            row: Vec::new(),
            documents: Documents::default(),
            sources: Vec::new(),
            begins: Arc::default(),
            norms: Norms::new(meta.frozen.average()),
            meta,
        }
    }

    /// The first row, after a change.
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// Where it is.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What all this takes in memory.
    pub fn bytes(&self) -> usize {
        self.documents.bytes() + self.sources.iter().map(Source::bytes).sum::<usize>()
    }

    fn start_anew(&mut self, rows: &(impl Rows + Slots), options: &Options) -> Result<()> {
        (self.documents, self.begins) = (Documents::default(), Arc::default());
        self.sources = self.meta.segments.iter().cloned().map(Source::kept).collect();
        for segment in &self.meta.segments {
            self.documents.apply(rows, segment)?;
        }
        let tail = self.meta.ring.tail;
        self.read_log(rows, options, (tail, self.meta.log_begins(), self.meta.stamp_before_log()))
    }

    /// From the changes that were known, when they are changes of this index and either all in segments now or none of the
    /// newest of them.
    fn goes_on_from(&mut self, rows: &(impl Rows + Slots), options: &Options, before: &Known) -> Result<bool> {
        let (change, stamp, log) = (before.meta.next_change - 1, before.meta.stamp, self.meta.log_begins());
        if change + 1 < log {
            let same = |last: (u32, [u8; 16])| last == (change, stamp);
            if !self.meta.segments.iter().any(|segment| same((segment.changes.last, segment.stamp))) {
                return Ok(false);
            }
            self.documents = before.documents.clone();
            self.sources = self.meta.segments.iter().cloned().map(Source::kept).collect();
            for segment in self.meta.segments.iter().filter(|segment| segment.changes.last > change) {
                self.documents.apply(rows, segment)?;
            }
            let tail = self.meta.ring.tail;
            self.read_log(rows, options, (tail, log, self.meta.stamp_before_log()))?;
            return Ok(true);
        }
        let straddles = |source: &&Source| source.segment.changes.first < log && source.segment.changes.last >= log;
        // What was in a segment when it was known is in the log, if that was taken back.
        let is_taken_back = before.meta.log_begins() > log;
        if is_taken_back
            || before.sources.iter().any(|source| source.is_held() && straddles(&source))
            || change >= self.meta.next_change
        {
            return Ok(false);
        }
        let Ok(last) = Slot::read(&before.row) else { return Ok(false) };
        let end = Position { slot: before.slot, offset: last.log.len() as u16 };
        // Another past may have other changes here, or none.
        let follows = match Reader::new(rows, self.meta.ring, self.slot, end).and_then(|mut reader| reader.next()) {
            Ok(Some(next)) => next.before == stamp && change + 1 < self.meta.next_change,
            Ok(None) => change + 1 == self.meta.next_change && self.meta.stamp == stamp,
            Err(_) => false,
        };
        if !follows {
            return Ok(false);
        }
        self.documents = before.documents.clone();
        (self.sources, self.begins) = (before.sources.clone(), before.begins.clone());
        self.moved();
        self.read_log(rows, options, (end, change + 1, stamp))?;
        Ok(true)
    }

    /// Takes the changes of the log from a place on into memory.
    fn read_log(
        &mut self,
        rows: &impl Slots,
        options: &Options,
        (at, mut change, mut before): (Position, u32, [u8; 16]),
    ) -> Result<()> {
        let mut reader = Reader::new(rows, self.meta.ring, self.slot, at)?;
        let mut begins = self.begins.to_vec();
        let (shape, average, flushed) = (options.shape(), self.meta.frozen.average(), self.flushed());
        while let Some(next) = reader.next()? {
            if next.before != before || change >= self.meta.next_change {
                return Err(Fault::Damaged("its log is not of its past"));
            }
            before = stamp(before, &next.body);
            let (told, said) = record::read(&next.body, shape)?;
            for (document, length) in &told {
                self.documents.tell(*document, *length, change)?;
            }
            begins.push((change, next.at));
            let how = (shape, &options.weights);
            let with = (&self.documents, average);
            self.sources.push(source::of_change((change, before), (&told, &said), with, how)?);
            source::settle(&mut self.sources, flushed, (&self.documents, average), how)?;
            change += 1;
        }
        self.begins = Arc::new(begins);
        if change != self.meta.next_change || before != self.meta.stamp {
            return Err(Fault::Damaged("changes are missing from its log"));
        }
        Ok(())
    }

    /// The last change that is on its way from the log into a segment.
    pub(crate) fn flushed(&self) -> u32 {
        self.meta.flush.as_ref().map_or(0, |flush| flush.changes.last)
    }

    /// The best hits, the best first.
    pub fn best(&self, rows: &dyn Rows, options: &Options, query: &Query, most: usize) -> Result<Vec<Hit>> {
        let plan = plan(rows, self, query)?;
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
        let plan: Plan = plan(rows, self, query)?;
        let mut hits = Vec::new();
        for number in 0..self.sources.len() {
            if let Some(mut clause) = plan.clause(self.scope(rows, options, number), number, true)? {
                find::first(&mut clause, (scored, most), |hit| hits.push(hit))?;
            }
        }
        // The first of each segment have the first of all among them.
        hits.sort_unstable_by_key(|hit| hit.document);
        hits.truncate(most);
        Ok(hits)
    }

    /// This document, if it is found.
    pub fn only(
        &self,
        rows: &dyn Rows,
        options: &Options,
        query: &Query,
        (document, scored): (u32, bool),
    ) -> Result<Option<Hit>> {
        let has = |source: &Source| self.documents.length_if_newest(document, source.segment.changes).is_some();
        let Some(number) = self.sources.iter().position(has) else { return Ok(None) };
        let plan = plan(rows, self, query)?;
        let Some(mut clause) = plan.clause(self.scope(rows, options, number), number, true)? else { return Ok(None) };
        if !clause.meets(document)? {
            return Ok(None);
        }
        Ok(Some(Hit { document, score: if scored { clause.score(document)? } else { 0 } }))
    }

    /// The largest segment sets the bar for the others.
    fn largest_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.sources.len()).collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(self.sources[*number].segment.documents));
        numbers
    }

    pub fn scope<'a>(&'a self, rows: &'a dyn Rows, options: &'a Options, number: usize) -> Scope<'a> {
        let segment = &self.sources[number].segment;
        Scope {
            rows: self.sources[number].rows(rows),
            documents: &self.documents,
            norms: &self.norms,
            weights: &options.weights,
            shape: options.shape(),
            text_columns: options.text_columns(),
            segment: segment.id,
            changes: segment.changes,
            averages: (segment.average, self.meta.frozen.average()),
            alone: self.sources.len() == 1,
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
