//! The trail of traced writes: from their commits to the release that carries them, and from there to the nodes that pull it.
//!
//! In memory, and bounded: whose commit is forgotten before it is released, and whoever was committed before the last start, has
//! a trace that ends with the commit.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_host::spans::{Kind, Span, Traced};
use nearside_protocol::{
    limits,
    release::{Manifest, ReleaseId},
    trace_context::TraceContext,
};

use crate::press::Cost;

#[derive(Default)]
pub(crate) struct Trail {
    /// Old to new, until a release has them.
    commits: Mutex<VecDeque<(u64, Traced)>>,
    /// Old to new.
    releases: Mutex<VecDeque<(ReleaseId, TraceContext)>>,
}

impl Trail {
    fn commits(&self) -> MutexGuard<'_, VecDeque<(u64, Traced)>> {
        self.commits.lock().expect("BUG: nothing panics while holding traced commits")
    }

    fn releases(&self) -> MutexGuard<'_, VecDeque<(ReleaseId, TraceContext)>> {
        self.releases.lock().expect("BUG: nothing panics while holding traced releases")
    }

    /// This commit holds a write that is traced. Told before anyone hears of the commit.
    pub(crate) fn committed(&self, number: u64, traced: Traced) {
        let mut commits = self.commits();
        while commits.len() >= limits::TRACED_COMMITS {
            commits.pop_front();
        }
        commits.push_back((number, traced));
    }

    /// A release is made, and not announced yet: it goes into the trace of the first write that it carries, linked to all, and
    /// each of the others is linked to it.
    pub(crate) fn released(&self, manifest: &Manifest, cost: Option<Cost>) {
        let mut carried = self.carried(manifest.applied_commit).into_iter();
        let Some(first) = carried.next() else { return };
        let mut span = begin(&first, manifest, cost);
        let context = span.traced().context();
        span.link(first.context());
        for other in carried {
            span.link(other.context());
            begin(&other, manifest, cost).link(context);
        }
        let mut releases = self.releases();
        while releases.len() >= limits::TRACED_RELEASES {
            releases.pop_front();
        }
        releases.push_back((manifest.release, context));
    }

    fn carried(&self, applied_commit: u64) -> Vec<Traced> {
        let mut commits = self.commits();
        let until = commits.partition_point(|(number, _)| *number <= applied_commit);
        commits.drain(..until).map(|(_, traced)| traced).collect()
    }

    /// What whoever pulls this release goes on with.
    pub(crate) fn of(&self, release: ReleaseId) -> Option<TraceContext> {
        self.releases().iter().find(|(one, _)| *one == release).map(|(_, context)| *context)
    }
}

fn begin(traced: &Traced, manifest: &Manifest, cost: Option<Cost>) -> Span {
    let now = Instant::now();
    let took = Duration::from_millis(cost.map_or(0, |cost| cost.ms));
    let mut span = traced
        .span(Kind::Producer, format!("release {}", manifest.release))
        .since(now.checked_sub(took).unwrap_or(now))
        .with("nearside.app", manifest.app.clone())
        .with("nearside.release", manifest.release.to_string())
        .with("nearside.applied_commit", manifest.applied_commit);
    if let Some(cost) = cost {
        span.set("nearside.pages", cost.pages);
        span.set("nearside.bytes", cost.bytes);
    }
    span
}
