//! What the project has promised itself, each a constant here and nowhere else. A missed one stays in the results, as
//! missed.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::value::{Formula, Row, evaluate};

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

/// None has been set yet.
pub const TARGETS: &[Target] = &[];

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
    use crate::value::{Metric, RowName};

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
