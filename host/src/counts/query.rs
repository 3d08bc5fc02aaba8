//! The runs of one named query, added up.

use std::sync::atomic::Ordering;

use nearside_protocol::{
    limits::QUERY_TIME_BUCKETS,
    query_report::{QueryCounts, Sample, Tally},
};

use super::{run::Run, samples::Samples, sharded::Sharded};
use crate::bindings::edge::types::Value;

/// Why a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Rendering,
    /// After a push, to see whether a stored response still stands.
    Again,
}

#[derive(Default)]
pub struct Counted {
    renders: Sharded<1>,
    rendering: Runs,
    again: Runs,
    samples: Samples,
}

impl Counted {
    pub fn count(&self, why: Why, run: &Run) {
        match why {
            Why::Rendering => self.rendering.add(run),
            Why::Again => self.again.add(run),
        }
    }

    /// It has run in one more render.
    pub fn count_render(&self) {
        self.renders.add(0, 1);
    }

    /// Remembers the parameters, if this run read more than others did.
    pub fn sample(&self, parameters: &[Value], run: &Run) {
        self.samples.consider(parameters, run);
    }

    pub fn counts(&self) -> QueryCounts {
        let [renders] = self.renders.sums();
        QueryCounts { renders, rendering: self.rendering.tally(), again: self.again.tally() }
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.samples.all()
    }
}

const RUNS: usize = 0;
const FAILED: usize = 1;
const ROWS: usize = 2;
const TIME_NS: usize = 3;
const PAGES: usize = 4;
const FETCHES: usize = 5;
const SCANNED_ROWS: usize = 6;
const SORTS: usize = 7;
const INDEXED_ROWS: usize = 8;
const STEPS: usize = 9;
const TIMES: usize = 10;

#[derive(Default)]
struct Runs(Sharded<{ TIMES + QUERY_TIME_BUCKETS }>);

impl Runs {
    fn add(&self, run: &Run) {
        let numbers = self.0.mine();
        let time_ns = run.time.as_nanos() as u64;
        let add = |number: usize, more: u64| {
            // Most are nothing most of the time.
            if more > 0 {
                numbers[number].fetch_add(more, Ordering::Relaxed);
            }
        };
        add(RUNS, 1);
        add(TIME_NS, time_ns);
        add(TIMES + Tally::bucket(time_ns), 1);
        add(FAILED, u64::from(run.rows.is_none()));
        add(ROWS, run.rows.unwrap_or(0));
        add(PAGES, run.pages);
        add(FETCHES, run.fetches);
        add(SCANNED_ROWS, run.steps.scanned_rows);
        add(SORTS, run.steps.sorts);
        add(INDEXED_ROWS, run.steps.indexed_rows);
        add(STEPS, run.steps.steps);
    }

    fn tally(&self) -> Tally {
        let sums = self.0.sums();
        let last = sums.iter().rposition(|sum| *sum > 0).map_or(TIMES, |last| (last + 1).max(TIMES));
        Tally {
            runs: sums[RUNS],
            failed: sums[FAILED],
            rows: sums[ROWS],
            time_ns: sums[TIME_NS],
            pages: sums[PAGES],
            fetches: sums[FETCHES],
            scanned_rows: sums[SCANNED_ROWS],
            sorts: sums[SORTS],
            indexed_rows: sums[INDEXED_ROWS],
            steps: sums[STEPS],
            times: sums[TIMES..last].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::counts::run::Steps;

    #[test]
    fn runs_add_up_apart_by_why_they_ran() {
        let counted = Counted::default();
        let run = |us: u64, rows| Run {
            time: Duration::from_micros(us),
            rows,
            pages: 3,
            fetches: 5,
            steps: Steps { scanned_rows: 100, ..Steps::default() },
        };
        assert_eq!(counted.counts(), QueryCounts::default());
        counted.count(Why::Rendering, &run(3, Some(7)));
        counted.count(Why::Rendering, &run(900_000_000, None));
        counted.count(Why::Again, &run(3, Some(1)));
        counted.count_render();
        let QueryCounts { renders, rendering, again } = counted.counts();
        assert_eq!((renders, rendering.runs, rendering.failed, rendering.rows), (1, 2, 1, 7));
        assert_eq!((rendering.pages, rendering.fetches, rendering.scanned_rows), (6, 10, 200));
        assert_eq!((rendering.times.len(), rendering.times[2]), (QUERY_TIME_BUCKETS, 1));
        assert_eq!((again.runs, again.rows, again.times.as_slice()), (1, 1, &[0, 0, 1][..]));
    }
}
