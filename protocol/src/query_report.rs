//! What named queries cost at the nodes, as the origin gathers it and shows it to operators.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/apps/{app}/queries` | [`Counted`], from a node | nothing |
//! | `GET /v1/apps/{app}/queries?window=hour&node=zurich-1` | | [`Queries`] |
//! | `POST /v1/apps/{app}/queries/advise` | [`Advise`] | [`Advice`], once indexes have been tried on a copy |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, release::ReleaseId, times};

/// What one process of a node has counted of an app since it started.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counted {
    pub node: String,
    /// Unlike that of any other process: numbers of the same one only grow.
    pub process: String,
    /// Old to new.
    pub versions: Vec<VersionCounted>,
}

/// Of releases that differ in rows only: with the same app, schema and settings, queries have the same plans.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VersionCounted {
    pub fingerprint: Digest,
    /// The first release of it that was served there.
    pub release: ReleaseId,
    pub counting_for_ms: u64,
    pub counts: Counts,
    /// By query, the runs that read most.
    pub samples: BTreeMap<String, Vec<Sample>>,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counts {
    pub work: Work,
    pub queries: BTreeMap<String, QueryCounts>,
}

/// What an app's requests led to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Requests for its routes, hits among them; not for its files.
    pub requests: u64,
    /// Renders for a visitor's request, of pages that another includes, and of what nobody has asked for yet.
    pub renders: u64,
    pub included_renders: u64,
    pub ahead_renders: u64,
    pub render_ns: u64,
    /// Stored responses whose questions were asked again after a push.
    pub asked_again: u64,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueryCounts {
    /// Renders in which it ran at least once.
    pub renders: u64,
    pub rendering: Tally,
    /// Runs after a push, to see whether a stored response still stands.
    pub again: Tally,
}

/// Runs of one query, added up.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tally {
    pub runs: u64,
    pub failed: u64,
    pub rows: u64,
    pub time_ns: u64,
    /// Different pages of each run.
    pub pages: u64,
    /// Pages as often as they were fetched.
    pub fetches: u64,
    /// Rows that were stepped over in full scans.
    pub scanned_rows: u64,
    pub sorts: u64,
    /// Rows put into an index that was made for one run.
    pub indexed_rows: u64,
    /// Of SQLite's machine.
    pub steps: u64,
    /// Runs by time: the first those below a microsecond, each next twice as long, the last all that are longer. Without the
    /// empty ones at the end.
    pub times: Vec<u64>,
}

/// One run's parameters, and what it took.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub parameters: Vec<Parameter>,
    pub time_ns: u64,
    pub fetches: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// Hexadecimal digits.
    Blob(String),
}

// --- Arithmetic -----------------------------------------------------------------------------------------------------

impl Work {
    fn both(self, other: &Work, with: impl Fn(u64, u64) -> u64) -> Work {
        Work {
            requests: with(self.requests, other.requests),
            renders: with(self.renders, other.renders),
            included_renders: with(self.included_renders, other.included_renders),
            ahead_renders: with(self.ahead_renders, other.ahead_renders),
            render_ns: with(self.render_ns, other.render_ns),
            asked_again: with(self.asked_again, other.asked_again),
        }
    }

    pub fn all_renders(&self) -> u64 {
        self.renders.saturating_add(self.included_renders).saturating_add(self.ahead_renders)
    }
}

impl Tally {
    fn both(&self, other: &Tally, with: impl Fn(u64, u64) -> u64) -> Tally {
        let times = times::both(&self.times, &other.times, &with);
        Tally {
            runs: with(self.runs, other.runs),
            failed: with(self.failed, other.failed),
            rows: with(self.rows, other.rows),
            time_ns: with(self.time_ns, other.time_ns),
            pages: with(self.pages, other.pages),
            fetches: with(self.fetches, other.fetches),
            scanned_rows: with(self.scanned_rows, other.scanned_rows),
            sorts: with(self.sorts, other.sorts),
            indexed_rows: with(self.indexed_rows, other.indexed_rows),
            steps: with(self.steps, other.steps),
            times,
        }
    }

    pub fn add(&mut self, other: &Tally) {
        *self = self.both(other, u64::saturating_add);
    }

    /// In which of `times` a run is counted.
    pub fn bucket(time_ns: u64) -> usize {
        times::bucket(time_ns)
    }

    /// The time, in nanoseconds, that this part of the runs did not exceed; as exactly as the buckets tell.
    pub fn time_ns_of(&self, part: f64) -> Option<u64> {
        times::time_ns_of(&self.times, part)
    }
}

impl QueryCounts {
    pub fn add(&mut self, other: &QueryCounts) {
        self.renders = self.renders.saturating_add(other.renders);
        self.rendering.add(&other.rendering);
        self.again.add(&other.again);
    }
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.work = self.work.both(&other.work, u64::saturating_add);
        for (name, counts) in &other.queries {
            self.queries.entry(name.clone()).or_default().add(counts);
        }
    }

    /// What was counted since these numbers of the same process; queries that did not run are left out.
    pub fn since(&self, before: &Counts) -> Counts {
        let less = u64::saturating_sub;
        let nothing = QueryCounts::default();
        let of = |(name, now): (&String, &QueryCounts)| {
            let before = before.queries.get(name).unwrap_or(&nothing);
            let counts = QueryCounts {
                renders: less(now.renders, before.renders),
                rendering: now.rendering.both(&before.rendering, less),
                again: now.again.both(&before.again, less),
            };
            (counts.rendering.runs + counts.again.runs > 0).then(|| (name.clone(), counts))
        };
        Counts { work: self.work.both(&before.work, less), queries: self.queries.iter().filter_map(of).collect() }
    }

    /// Runs of all queries, and rows they gave.
    pub fn runs(&self) -> u64 {
        self.queries.values().map(|counts| counts.rendering.runs + counts.again.runs).sum()
    }

    pub fn rows(&self) -> u64 {
        self.queries.values().map(|counts| counts.rendering.rows + counts.again.rows).sum()
    }
}

// --- What operators are shown ---------------------------------------------------------------------------------------

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Queries {
    pub app: String,
    /// Whose queries and plans these are.
    pub release: ReleaseId,
    pub window: Window,
    pub nodes: Vec<NodeHeard>,
    pub work: Work,
    /// All named queries, those that did not run too; by name.
    pub queries: Vec<QueryShown>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Since the nodes serve this version of the app.
    #[default]
    Version,
    /// Of that, the last hour.
    Hour,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeHeard {
    pub node: String,
    pub heard_ms_ago: u64,
    pub counting_for_ms: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueryShown {
    pub name: String,
    /// Where its statement begins in queries.sql.
    pub line: usize,
    pub sql: String,
    pub counts: QueryCounts,
    /// What its runs for renders were with the version before, all told.
    pub before: Option<Tally>,
    /// SQLite's plan on this release, drawn as a tree.
    pub plan: String,
    /// What is costly in it and not accepted by `-- allow:` nor small.
    pub costly: Vec<String>,
    pub samples: Vec<Sample>,
}

/// Which query to find an index for; those that cost most and read much when none is named.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advise {
    #[serde(default)]
    pub query: Option<String>,
    /// Instead of those sampled at the nodes.
    #[serde(default)]
    pub parameters: Option<Vec<Parameter>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Advice {
    pub app: String,
    pub release: ReleaseId,
    /// Where indexes are made: snapshot.sql, or what makes the file that is pushed.
    pub place: String,
    pub advised: Vec<Advised>,
    /// Queries that cost enough to be looked at and had no parameters to try them with.
    pub without_samples: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Advised {
    pub query: String,
    pub plan: String,
    pub before: Measured,
    pub index: Option<Proposed>,
    pub tried: Vec<Tried>,
}

/// An index with which the query reads at most half the pages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Proposed {
    pub sql: String,
    pub plan: String,
    pub after: Measured,
    /// Pages the index takes, and how long it took to make.
    pub index_pages: u64,
    pub made_in_ms: u64,
}

/// The others, and why they are not proposed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tried {
    pub sql: String,
    pub why_not: String,
    pub after: Option<Measured>,
}

/// The mean over all parameter sets: of times the median of several runs, on pages that are in memory.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub parameter_sets: u64,
    pub time_us: f64,
    pub pages: f64,
    pub fetches: f64,
    pub rows: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn tally(times_us: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for us in times_us {
            let bucket = Tally::bucket(us * 1_000);
            tally.times.resize(tally.times.len().max(bucket + 1), 0);
            tally.times[bucket] += 1;
            tally.runs += 1;
            tally.time_ns += us * 1_000;
        }
        tally
    }

    #[test]
    fn a_time_is_told_to_its_power_of_two() {
        assert_eq!((Tally::bucket(0), Tally::bucket(999), Tally::bucket(1_000), Tally::bucket(1_999)), (0, 0, 1, 1));
        assert_eq!(Tally::bucket(u64::MAX), limits::QUERY_TIME_BUCKETS - 1);
        assert_eq!(Tally::default().time_ns_of(0.5), None);
        let times: Vec<u64> = (0..1_000).map(|n| if n < 985 { 100 } else { 5_000 }).collect();
        let of = |part| tally(&times).time_ns_of(part).unwrap() / 1_000;
        assert!((64..=128).contains(&of(0.5)), "{}", of(0.5));
        assert!((4_096..=8_192).contains(&of(0.99)), "{}", of(0.99));
    }

    #[test]
    fn what_was_counted_between_two_reports_is_their_difference() {
        let counts = |runs: &[u64], requests| Counts {
            work: Work { requests, ..Work::default() },
            queries: [("a".to_owned(), QueryCounts { rendering: tally(runs), ..QueryCounts::default() })].into(),
        };
        let (first, second) = (counts(&[1, 20], 5), counts(&[1, 20, 300, 300], 9));
        let mut sum = first.clone();
        let since = second.since(&first);
        assert_eq!((since.work.requests, since.queries["a"].rendering.runs, since.runs()), (4, 2, 2));
        sum.add(&since);
        assert_eq!(sum, second);
        assert!(second.since(&second).queries.is_empty());
        // Nonsense is not a panic.
        assert_eq!(first.since(&second).work.requests, 0);
    }
}
