//! The story's page, `docs/story.md`: words that people wrote, and between two marks the figures of the newest run.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::TellStory;
use crate::report::Report;
use crate::table::number;
use crate::targets::Bound;
use crate::value::{Metric, RowName, find};

const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";
const NOT_MEASURED: &str = "–";

const KNEE: &str = "knee";
const BENDS: &str = "bends";

/// What the page's table says of each contender, a row each.
const ROWS: &[(Metric, &str)] = &[
    (Metric::FirstByteP50, "first byte, half of all answers within, ms"),
    (Metric::FirstByteP99, "first byte, 99 of 100 within, ms"),
    (Metric::PagesP99, "the same of pages alone, ms"),
    (Metric::FormsP50, "sending a review, half within, ms"),
    (Metric::OwnP50, "the page its author is led to, half within, ms"),
    (Metric::Failed, "failed"),
    (Metric::CpuOpen, "CPU a request, µs"),
    (Metric::QueriesRequest, "queries a request"),
    (Metric::SeenP50, "others see a review after, ms"),
    (Metric::OwnShown, "its author sees it at once, %"),
    (Metric::WorkLeft, "everything put off is done after, s"),
];

/// `nearside-bench tell-story`: for when the words or this file changed, and not the measurement.
pub fn run(args: &TellStory) -> Result<()> {
    let json = fs::read_to_string(&args.json).with_context(|| format!("reading {}", args.json.display()))?;
    let report: Report = serde_json::from_str(&json).with_context(|| format!("in {}", args.json.display()))?;
    tell(&report, &args.page)
}

/// Puts the report's figures into the page.
pub fn tell(report: &Report, page: &Path) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let told = embedded(&text, &figures(report)?);
    let told = told.with_context(|| format!("{} has no line {BEGIN} with {END} after it", page.display()))?;
    fs::write(page, told).with_context(|| format!("writing {}", page.display()))
}

fn embedded(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

fn figures(report: &Report) -> Result<String> {
    let knee = report.cases.iter().find(|case| case.name == KNEE).context("the report has no knee")?;
    let names: Vec<&str> = knee.contenders.iter().map(|contender| contender.name.as_str()).collect();
    let median = |case: &str, contender: &str, metric| {
        find(&report.rows, RowName { case, contender, metric })
            .map_or(NOT_MEASURED.to_owned(), |row| number(row.median))
    };
    let mut text = String::from("\n");
    let rate = median(KNEE, &knee.limit, Metric::Rate);
    let _ = write!(text, "At {rate} requests a second, where the plain service no longer keeps up:\n\n| |");
    let _ = writeln!(text, " {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    let mut row = |title: &str, case: &str, metric| {
        let cells: Vec<String> = names.iter().map(|name| median(case, name, metric)).collect();
        let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
    };
    ROWS.iter().for_each(|(metric, title)| row(title, KNEE, *metric));
    row("**bends at**, requests a second", BENDS, Metric::BendsAt);
    text.push('\n');
    for judged in &report.targets {
        let bound = match judged.target {
            Bound::AtLeast(least) => format!("at least {}", number(least)),
            Bound::AtMost(most) => format!("at most {}", number(most)),
        };
        let value = judged.value.map_or(NOT_MEASURED.to_owned(), number);
        let met = if judged.met { "met" } else { "**missed**" };
        let _ = writeln!(text, "- {}: {value}, and was to be {bound}: {met}.", judged.name);
    }
    let (machine, settings) = (&report.machine, &report.settings);
    let _ = writeln!(
        text,
        "\nMedians of {} rounds of {} s each. {}, {} cores, {} MiB. All that was measured is in \
         [bench/story.md](bench/story.md).\n",
        settings.rounds, settings.seconds, machine.cpu, machine.cores, machine.memory_mib,
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::small;

    #[test]
    fn figures_replace_figures_and_no_words() {
        let page = format!("Words.\n{BEGIN}\nold\n{END}\nMore.\n");
        let told = embedded(&page, "new\n").unwrap();
        assert_eq!(told, format!("Words.\n{BEGIN}\nnew\n{END}\nMore.\n"));
        assert_eq!(embedded(&told, "new\n").unwrap(), told);
        assert_eq!(embedded("Words.", "new"), None);
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let mut report = small();
        assert!(figures(&report).is_err());
        report.cases[0].name = KNEE.to_owned();
        report.samples.iter_mut().for_each(|sample| sample.case = KNEE.to_owned());
        for sample in &mut report.samples {
            sample.values.insert(Metric::FirstByteP99, 12.0);
        }
        let text = figures(&report.concluded().unwrap()).unwrap();
        assert!(text.contains("| first byte, 99 of 100 within, ms | 12 | 12 |"), "{text}");
        assert!(text.contains("| failed | – | – |"), "{text}");
    }
}
