//! What the project has promised itself, each a constant here and nowhere else. A missed one stays in the results, as
//! missed.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::value::{Formula, Metric, Row, RowName, evaluate};

#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub bench: &'static str,
    pub name: &'static str,
    pub formula: Formula<'static>,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const SNAPSHOTS: &str = "snapshots";
const PUSHES: &str = "pushes";

/// Other ways to bring the same change, of which the smallest is compared with.
const BESIDE: &[&str] = &["copy", "zstd --patch-from", "sqlite3_rsync"];

const fn of(case: &'static str, contender: &'static str, metric: Metric) -> RowName<'static> {
    RowName { case, contender, metric }
}

const fn at_most(bench: &'static str, name: &'static str, formula: Formula<'static>, most: f64) -> Target {
    Target { bench, name, formula, bound: Bound::AtMost(most) }
}

/// Bytes on the wire over the fewest that any other way takes.
const fn wire(name: &'static str, case: &'static str) -> Target {
    at_most(SNAPSHOTS, name, Formula::RatioToLeast(of(case, "nearside", Metric::WireBytes), BESIDE), 1.2)
}

/// Pages written at the node over pages changed.
const fn written(name: &'static str, case: &'static str) -> Target {
    let (written, changed) = (of(case, "nearside", Metric::WrittenPages), of(case, "nearside", Metric::PagesChanged));
    at_most(SNAPSHOTS, name, Formula::Ratio(written, changed), 2.0)
}

const fn pushed(name: &'static str, formula: Formula<'static>, most: f64) -> Target {
    at_most(PUSHES, name, formula, most)
}

const fn p99_ratio(case: &'static str) -> Formula<'static> {
    Formula::Ratio(of(case, "pushed", Metric::LatencyP99), of(case, "calm", Metric::LatencyP99))
}

pub const TARGETS: &[Target] = &[
    wire("1 row revised: bytes on the wire over the fewest", "1 row revised"),
    wire("200 rows revised: bytes on the wire over the fewest", "200 rows revised"),
    wire("200 rows added: bytes on the wire over the fewest", "200 rows added"),
    wire("rebuilt: bytes on the wire over the fewest", "rebuilt"),
    written("1 row revised: pages written over changed", "1 row revised"),
    written("200 rows revised: pages written over changed", "200 rows revised"),
    written("200 rows added: pages written over changed", "200 rows added"),
    at_most(
        SNAPSHOTS,
        "200 rows revised: ms from commit to served, without the pause",
        Formula::Median(of("200 rows revised", "nearside", Metric::ThereAfterPause)),
        300.0,
    ),
    at_most(SNAPSHOTS, "start: ms to the first answer", Formula::Median(of("start", "nearside", Metric::Start)), 100.0),
    pushed("rendered: failed", Formula::Most(of("rendered", "pushed", Metric::Failed)), 0.0),
    pushed("rendered: mixed", Formula::Most(of("rendered", "pushed", Metric::Mixed)), 0.0),
    pushed("rendered: p99 over that without pushes", p99_ratio("rendered"), 1.5),
    pushed("cached: failed", Formula::Most(of("cached", "pushed", Metric::Failed)), 0.0),
    pushed("cached: mixed", Formula::Most(of("cached", "pushed", Metric::Mixed)), 0.0),
    pushed("cached: p99 over that without pushes", p99_ratio("cached"), 1.5),
];

/// A target beside what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub name: String,
    pub target: Bound,
    pub value: f64,
    pub met: bool,
}

impl Bound {
    pub fn met_by(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }
}

/// Judges the targets of one bench; fails if one names a row that was not measured.
pub fn judge(targets: &[Target], bench: &str, rows: &[Row]) -> Result<Vec<Judged>> {
    let of_bench = targets.iter().filter(|target| target.bench == bench);
    of_bench
        .map(|target| {
            let value = evaluate(rows, target.formula)?;
            Ok(Judged { name: target.name.to_owned(), target: target.bound, value, met: target.bound.met_by(value) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_stays_as_missed() {
        let name = RowName { case: "page", contender: "nearside", metric: Metric::LatencyP99 };
        let target = |bound| Target { bench: "hit", name: "p99", formula: Formula::Median(name), bound };
        let row = Row {
            case: "page".into(),
            contender: "nearside".into(),
            metric: Metric::LatencyP99,
            median: 3.0,
            min: 1.0,
            max: 9.0,
        };
        let targets = [target(Bound::AtMost(2.0)), target(Bound::AtMost(3.0)), target(Bound::AtLeast(4.0))];
        let judged = judge(&targets, "hit", std::slice::from_ref(&row)).unwrap();
        assert_eq!(judged.iter().map(|target| target.met).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(judged[0].value, 3.0);
        assert!(judge(&targets, "hit", &[]).is_err());
        assert!(judge(&targets, "other", &[row]).unwrap().is_empty());
    }
}
