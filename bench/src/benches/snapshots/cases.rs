//! What was measured, as the cases of a report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::beside::{Beside, Brought, ZSTD};
use super::node::Change;
use super::start::Started;
use crate::benches::Measured;
use crate::columns::Kind;
use crate::report::{CaseReport, Described, Sample};
use crate::value::Metric;

pub(super) const ONE_REVISED: &str = "1 row revised";
pub(super) const MANY_REVISED: &str = "200 rows revised";
pub(super) const MANY_ADDED: &str = "200 rows added";
pub(super) const REBUILT: &str = "rebuilt";
const START: &str = "start";
const NEARSIDE: &str = "nearside";

const CHANGES: [(&str, &str); 4] = [
    (ONE_REVISED, "A word in the title and in the body of one document, in one transaction."),
    (MANY_REVISED, "The same of 200 documents anywhere in the file."),
    (MANY_ADDED, "200 new documents."),
    (
        REBUILT,
        "The same rows in a file that was made anew, rows first and index last, pushed as the whole database. Nearside's \
         time counts from the start of the push.",
    ),
];

/// Samples as they come.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<Sample>);

impl Taken {
    pub(super) fn node(&mut self, case: &str, round: usize, change: &Change, pages: usize) {
        eprintln!(
            "  {case} {round}: {pages} pages, {} bytes, {:.1} ms, {:.0} pages written",
            change.wire_bytes,
            ms(change.there),
            change.written_pages,
        );
        let mut values = BTreeMap::from([
            (Metric::WireBytes, change.wire_bytes as f64),
            (Metric::There, ms(change.there)),
            (Metric::PagesChanged, pages as f64),
            (Metric::WrittenPages, change.written_pages),
        ]);
        if let Some(pause) = change.pause {
            values.insert(Metric::ThereAfterPause, ms(change.there.saturating_sub(pause)));
        }
        self.add(case, NEARSIDE, round, values);
    }

    pub(super) fn beside(&mut self, case: &str, contender: &str, round: usize, brought: &Brought) {
        let values =
            BTreeMap::from([(Metric::WireBytes, brought.wire_bytes as f64), (Metric::There, ms(brought.took))]);
        self.add(case, contender, round, values);
    }

    pub(super) fn start(&mut self, round: usize, started: &Started) {
        let mut values = started.resident.values();
        values.insert(Metric::Start, ms(started.after));
        self.add(START, NEARSIDE, round, values);
    }

    fn add(&mut self, case: &str, contender: &str, round: usize, values: BTreeMap<Metric, f64>) {
        let (case, contender) = (case.to_owned(), contender.to_owned());
        self.0.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
    }

    /// The cases of which there are samples.
    pub(super) fn measured(self, beside: &Beside) -> Measured {
        let node = |about: &str| Described { name: NEARSIDE.to_owned(), about: about.to_owned(), missing: None };
        let change = |(name, about): (&str, &str)| CaseReport {
            name: name.to_owned(),
            about: about.to_owned(),
            kind: Kind::Change,
            limit: ZSTD.to_owned(),
            contenders: [node("from the answer of the write to the node's page that shows it")]
                .into_iter()
                .chain(beside.described())
                .collect(),
            load: None,
        };
        let start = CaseReport {
            name: START.to_owned(),
            about: "A node that was killed starts again with what is on its disk, which the machine may still have in \
                    memory: from the start of the process to the first page."
                .to_owned(),
            kind: Kind::Start,
            limit: NEARSIDE.to_owned(),
            contenders: vec![node("a node")],
            load: None,
        };
        let cases = CHANGES.into_iter().map(change).chain([start]);
        let taken = |case: &CaseReport| self.0.iter().any(|sample| sample.case == case.name);
        (cases.filter(taken).collect(), self.0)
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
