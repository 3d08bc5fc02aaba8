//! The SVG chart of a report: bars with their extremes, readable on a light and on a dark page.

use std::fmt::Write;

use anyhow::Result;

use crate::columns::{Kind, Panel};
use crate::report::{CaseReport, Report};
use crate::table::number;
use crate::value::{Row, RowName, find};
use crate::{curves, steps};

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
const PANEL_GAP: f64 = 30.0;
const TITLE_HEIGHT: f64 = 62.0;
const BAR_STEP: f64 = 42.0;
const BAR_HEIGHT: f64 = 14.0;
const CASE_GAP: f64 = 26.0;

/// Grey for the limit; the others in order. Each has enough contrast on white and on near black.
const LIMIT_COLOUR: &str = "#8b949e";
const COLOURS: [&str; 4] = ["#2f81f7", "#d9730d", "#2da44e", "#a371f7"];

/// Text follows the reader's colour scheme, also where the chart is embedded as an image.
const STYLE: &str = "<style>\
    text{font-family:system-ui,sans-serif;font-size:12px;fill:#1f2328}\
    .title{font-size:15px;font-weight:600}.faint{fill:#59636e}.whisker{stroke:#1f2328;stroke-width:1.5}\
    .track{fill:#818b98;fill-opacity:.15}.grid{stroke:#818b98;stroke-opacity:.25}\
    .limit{stroke:#cf222e;stroke-dasharray:6 4}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.whisker{stroke:#e6edf3}}\
    </style>";

/// Fails if a row is missing.
pub fn svg(report: &Report) -> Result<String> {
    let barred = || report.cases.iter().filter(|case| case.kind != Kind::Step);
    let rising = curves::height(report);
    let height = 2.0 * MARGIN + rising + barred().map(case_height).sum::<f64>();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n{STYLE}\n",
        escaped(&format!("{}: {}", report.bench, report.about)),
    );
    if let Some(step) = steps::of(report).next() {
        let place = curves::Place { left: MARGIN, top: MARGIN, width: WIDTH - 2.0 * MARGIN };
        let colour = |name: &str| colour_of(step, name);
        curves::write(&mut text, report, place, colour)?;
    }
    let mut top = MARGIN + rising;
    for case in barred() {
        write_case(&mut text, report, case, top)?;
        top += case_height(case);
    }
    text.push_str("</svg>\n");
    Ok(text)
}

fn case_height(case: &CaseReport) -> f64 {
    TITLE_HEIGHT + BAR_STEP * case.present().count() as f64 + CASE_GAP
}

fn write_case(text: &mut String, report: &Report, case: &CaseReport, top: f64) -> Result<()> {
    let title = escaped(&format!("{} / {}", report.bench, case.name));
    let _ = writeln!(text, "<text class=\"title\" x=\"{MARGIN}\" y=\"{:.1}\">{title}</text>", top + 16.0);
    let panels = case.kind.panels();
    let width = (WIDTH - 2.0 * MARGIN - PANEL_GAP * (panels.len() - 1) as f64) / panels.len() as f64;
    for (index, Panel { metric, title: heading, logarithmic_from }) in panels.iter().enumerate() {
        let left = MARGIN + (width + PANEL_GAP) * index as f64;
        let _ = writeln!(text, "<text class=\"faint\" x=\"{left:.1}\" y=\"{:.1}\">{heading}</text>", top + 40.0);
        let mut rows = Vec::new();
        for contender in case.present() {
            let name = RowName { case: &case.name, contender: &contender.name, metric: *metric };
            rows.push(find(&report.rows, name)?);
        }
        let most = rows.iter().map(|row| row.max).fold(f64::MIN_POSITIVE, f64::max);
        let scale = match logarithmic_from {
            Some(from) => Scale::Logarithmic { from: *from, most: most.max(from * 10.0) },
            None => Scale::Linear { most },
        };
        let colours = colours(case);
        for (bar, (row, colour)) in rows.into_iter().zip(colours).enumerate() {
            let y = top + TITLE_HEIGHT + BAR_STEP * bar as f64;
            write_bar(text, row, colour, Place { left, y, width, scale });
        }
    }
    Ok(())
}

fn colours(case: &CaseReport) -> Vec<&'static str> {
    let mut others = COLOURS.iter().cycle();
    let colour = |name: &str| if name == case.limit { LIMIT_COLOUR } else { others.next().unwrap_or(&LIMIT_COLOUR) };
    case.present().map(|contender| contender.name.as_str()).map(colour).collect()
}

/// The same in every plot, whoever is missing.
fn colour_of(case: &CaseReport, name: &str) -> &'static str {
    let mut others = case.contenders.iter().filter(|contender| contender.name != case.limit);
    let place = others.position(|contender| contender.name == name);
    place.map_or(LIMIT_COLOUR, |place| COLOURS[place % COLOURS.len()])
}

/// How long a bar is; `most` is the value at the right edge.
#[derive(Clone, Copy)]
enum Scale {
    Linear { most: f64 },
    Logarithmic { from: f64, most: f64 },
}

impl Scale {
    /// As a share of the width.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { most } => value / most,
            Scale::Logarithmic { from, most } => (value / from).max(1.0).ln() / (most / from).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

struct Place {
    left: f64,
    y: f64,
    width: f64,
    scale: Scale,
}

fn write_bar(text: &mut String, row: &Row, colour: &str, Place { left, y, width, scale }: Place) {
    let x = |value: f64| width * scale.share(value);
    let (right, middle) = (left + width, y + 6.0 + BAR_HEIGHT / 2.0);
    let (from, to) = (left + x(row.min), left + x(row.max));
    let _ = writeln!(
        text,
        "<text x=\"{left:.1}\" y=\"{y:.1}\">{}</text>\n<text x=\"{right:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect class=\"track\" x=\"{left:.1}\" y=\"{bar:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
         <rect x=\"{left:.1}\" y=\"{bar:.1}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\" fill=\"{colour}\"/>\
         <line class=\"whisker\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\"/>",
        escaped(&row.contender),
        number(row.median),
        x(row.median),
        bar = y + 6.0,
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::small;

    #[test]
    fn a_bar_a_contender_and_panel() {
        let mut report = small();
        report.about = "a <b> & \"c\"".to_owned();
        let text = svg(&report).unwrap();
        assert_eq!(text.matches("class=\"track\"").count(), 2 * 3);
        assert!(text.contains("aria-label=\"small: a &lt;b&gt; &amp; &quot;c&quot;\""));
        assert!(text.contains("prefers-color-scheme:dark"));
        assert!(text.contains(">80,000</text>"));
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn bars_are_to_scale() {
        let text = svg(&small()).unwrap();
        let width = (WIDTH - 2.0 * MARGIN - 2.0 * PANEL_GAP) / 3.0;
        let nearside = format!("width=\"{:.1}\" height=\"14\" rx=\"2\" fill=\"#2f81f7\"", width * 80_000.0 / 101_000.0);
        assert!(text.contains(&nearside), "{text}");
    }

    #[test]
    fn a_logarithmic_bar_grows_by_the_same_for_each_ten_times() {
        let scale = Scale::Logarithmic { from: 10.0, most: 1_000.0 };
        let shares = [1.0, 10.0, 100.0, 1_000.0, 5_000.0].map(|value| scale.share(value));
        assert!(
            shares.iter().zip([0.0, 0.0, 0.5, 1.0, 1.0]).all(|(share, is)| (share - is).abs() < 1e-9),
            "{shares:?}"
        );
    }

    #[test]
    fn a_missing_row_is_an_error() {
        let mut report = small();
        report.rows.clear();
        assert!(svg(&report).is_err());
    }
}
