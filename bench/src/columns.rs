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

impl Kind {
    pub fn columns(self) -> &'static [Column] {
        match self {
            Kind::Load => LOAD,
            Kind::Change => CHANGE,
            Kind::Start => START,
            Kind::Disturbed => DISTURBED,
        }
    }

    pub fn panels(self) -> &'static [Panel] {
        match self {
            Kind::Load => LOAD_PANELS,
            Kind::Change => CHANGE_PANELS,
            Kind::Start => START_PANELS,
            Kind::Disturbed => DISTURBED_PANELS,
        }
    }
}
