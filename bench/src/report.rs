//! What a run leaves behind: `docs/bench/NAME.json`, from which the table and the chart are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::columns::Kind;
use crate::contender::Checked;
use crate::machine::Machine;
use crate::percentile::spread;
use crate::targets::{Judged, TARGETS, judge};
use crate::value::{Metric, Row};
use crate::{chart, table};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub bench: String,
    pub about: String,
    pub machine: Machine,
    pub versions: BTreeMap<String, String>,
    pub settings: Settings,
    pub cases: Vec<CaseReport>,
    pub rows: Vec<Row>,
    pub targets: Vec<Judged>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub rounds: usize,
    pub seconds: f64,
    pub connections: usize,
    pub load_threads: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseReport {
    pub name: String,
    pub about: String,
    #[serde(default)]
    pub kind: Kind,
    pub limit: String,
    pub contenders: Vec<Described>,
    /// Of a case of servers under load, and of no other.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    pub answers: Checked,
    /// What the first, discarded round gave each contender, in requests a second, and the open-loop rate it led to.
    pub calibration_rps: Vec<(String, f64)>,
    pub arrival_rate_rps: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    pub name: String,
    pub about: String,
    /// Why nothing was measured of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Everything measured of one contender in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub case: String,
    pub contender: String,
    pub round: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_requests: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_requests: Option<u64>,
    pub values: BTreeMap<Metric, f64>,
}

/// One row for each metric of each contender of each case, in the order of the samples' first appearance.
pub fn rows(samples: &[Sample]) -> Vec<Row> {
    type Name<'s> = (&'s str, &'s str, Metric);
    let mut order: Vec<Name<'_>> = Vec::new();
    let mut measured: BTreeMap<Name<'_>, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        for (metric, value) in &sample.values {
            let name = (sample.case.as_str(), sample.contender.as_str(), *metric);
            let values = measured.entry(name).or_default();
            if values.is_empty() {
                order.push(name);
            }
            values.push(*value);
        }
    }
    let row = |name: Name<'_>| {
        let spread = spread(measured.get(&name)?)?;
        let (case, contender, metric) = (name.0.to_owned(), name.1.to_owned(), name.2);
        Some(Row { case, contender, metric, median: spread.median, min: spread.min, max: spread.max })
    };
    order.into_iter().filter_map(row).collect()
}

impl CaseReport {
    /// Those of whom something was measured.
    pub fn present(&self) -> impl Iterator<Item = &Described> {
        self.contenders.iter().filter(|contender| contender.missing.is_none())
    }
}

impl Report {
    /// Fills in what follows from the samples.
    pub fn concluded(mut self) -> Result<Self> {
        self.rows = rows(&self.samples);
        self.targets = judge(TARGETS, &self.bench, &self.cases, &self.rows)?;
        Ok(self)
    }

    /// Writes `NAME.json`, `NAME.md` and `NAME.svg`; the last two from the JSON text, so that nothing else gets in.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).context("writing the report as JSON")? + "\n";
        let read: Report = serde_json::from_str(&json).context("reading the report back")?;
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        for (extension, text) in [("json", json), ("md", table::markdown(&read)?), ("svg", chart::svg(&read)?)] {
            let path = directory.join(format!("{}.{extension}", self.bench));
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A small report as its JSON, for the tests of the table and the chart too.
    pub fn small() -> Report {
        let report: Report = serde_json::from_str(include_str!("report_small.json")).unwrap();
        report.concluded().unwrap()
    }

    #[test]
    fn rows_are_medians_with_extremes() {
        let report = small();
        assert_eq!(report.rows.len(), 2 * 8);
        let row = report.rows.iter().find(|row| row.contender == "nearside" && row.metric == Metric::Throughput);
        let row = row.unwrap();
        assert_eq!((row.median, row.min, row.max), (80_000.0, 79_000.0, 90_000.0));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let (report, directory) = (small(), tempfile::tempdir().unwrap());
        report.write(directory.path()).unwrap();
        let text = fs::read_to_string(directory.path().join("small.json")).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(directory.path().join("small.md").exists() && directory.path().join("small.svg").exists());
    }
}
