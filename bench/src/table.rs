//! The Markdown table of a report. Losing numbers are listed like any other.

use std::fmt::Write;

use anyhow::Result;

use crate::contender::Checked;
use crate::report::{CaseReport, Report};
use crate::targets::Bound;
use crate::value::{Formula, Metric, Row, RowName, evaluate, find};

/// Beside more than this share of the machine going to others, a run says little.
const OTHERS_SHARE_NOTED: f64 = 0.05;

const COLUMNS: [(Metric, &str); 7] = [
    (Metric::Throughput, "requests/s"),
    (Metric::CpuClosed, "CPU us a request, at the peak"),
    (Metric::LatencyP50, "p50 us"),
    (Metric::LatencyP99, "p99 us"),
    (Metric::LatencyMax, "max us"),
    (Metric::CpuOpen, "CPU us a request, at the fixed rate"),
    (Metric::SendLateP99, "of p99, sent late us"),
];

/// Fails if a row is missing.
pub fn markdown(report: &Report) -> Result<String> {
    let mut text = format!("# {}\n\n{}\n\n", report.bench, report.about);
    let _ = writeln!(text, "![{0}]({0}.svg)\n", report.bench);
    for case in &report.cases {
        write_case(&mut text, report, case)?;
    }
    write_targets(&mut text, report);
    write_circumstances(&mut text, report);
    Ok(text)
}

fn write_case(text: &mut String, report: &Report, case: &CaseReport) -> Result<()> {
    let _ = writeln!(text, "## {}\n\n{}\n", case.name, case.about);
    for contender in &case.contenders {
        let _ = writeln!(text, "- **{}**: {}", contender.name, contender.about);
    }
    let titles: Vec<&str> = COLUMNS.iter().map(|(_, title)| *title).collect();
    let _ = writeln!(text, "\n| | {} |\n|---|{}", titles.join(" | "), "---:|".repeat(titles.len()));
    for contender in &case.contenders {
        let mut cells = Vec::new();
        for (metric, _) in COLUMNS {
            let name = RowName { case: &case.name, contender: &contender.name, metric };
            cells.push(cell(&report.rows, name, &case.limit)?);
        }
        let _ = writeln!(text, "| {} | {} |", contender.name, cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\nMedian (min to max) of {} rounds, and the ratio to {}. Latencies at {} requests a second. {}\n",
        report.settings.rounds,
        case.limit,
        number(case.arrival_rate_rps),
        answers(&case.answers),
    );
    let of_case = |row: &&Row| row.case == case.name && row.metric == Metric::OthersCpu;
    let others = report.rows.iter().filter(of_case).map(|row| row.max).fold(0.0, f64::max);
    if others > OTHERS_SHARE_NOTED {
        let percent = number((others * 100.0).round());
        let _ = writeln!(text, "**Other processes took up to {percent} % of the machine in some round.**\n");
    }
    Ok(())
}

fn cell(rows: &[Row], name: RowName<'_>, limit: &str) -> Result<String> {
    let row = find(rows, name)?;
    let spread = format!("{} ({} to {})", number(row.median), number(row.min), number(row.max));
    // How late the generator was is no achievement of a contender.
    if name.contender == limit || name.metric == Metric::SendLateP99 {
        return Ok(spread);
    }
    // A median of nothing has no ratio: a contender so fast that the clock ticks did not notice it.
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
        let _ = writeln!(text, "| {} | {target} | {} | {met} |", judged.name, number(judged.value));
    }
    text.push('\n');
}

fn write_circumstances(text: &mut String, report: &Report) {
    let (machine, settings) = (&report.machine, &report.settings);
    let versions: Vec<String> = report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(
        text,
        "{}, {} cores shared with the load generator, {} MiB, Linux {}. {} connections, {} s closed loop and {} s open \
         loop a round. {}. Raw samples: [{}.json]({}.json).",
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        settings.connections,
        settings.seconds,
        settings.seconds,
        versions.join("; "),
        report.bench,
        report.bench,
    );
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
            vec![Judged { name: "throughput".into(), target: Bound::AtLeast(0.9), value: 0.8, met: false }];
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
}
