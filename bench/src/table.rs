//! The Markdown table of a report. Losing numbers are listed like any other.

use std::fmt::Write;

use anyhow::Result;

use crate::columns::Kind;
use crate::contender::Checked;
use crate::report::{CaseReport, Report};
use crate::steps;
use crate::targets::Bound;
use crate::value::{Formula, Metric, Row, RowName, evaluate, find};

/// Beside more than this share of the machine going to others, a run says little.
const OTHERS_SHARE_NOTED: f64 = 0.05;
const NOT_MEASURED: &str = "–";

/// Fails if a row is missing.
pub fn markdown(report: &Report) -> Result<String> {
    let mut text = format!("# {}\n\n{}\n\n", report.bench, report.about);
    let _ = writeln!(text, "![{0}]({0}.svg)\n", report.bench);
    for case in report.cases.iter().filter(|case| case.kind != Kind::Step) {
        write_case(&mut text, report, case)?;
    }
    let steps = steps::table(report)?;
    if !steps.is_empty() {
        let _ = writeln!(text, "## Rising load\n\n{steps}\nMedians, where a contender was there more than once.\n");
    }
    write_targets(&mut text, report);
    write_circumstances(&mut text, report);
    Ok(text)
}

fn write_case(text: &mut String, report: &Report, case: &CaseReport) -> Result<()> {
    let _ = writeln!(text, "## {}\n\n{}\n", case.name, case.about);
    for contender in &case.contenders {
        let missing = contender.missing.as_ref().map(|why| format!(". **Not measured**: {why}")).unwrap_or_default();
        let _ = writeln!(text, "- **{}**: {}{missing}", contender.name, contender.about);
    }
    let columns = case.kind.columns();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let _ = writeln!(text, "\n| | {} |\n|---|{}", titles.join(" | "), "---:|".repeat(titles.len()));
    for contender in &case.contenders {
        let mut cells = Vec::new();
        for column in columns {
            let name = RowName { case: &case.name, contender: &contender.name, metric: column.metric };
            let shown = column.needed && contender.missing.is_none() || find(&report.rows, name).is_ok();
            cells.push(if shown { cell(&report.rows, name, &case.limit)? } else { NOT_MEASURED.to_owned() });
        }
        let _ = writeln!(text, "| {} | {} |", contender.name, cells.join(" | "));
    }
    let of_case = report.samples.iter().filter(|sample| sample.case == case.name);
    let rounds = of_case.map(|sample| sample.round).max().unwrap_or(0);
    if rounds == 0 {
        text.push('\n');
        return Ok(());
    }
    let _ = write!(text, "\nMedian (min to max) of {rounds} rounds");
    if case.present().count() > 1 {
        let _ = write!(text, ", and the ratio to {}", case.limit);
    }
    text.push('.');
    if let Some(load) = &case.load {
        let rate = number(load.arrival_rate_rps);
        let _ = write!(text, " Latencies at {rate} requests a second. {}", answers(&load.answers));
    }
    text.push_str("\n\n");
    write_refusals(text, report, case);
    let of_case = |row: &&Row| row.case == case.name && row.metric == Metric::OthersCpu;
    let others = report.rows.iter().filter(of_case).map(|row| row.max).fold(0.0, f64::max);
    if others > OTHERS_SHARE_NOTED {
        let percent = number((others * 100.0).round());
        let _ = writeln!(text, "**Other processes took up to {percent} % of the machine in some round.**\n");
    }
    Ok(())
}

/// Who told some to come again. Most never do.
fn write_refusals(text: &mut String, report: &Report, case: &CaseReport) {
    for contender in case.present() {
        let most = |metric| {
            let name = RowName { case: &case.name, contender: &contender.name, metric };
            find(&report.rows, name).map_or(0.0, |row| row.max)
        };
        let (closed, open) = (most(Metric::RefusedClosed), most(Metric::RefusedOpen));
        if closed + open > 0.0 {
            let _ = writeln!(
                text,
                "**{} refused up to {} requests a round at the peak, which came again when they were told to, and up to {} \
                 at the fixed rate.** They are in no other figure but its CPU.\n",
                contender.name,
                number(closed),
                number(open),
            );
        }
    }
}

fn cell(rows: &[Row], name: RowName<'_>, limit: &str) -> Result<String> {
    let row = find(rows, name)?;
    let spread = format!("{} ({} to {})", number(row.median), number(row.min), number(row.max));
    if name.contender == limit || !name.metric.is_compared() {
        return Ok(spread);
    }
    // A median of nothing has no ratio: a contender so fast that the clock ticks did not notice it. Nor has a limit of
    // which this was not measured.
    match evaluate(rows, Formula::Ratio(name, RowName { contender: limit, ..name })) {
        Ok(ratio) => Ok(format!("{spread} x{ratio:.2}")),
        Err(_) => Ok(spread),
    }
}

fn answers(checked: &Checked) -> String {
    match checked {
        Checked::Same { requests, bytes_mean, .. } => {
            let mean = number(*bytes_mean);
            format!("All answered the same bytes, checked over {requests} requests of {mean} bytes on average.")
        }
        Checked::Differ { why, bytes_mean } => {
            let means: Vec<String> =
                bytes_mean.iter().map(|(name, mean)| format!("{name} {}", number(*mean))).collect();
            format!("Their answers are not the same bytes: {why} Bytes on average: {}.", means.join(", "))
        }
    }
}

fn write_targets(text: &mut String, report: &Report) {
    if report.targets.is_empty() {
        return;
    }
    text.push_str("## Targets\n\n| | target | value | |\n|---|---:|---:|---|\n");
    for judged in &report.targets {
        let target = match judged.target {
            Bound::AtLeast(least) => format!("at least {}", number(least)),
            Bound::AtMost(most) => format!("at most {}", number(most)),
        };
        let met = if judged.met { "met" } else { "**missed**" };
        let _ = writeln!(
            text,
            "| {} | {target} | {} | {met} |",
            judged.name,
            judged.value.map_or(NOT_MEASURED.to_owned(), number)
        );
    }
    text.push('\n');
}

fn write_circumstances(text: &mut String, report: &Report) {
    let (machine, settings) = (&report.machine, &report.settings);
    let versions: Vec<String> = report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = write!(
        text,
        "{}, {} cores shared with the load generator, {} MiB, Linux {}.",
        machine.cpu, machine.cores, machine.memory_mib, machine.kernel,
    );
    if report.cases.iter().any(|case| case.load.is_some()) {
        let _ = write!(
            text,
            " {} connections, {} s closed loop and {} s open loop a round.",
            settings.connections, settings.seconds, settings.seconds,
        );
    }
    let _ = writeln!(text, " {}. Raw samples: [{1}.json]({1}.json).", versions.join("; "), report.bench);
}

/// Three significant digits or the whole number, with thousands set apart.
pub fn number(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 || value == value.trunc() {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::from(if digits.len() < whole.len() { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::small;
    use crate::targets::Judged;

    #[test]
    fn numbers() {
        let written = [0.0, 3.25159, 42.0, 42.55, 999.6, 1234567.8, -1234.0].map(number);
        assert_eq!(written, ["0", "3.25", "42", "42.5", "1,000", "1,234,568", "-1,234"]);
    }

    #[test]
    fn a_case_is_a_table_with_ratios_to_its_limit() {
        let text = markdown(&small()).unwrap();
        assert!(text.contains("| nearside | 80,000 (79,000 to 90,000) x0.80 | 8 (7.50 to 8.50) x1.60 |"), "{text}");
        assert!(text.contains("| hyper | 100,000 (99,000 to 101,000) | 5 "), "{text}");
        assert!(text.contains("Latencies at 40,000 requests a second. All answered the same bytes"), "{text}");
        assert!(text.contains("| 20 (20 to 20) |"), "{text}");
        assert!(!text.contains("## Targets") && !text.contains("Other processes"));
    }

    #[test]
    fn a_missed_target_is_shown() {
        let mut report = small();
        report.targets =
            vec![Judged { name: "throughput".into(), target: Bound::AtLeast(0.9), value: Some(0.8), met: false }];
        assert!(markdown(&report).unwrap().contains("| throughput | at least 0.90 | 0.80 | **missed** |"));
    }

    #[test]
    fn a_missing_row_is_an_error_not_a_gap() {
        let mut report = small();
        report.rows.retain(|row| row.metric != Metric::LatencyMax);
        assert!(markdown(&report).is_err());
    }

    #[test]
    fn a_run_that_was_disturbed_says_so() {
        let mut report = small();
        for row in report.rows.iter_mut().filter(|row| row.metric == Metric::OthersCpu) {
            row.max = 0.31;
        }
        assert!(markdown(&report).unwrap().contains("Other processes took up to 31 % of the machine"));
    }

    #[test]
    fn who_was_refused_is_told() {
        let mut report = small();
        assert!(!markdown(&report).unwrap().contains("refused"));
        let ours = report.samples.iter_mut().filter(|sample| sample.contender == "nearside");
        for (sample, refused) in ours.zip([2.0, 9.0, 0.0]) {
            sample.values.insert(Metric::RefusedClosed, refused);
        }
        let text = markdown(&report.concluded().unwrap()).unwrap();
        assert!(text.contains("nearside refused up to 9 requests a round at the peak"), "{text}");
        assert!(text.contains("up to 0 at the fixed rate") && !text.contains("hyper refused"), "{text}");
    }

    #[test]
    fn who_was_not_there_and_what_was_not_measured_are_gaps_that_say_so() {
        let mut report = small();
        let case = &mut report.cases[0];
        case.kind = Kind::Change;
        case.load = None;
        case.contenders[1].missing = Some("it could not be built".to_owned());
        for (metric, value) in [(Metric::WireBytes, 7_000.0), (Metric::There, 300.0), (Metric::WrittenPages, 12.0)] {
            report.samples[0].values.insert(metric, value);
        }
        report.samples.truncate(1);
        let text = markdown(&report.concluded().unwrap()).unwrap();
        assert!(
            text.contains("| nearside | 7,000 (7,000 to 7,000) | 300 (300 to 300) | – | – | 12 (12 to 12) |"),
            "{text}"
        );
        assert!(text.contains("| hyper | – | – | – | – | – |"), "{text}");
        assert!(text.contains("**Not measured**: it could not be built") && !text.contains("closed loop"), "{text}");
    }
}
