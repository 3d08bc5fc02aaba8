//! Rising load: what all contenders did at each of several rates, as one table and as curves over the rate.

use std::fmt::Write;

use anyhow::Result;

use crate::columns::Kind;
use crate::report::{CaseReport, Report};
use crate::table::number;
use crate::value::{Metric, RowName, find};

/// The steps among the cases of a report, from low to high.
pub fn of(report: &Report) -> impl Iterator<Item = &CaseReport> {
    report.cases.iter().filter(|case| case.kind == Kind::Step)
}

/// One row for each rate and contender. Empty without steps.
pub fn table(report: &Report) -> Result<String> {
    if of(report).next().is_none() {
        return Ok(String::new());
    }
    let columns = [
        (Metric::FirstByteP50, "first byte, p50 ms"),
        (Metric::FirstByteP99, "p99 ms"),
        (Metric::PagesP99, "of pages, p99 ms"),
        (Metric::Failed, "failed"),
        (Metric::CpuOpen, "CPU us a request"),
        (Metric::QueriesRequest, "queries a request"),
        (Metric::SeenP50, "a review is seen elsewhere after, ms"),
        (Metric::WorkLeft, "all is done after, s"),
        (Metric::GeneratorCpu, "generator's core, %"),
    ];
    let titles: Vec<&str> = columns.iter().map(|(_, title)| *title).collect();
    let mut text = format!("| requests/s | | {} |\n|---:|---|{}\n", titles.join(" | "), "---:|".repeat(titles.len()));
    for case in of(report) {
        for contender in case.present() {
            let name = |metric| RowName { case: &case.name, contender: &contender.name, metric };
            let rate = number(find(&report.rows, name(Metric::Rate))?.median);
            let cell = |metric| find(&report.rows, name(metric)).map_or("–".to_owned(), |row| number(row.median));
            let cells: Vec<String> = columns.iter().map(|(metric, _)| cell(*metric)).collect();
            let _ = writeln!(text, "| {rate} | {} | {} |", contender.name, cells.join(" | "));
        }
    }
    Ok(text)
}

/// One contender's points, from low rates to high ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve<'r> {
    pub contender: &'r str,
    pub points: Vec<(f64, f64)>,
}

/// In the order in which the cases name them.
pub fn curves(report: &Report, metric: Metric) -> Result<Vec<Curve<'_>>> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for case in of(report) {
        for contender in &case.contenders {
            let at = match curves.iter().position(|curve| curve.contender == contender.name) {
                Some(at) => at,
                None => {
                    curves.push(Curve { contender: &contender.name, points: Vec::new() });
                    curves.len() - 1
                }
            };
            if contender.missing.is_none() {
                let name = |metric| RowName { case: &case.name, contender: &contender.name, metric };
                let value = |metric| find(&report.rows, name(metric)).map(|row| row.median);
                curves[at].points.push((value(Metric::Rate)?, value(metric)?));
            }
        }
    }
    Ok(curves)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::report::Sample;
    use crate::report::tests::small;

    /// Two contenders, of which one bends at the second step.
    pub fn rising() -> Report {
        let mut report = small();
        let (template, contenders) = (report.cases[0].clone(), ["nearside", "hyper"]);
        report.cases.clear();
        report.samples.clear();
        for (rate, present) in [(100.0, 2), (200.0, 2), (300.0, 1)] {
            let name = format!("{rate} a second");
            let mut case = CaseReport { name: name.clone(), kind: Kind::Step, load: None, ..template.clone() };
            case.contenders.sort_by_key(|described| contenders.iter().position(|name| *name == described.name));
            for (at, described) in case.contenders.iter_mut().enumerate() {
                if at >= present {
                    described.missing = Some("it had bent before".to_owned());
                    continue;
                }
                let values =
                    [(Metric::Rate, rate), (Metric::FirstByteP99, rate * (at + 1) as f64), (Metric::CpuOpen, 7.0)];
                let (case, contender) = (name.clone(), described.name.clone());
                let values = values.into();
                report.samples.push(Sample {
                    case,
                    contender,
                    round: 1,
                    closed_requests: None,
                    open_requests: None,
                    values,
                });
            }
            report.cases.push(case);
        }
        report.concluded().unwrap()
    }

    #[test]
    fn a_row_for_each_rate_and_who_was_there() {
        let text = table(&rising()).unwrap();
        assert_eq!(text.lines().count(), 2 + 5, "{text}");
        assert!(text.contains("| 200 | hyper | – | 400 |"), "{text}");
        assert_eq!(table(&small()).unwrap(), "");
    }

    #[test]
    fn a_curve_ends_where_its_contender_bent() {
        let report = rising();
        let curves = curves(&report, Metric::FirstByteP99).unwrap();
        assert_eq!(curves[0].points, [(100.0, 100.0), (200.0, 200.0), (300.0, 300.0)]);
        assert_eq!((curves[1].contender, curves[1].points.len()), ("hyper", 2));
    }
}
