//! What an app's requests lead to at this node: renders, queries, and what each named query costs. Counted by everybody who
//! renders, without a lock that they share, and told to the origin now and then.
//!
//! | module | what it holds |
//! |---|---|
//! | [`run`] | what one run of a statement took |
//! | [`query`] | the runs of one named query, added up |
//! | `samples` | parameters of the runs that read most |
//! | `sharded` | numbers that many threads add to |
//! | [`answered`] | answers, and how long their first byte took |
//! | [`versions`] | the counts of each app, by version |
//! | [`report`] | telling the origin |

pub mod answered;
pub mod query;
pub mod report;
pub mod run;
mod samples;
mod sharded;
pub mod versions;

use std::time::{Duration, Instant};

use http::StatusCode;
use nearside_protocol::{
    canary::Served,
    digest::Digest,
    heartbeat::ServedBeat,
    limits,
    query_report::{Counts, VersionCounted, Work},
    release::ReleaseId,
    times,
};

use crate::database::{Prepared, PreparedQueries};
use query::Counted;
use sharded::Sharded;

/// For whom something was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Render {
    Visitor,
    Included,
    Ahead,
}

const REQUESTS: usize = 0;
const RENDERS: usize = 1;
const INCLUDED: usize = 2;
const AHEAD: usize = 3;
const RENDER_NS: usize = 4;
const ASKED_AGAIN: usize = 5;
const SERVER_ERRORS: usize = 6;
const TIMES: usize = 7;

/// What visitors ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) requests: u64,
    /// What a render takes, on the whole.
    pub(crate) a_render: Duration,
}

/// The counts of one version of an app: of releases that differ in rows only.
pub struct AppCounts {
    fingerprint: Digest,
    release: ReleaseId,
    /// The canary that it is a candidate of.
    canary_ms: Option<u64>,
    since: Instant,
    work: Sharded<{ TIMES + limits::QUERY_TIME_BUCKETS }>,
    /// By name; a query's place is in its [`Prepared`].
    queries: Vec<(String, Counted)>,
}

impl AppCounts {
    pub fn new(
        fingerprint: Digest,
        release: ReleaseId,
        canary_ms: Option<u64>,
        queries: &PreparedQueries,
    ) -> AppCounts {
        let counted = queries.keys().take(limits::QUERIES_COUNTED).map(|name| (name.clone(), Counted::default()));
        let (since, work) = (Instant::now(), Sharded::default());
        AppCounts { fingerprint, release, canary_ms, since, work, queries: counted.collect() }
    }

    /// Of queries beyond those that are counted, nothing.
    pub fn of(&self, prepared: &Prepared) -> Option<&Counted> {
        self.queries.get(prepared.index).map(|(_, counted)| counted)
    }

    pub fn count_request(&self) {
        self.work.add(REQUESTS, 1);
    }

    /// The answer to a request for a page that was not sent at once. One that was has no error, and takes a microsecond: it is
    /// a request, and no more.
    pub fn count_answer(&self, status: StatusCode, took: Duration) {
        self.work.add(TIMES + times::bucket(took.as_nanos() as u64), 1);
        if status.is_server_error() {
            self.work.add(SERVER_ERRORS, 1);
        }
    }

    /// What the origin compares canaries by.
    pub fn served(&self) -> ServedBeat {
        let work = self.work.sums();
        let last = work.iter().rposition(|sum| *sum > 0).map_or(TIMES, |last| (last + 1).max(TIMES));
        let times = work[TIMES..last].to_vec();
        let served = Served { requests: work[REQUESTS], server_errors: work[SERVER_ERRORS], times };
        ServedBeat { canary_ms: self.canary_ms, served }
    }

    pub fn count_render(&self, whom: Render, took: Duration) {
        let number = match whom {
            Render::Visitor => RENDERS,
            Render::Included => INCLUDED,
            Render::Ahead => AHEAD,
        };
        self.work.add(number, 1);
        self.work.add(RENDER_NS, took.as_nanos() as u64);
    }

    pub fn count_asked_again(&self) {
        self.work.add(ASKED_AGAIN, 1);
    }

    pub(crate) fn demand(&self) -> Demand {
        let work = self.work.sums();
        let renders = work[RENDERS] + work[INCLUDED] + work[AHEAD];
        Demand { requests: work[REQUESTS], a_render: Duration::from_nanos(work[RENDER_NS] / renders.max(1)) }
    }

    /// All counts as they are now. Whoever counts meanwhile may be in some of them.
    pub fn counts(&self) -> Counts {
        let work = self.work.sums();
        Counts {
            work: Work {
                requests: work[REQUESTS],
                renders: work[RENDERS],
                included_renders: work[INCLUDED],
                ahead_renders: work[AHEAD],
                render_ns: work[RENDER_NS],
                asked_again: work[ASKED_AGAIN],
            },
            queries: self.queries.iter().map(|(name, counted)| (name.clone(), counted.counts())).collect(),
        }
    }

    /// The same as the origin is told it.
    fn told(&self) -> VersionCounted {
        let samples = self.queries.iter().map(|(name, counted)| (name.clone(), counted.samples()));
        VersionCounted {
            fingerprint: self.fingerprint,
            release: self.release,
            counting_for_ms: self.since.elapsed().as_millis() as u64,
            counts: self.counts(),
            samples: samples.filter(|(_, samples)| !samples.is_empty()).collect(),
        }
    }
}
