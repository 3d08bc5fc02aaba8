//! What the table and the chart of a case show, by what kind of case it is.

use serde::{Deserialize, Serialize};

use crate::value::Metric;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Servers that answer the same requests.
    #[default]
    Load,
    /// Ways to bring one change of a database to another place.
    Change,
    /// A node that is started.
    Start,
    /// One server under the same load, left alone and not.
    Disturbed,
    /// Many who ask for one page at once.
    Crowd,
    /// Addresses asked for while the content changes.
    Carried,
    /// The same addresses while others are asked for once.
    Flood,
    /// More renders than can be made, beside hits.
    Overload,
    /// Clients that write, each waiting for its answer.
    Written,
    /// Work that waits in a store.
    Tasks,
    /// Visitors who browse, search and write, at one rate.
    Visited,
    /// The same, at one of several rates, each above the one before.
    Step,
    /// The rates that were too much.
    Bends,
    /// Search indexes over the same documents.
    Indexed,
    /// One class of queries of them.
    Asked,
    /// What edits change of them.
    Edited,
    /// More than one of several nodes can make.
    Uneven,
    /// A change on its way to many nodes.
    Reached,
    /// A node that comes back.
    Rejoined,
    /// Visitors of a region.
    Places,
    /// Many apps on one node.
    Density,
    /// Apps that are asked for the first time.
    Cold,
    /// A new version of an app.
    Version,
    /// Hits, alone and beside others.
    Mixed,
    /// One server with few cores and with many.
    Scaled,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub metric: Metric,
    pub title: &'static str,
    /// A contender without this row is an error, not a gap.
    pub needed: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Panel {
    pub metric: Metric,
    pub title: &'static str,
    /// The value at the left edge of a logarithmic scale, where a linear one would show only the longest bar.
    pub logarithmic_from: Option<f64>,
}

const fn needed(metric: Metric, title: &'static str) -> Column {
    Column { metric, title, needed: true }
}

const fn where_measured(metric: Metric, title: &'static str) -> Column {
    Column { metric, title, needed: false }
}

const fn linear(metric: Metric, title: &'static str) -> Panel {
    Panel { metric, title, logarithmic_from: None }
}

const LOAD: &[Column] = &[
    needed(Metric::Throughput, "requests/s"),
    needed(Metric::CpuClosed, "CPU us a request, at the peak"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::CpuOpen, "CPU us a request, at the fixed rate"),
    needed(Metric::SendLateP99, "of p99, sent late us"),
];

const CHANGE: &[Column] = &[
    needed(Metric::WireBytes, "bytes on the wire"),
    needed(Metric::There, "ms until it is there"),
    where_measured(Metric::ThereAfterPause, "ms without the pause"),
    where_measured(Metric::PagesChanged, "pages changed"),
    where_measured(Metric::WrittenPages, "pages written there"),
];

const START: &[Column] = &[
    needed(Metric::Start, "ms to the first answer"),
    needed(Metric::Resident, "MiB resident"),
    needed(Metric::ResidentAnonymous, "of it its own"),
    needed(Metric::ResidentFile, "of it files"),
];

const DISTURBED: &[Column] = &[
    needed(Metric::Requests, "requests"),
    needed(Metric::Failed, "failed"),
    needed(Metric::Mixed, "mixed"),
    needed(Metric::Releases, "releases served"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::CpuOpen, "CPU us a request"),
    needed(Metric::SendLateP99, "of p99, sent late us"),
];

const CROWD: &[Column] = &[
    needed(Metric::Renders, "renders"),
    needed(Metric::Alone, "one alone, ms"),
    needed(Metric::WaiterP50, "p50 ms"),
    needed(Metric::WaiterP50Over, "p50 over one alone, ms"),
    needed(Metric::WaiterMax, "max ms"),
    needed(Metric::Failed, "failed"),
];

const CARRIED: &[Column] = &[
    where_measured(Metric::HitsBefore, "hits before, %"),
    needed(Metric::Hits, "hits after, %"),
    where_measured(Metric::HitsLost, "points lost"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    where_measured(Metric::ByPages, "kept: pages untouched, %"),
    where_measured(Metric::ByRows, "kept: same rows, %"),
    where_measured(Metric::Ahead, "rendered ahead, %"),
    where_measured(Metric::OnDemand, "rendered on demand, %"),
    where_measured(Metric::SamePages, "pages that stayed the same"),
    where_measured(Metric::SameKept, "of them not rendered, %"),
    where_measured(Metric::Stale, "stale"),
    needed(Metric::Failed, "failed"),
];

const FLOOD: &[Column] = &[
    needed(Metric::HitsBefore, "hits before, %"),
    needed(Metric::Hits, "hits during, %"),
    needed(Metric::HitsLost, "points lost"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::HitsAfter, "hits after, %"),
    needed(Metric::Requests, "one-off requests"),
    needed(Metric::Failed, "failed"),
];

const OVERLOAD: &[Column] = &[
    needed(Metric::Peak, "peak, renders/s"),
    needed(Metric::Throughput, "in time at 3x, /s"),
    needed(Metric::UsualP99, "p99 at 80 %, us"),
    needed(Metric::LatencyP50, "p50 at 3x, us"),
    needed(Metric::LatencyP99, "p99 at 3x, us"),
    needed(Metric::HitsAloneP99, "hits alone, p99 us"),
    needed(Metric::HitsP99, "hits at 3x, p99 us"),
    needed(Metric::HitsFailed, "hits failed"),
    needed(Metric::UsualRate, "in time at 80 %, /s"),
    needed(Metric::AfterRate, "the same afterwards, /s"),
    needed(Metric::Requests, "renders asked for"),
    needed(Metric::Failed, "refused"),
];

const WRITTEN: &[Column] = &[
    needed(Metric::Throughput, "writes/s"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    where_measured(Metric::CpuClosed, "CPU us a write"),
];

const TASKS: &[Column] = &[
    needed(Metric::Tasks, "tasks"),
    needed(Metric::TasksPerSecond, "tasks/s"),
    needed(Metric::TasksPerCommit, "tasks a commit"),
    needed(Metric::CpuTask, "CPU us a task"),
];

const VISITED: &[Column] = &[
    needed(Metric::FirstByteP50, "first byte, p50 ms"),
    needed(Metric::FirstByteP99, "p99 ms"),
    needed(Metric::PagesP50, "of pages, p50 ms"),
    needed(Metric::PagesP99, "p99 ms"),
    where_measured(Metric::FormsP50, "of reviews, p50 ms"),
    where_measured(Metric::FormsP99, "p99 ms"),
    where_measured(Metric::OwnP50, "of the author's page, p50 ms"),
    where_measured(Metric::OwnP99, "p99 ms"),
    needed(Metric::Requests, "requests"),
    needed(Metric::Failed, "failed"),
    needed(Metric::CpuOpen, "CPU us a request"),
    where_measured(Metric::QueriesRequest, "queries a request"),
    needed(Metric::Hits, "from a cache, %"),
    where_measured(Metric::SeenP50, "a review is seen elsewhere after, p50 ms"),
    where_measured(Metric::SeenMax, "max ms"),
    where_measured(Metric::OwnShown, "seen by its author at once, %"),
    needed(Metric::NotTold, "not announced"),
    needed(Metric::Deferred, "taken for later"),
    needed(Metric::WorkLeft, "all is done after, s"),
    needed(Metric::GeneratorCpu, "generator's core, %"),
];

const BENDS: &[Column] = &[where_measured(Metric::BendsAt, "bends at, requests/s")];

const INDEXED: &[Column] = &[
    needed(Metric::BuildSeconds, "built in s"),
    needed(Metric::IndexMib, "MiB beside the text"),
    needed(Metric::BuildResident, "most MiB resident while built"),
    needed(Metric::ResidentAnonymous, "MiB held while asked"),
    where_measured(Metric::SearchMemory, "of it by the index, MiB"),
];

const ASKED: &[Column] = &[
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::Requests, "queries"),
];

const EDITED: &[Column] = &[
    needed(Metric::PushPagesMean, "pages a push, mean"),
    needed(Metric::PushPagesP99, "p99"),
    needed(Metric::PushPagesMost, "max"),
    needed(Metric::PushedMean, "bytes a push, mean"),
    needed(Metric::PushedP99, "p99"),
    needed(Metric::PushedMost, "max"),
];

const UNEVEN: &[Column] = &[
    needed(Metric::Peak, "one node's peak, /s"),
    needed(Metric::Requests, "asked for"),
    needed(Metric::Throughput, "in time, /s"),
    needed(Metric::Failed, "failed"),
    needed(Metric::BySibling, "made by a sibling, %"),
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
];

const REACHED: &[Column] = &[
    where_measured(Metric::ThereHalf, "ms until half have it"),
    needed(Metric::There, "ms until all have it"),
    needed(Metric::OriginBytes, "bytes the origin sent"),
    needed(Metric::SiblingBytes, "bytes siblings sent"),
];

const REJOINED: &[Column] = &[
    needed(Metric::WireBytes, "bytes"),
    where_measured(Metric::Objects, "objects"),
    where_measured(Metric::Missed, "releases missed"),
    where_measured(Metric::There, "ms until it has the newest"),
];

const PLACES: &[Column] = &[
    needed(Metric::FirstByteP50, "first byte, p50 ms"),
    needed(Metric::FirstByteP99, "p99 ms"),
    needed(Metric::NewConnectionP50, "on a new connection, p50 ms"),
];

const DENSITY: &[Column] = &[
    needed(Metric::Start, "ms until all are served"),
    needed(Metric::IdleCpu, "idle, % of a core"),
    needed(Metric::ResidentIdle, "idle, MiB resident"),
    needed(Metric::FirstAskedP50, "first of each app, p50 us"),
    needed(Metric::FirstAskedP99, "p99 us"),
    needed(Metric::LatencyP50, "any of them, p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::CpuOpen, "CPU us a request"),
    needed(Metric::Resident, "then, MiB resident"),
    needed(Metric::ResidentAnonymous, "of it its own"),
    needed(Metric::ResidentFile, "of it files"),
    needed(Metric::Failed, "failed"),
];

const COLD: &[Column] = &[
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::Requests, "requests"),
];

const VERSION: &[Column] = &[
    needed(Metric::SwitchMs, "ms from its file until it is served"),
    needed(Metric::RecordMs, "of it to record it, ms"),
    needed(Metric::There, "ms from the push until it is served"),
];

const MIXED: &[Column] = &[
    needed(Metric::LatencyP50, "p50 us"),
    needed(Metric::LatencyP99, "p99 us"),
    needed(Metric::LatencyMax, "max us"),
    needed(Metric::SendLateP99, "of p99, sent late us"),
    needed(Metric::Requests, "requests"),
    needed(Metric::Hits, "from the cache, %"),
    needed(Metric::Failed, "failed"),
    where_measured(Metric::RendersP99, "renders' p99 us"),
    where_measured(Metric::SearchesP50, "searches' p50 us"),
    where_measured(Metric::SearchesP99, "searches' p99 us"),
    where_measured(Metric::OthersFailed, "of these, failed"),
];

const SCALED: &[Column] = &[
    needed(Metric::Throughput, "requests/s"),
    needed(Metric::CpuClosed, "CPU us a request"),
    needed(Metric::LockWaits, "kernel locks waited for, a request"),
    needed(Metric::CoresInterrupted, "cores interrupted for memory, a request"),
    needed(Metric::FutexCalls, "futex calls, a request"),
    needed(Metric::Switches, "switches, a request"),
    needed(Metric::Faults, "faults, a request"),
];

const LOAD_PANELS: &[Panel] = &[
    linear(Metric::Throughput, "requests a second, more is better"),
    linear(Metric::LatencyP99, "p99 at the fixed rate, us, less is better"),
    linear(Metric::CpuClosed, "CPU us a request, less is better"),
];

const CHANGE_PANELS: &[Panel] = &[
    Panel {
        metric: Metric::WireBytes,
        title: "bytes on the wire, logarithmic, less is better",
        logarithmic_from: Some(1e3),
    },
    Panel {
        metric: Metric::There,
        title: "ms until it is there, logarithmic, less is better",
        logarithmic_from: Some(10.0),
    },
];

const START_PANELS: &[Panel] = &[
    linear(Metric::Start, "ms to the first answer, less is better"),
    linear(Metric::Resident, "MiB resident, less is better"),
];

const DISTURBED_PANELS: &[Panel] = &[
    linear(Metric::LatencyP50, "p50 at the fixed rate, us, less is better"),
    linear(Metric::LatencyP99, "p99 at the fixed rate, us, less is better"),
];

const CROWD_PANELS: &[Panel] = &[
    Panel { metric: Metric::WaiterP50, title: "p50, ms, logarithmic, less is better", logarithmic_from: Some(10.0) },
    Panel { metric: Metric::WaiterMax, title: "max, ms, logarithmic, less is better", logarithmic_from: Some(10.0) },
];

const CARRIED_PANELS: &[Panel] = &[
    linear(Metric::Hits, "hits after the push, %, more is better"),
    Panel { metric: Metric::LatencyP99, title: "p99, us, logarithmic, less is better", logarithmic_from: Some(100.0) },
];

const FLOOD_PANELS: &[Panel] = &[
    linear(Metric::Hits, "hits during the flood, %, more is better"),
    linear(Metric::HitsAfter, "hits after it, %, more is better"),
];

const OVERLOAD_PANELS: &[Panel] = &[
    linear(Metric::Throughput, "made in time at 3x, /s, more is better"),
    Panel {
        metric: Metric::LatencyP99,
        title: "p99 of those, us, logarithmic, less is better",
        logarithmic_from: Some(100.0),
    },
    Panel {
        metric: Metric::HitsP99,
        title: "hits, p99 us, logarithmic, less is better",
        logarithmic_from: Some(100.0),
    },
];

const WRITTEN_PANELS: &[Panel] = &[
    linear(Metric::Throughput, "writes a second, more is better"),
    Panel { metric: Metric::LatencyP99, title: "p99, us, logarithmic, less is better", logarithmic_from: Some(100.0) },
];

const TASKS_PANELS: &[Panel] = &[
    Panel {
        metric: Metric::TasksPerSecond,
        title: "tasks a second, logarithmic, more is better",
        logarithmic_from: Some(10.0),
    },
    linear(Metric::TasksPerCommit, "tasks a commit, more is better"),
];

const VISITED_PANELS: &[Panel] = &[
    Panel {
        metric: Metric::FirstByteP99,
        title: "p99 of first bytes, ms, logarithmic, less is better",
        logarithmic_from: Some(1.0),
    },
    linear(Metric::CpuOpen, "CPU us a request, less is better"),
    linear(Metric::SeenP50, "ms until others see a review, less is better"),
];

const BENDS_PANELS: &[Panel] = &[linear(Metric::BendsAt, "requests a second that are too many, more is better")];

const INDEXED_PANELS: &[Panel] = &[
    linear(Metric::BuildSeconds, "built in s, less is better"),
    linear(Metric::IndexMib, "MiB beside the text, less is better"),
];

const ASKED_PANELS: &[Panel] = &[
    Panel { metric: Metric::LatencyP50, title: "p50, us, logarithmic, less is better", logarithmic_from: Some(1.0) },
    Panel { metric: Metric::LatencyP99, title: "p99, us, logarithmic, less is better", logarithmic_from: Some(1.0) },
];

const EDITED_PANELS: &[Panel] = &[
    linear(Metric::PushPagesMean, "pages a push, mean, less is better"),
    linear(Metric::PushPagesMost, "the most pages of a push, less is better"),
    linear(Metric::PushedMean, "bytes a push, mean, less is better"),
];

const UNEVEN_PANELS: &[Panel] = &[
    linear(Metric::Throughput, "made in time, /s, more is better"),
    Panel {
        metric: Metric::LatencyP99,
        title: "p99 of those, us, logarithmic, less is better",
        logarithmic_from: Some(100.0),
    },
];

const REACHED_PANELS: &[Panel] = &[
    linear(Metric::There, "ms until all have it, less is better"),
    linear(Metric::OriginBytes, "bytes the origin sent, less is better"),
];

const REJOINED_PANELS: &[Panel] =
    &[Panel { metric: Metric::WireBytes, title: "bytes, logarithmic, less is better", logarithmic_from: Some(100.0) }];

const PLACES_PANELS: &[Panel] = &[
    linear(Metric::FirstByteP50, "first byte, p50 ms, less is better"),
    linear(Metric::NewConnectionP50, "on a new connection, p50 ms, less is better"),
];

const DENSITY_PANELS: &[Panel] = &[
    linear(Metric::Resident, "MiB resident, less is better"),
    linear(Metric::LatencyP99, "p99 at the fixed rate, us, less is better"),
    linear(Metric::Start, "ms until all are served, less is better"),
];

const COLD_PANELS: &[Panel] = &[linear(Metric::LatencyP50, "p50, us, less is better")];

const VERSION_PANELS: &[Panel] = &[linear(Metric::SwitchMs, "ms from its file until it is served, less is better")];

const MIXED_PANELS: &[Panel] = &[
    linear(Metric::LatencyP50, "hits' p50, us, less is better"),
    linear(Metric::LatencyP99, "hits' p99, us, less is better"),
];

const SCALED_PANELS: &[Panel] = &[
    linear(Metric::Throughput, "requests/s, more is better"),
    linear(Metric::CpuClosed, "CPU us a request, less is better"),
];

impl Kind {
    pub fn columns(self) -> &'static [Column] {
        match self {
            Kind::Load => LOAD,
            Kind::Change => CHANGE,
            Kind::Start => START,
            Kind::Disturbed => DISTURBED,
            Kind::Crowd => CROWD,
            Kind::Carried => CARRIED,
            Kind::Flood => FLOOD,
            Kind::Overload => OVERLOAD,
            Kind::Written => WRITTEN,
            Kind::Tasks => TASKS,
            Kind::Visited | Kind::Step => VISITED,
            Kind::Bends => BENDS,
            Kind::Indexed => INDEXED,
            Kind::Asked => ASKED,
            Kind::Edited => EDITED,
            Kind::Uneven => UNEVEN,
            Kind::Reached => REACHED,
            Kind::Rejoined => REJOINED,
            Kind::Places => PLACES,
            Kind::Density => DENSITY,
            Kind::Cold => COLD,
            Kind::Version => VERSION,
            Kind::Mixed => MIXED,
            Kind::Scaled => SCALED,
        }
    }

    pub fn panels(self) -> &'static [Panel] {
        match self {
            Kind::Load => LOAD_PANELS,
            Kind::Change => CHANGE_PANELS,
            Kind::Start => START_PANELS,
            Kind::Disturbed => DISTURBED_PANELS,
            Kind::Crowd => CROWD_PANELS,
            Kind::Carried => CARRIED_PANELS,
            Kind::Flood => FLOOD_PANELS,
            Kind::Overload => OVERLOAD_PANELS,
            Kind::Written => WRITTEN_PANELS,
            Kind::Tasks => TASKS_PANELS,
            Kind::Visited | Kind::Step => VISITED_PANELS,
            Kind::Bends => BENDS_PANELS,
            Kind::Indexed => INDEXED_PANELS,
            Kind::Asked => ASKED_PANELS,
            Kind::Edited => EDITED_PANELS,
            Kind::Uneven => UNEVEN_PANELS,
            Kind::Reached => REACHED_PANELS,
            Kind::Rejoined => REJOINED_PANELS,
            Kind::Places => PLACES_PANELS,
            Kind::Density => DENSITY_PANELS,
            Kind::Cold => COLD_PANELS,
            Kind::Version => VERSION_PANELS,
            Kind::Mixed => MIXED_PANELS,
            Kind::Scaled => SCALED_PANELS,
        }
    }
}
