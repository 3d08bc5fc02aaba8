//! The part of a chart that shows rising load: a line for each contender, both axes logarithmic.

use std::fmt::Write;

use anyhow::Result;

use crate::limits::STORY_P99_MS;
use crate::report::Report;
use crate::steps::{Curve, curves};
use crate::table::number;
use crate::value::Metric;

const HEIGHT: f64 = 300.0;
const TITLE: f64 = 50.0;
/// Left of a plot, for its numbers.
const NUMBERS: f64 = 46.0;
const GAP: f64 = 30.0;

/// What is plotted, its title, and the line above which is too much.
const PLOTS: [(Metric, &str, Option<f64>); 2] = [
    (Metric::FirstByteP99, "p99 of first bytes, ms, over requests a second", Some(STORY_P99_MS)),
    (Metric::CpuOpen, "CPU us a request, over requests a second", None),
];

/// How much room they take; none without steps.
pub fn height(report: &Report) -> f64 {
    if crate::steps::of(report).next().is_none() { 0.0 } else { TITLE + HEIGHT + 40.0 }
}

/// Where it is drawn: the left edge, the top and the width of all plots.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub left: f64,
    pub top: f64,
    pub width: f64,
}

/// `colour` is each contender's.
pub fn write(text: &mut String, report: &Report, place: Place, colour: impl Fn(&str) -> &'static str) -> Result<()> {
    let width = (place.width - GAP * (PLOTS.len() - 1) as f64) / PLOTS.len() as f64;
    for (index, (metric, title, limit)) in PLOTS.into_iter().enumerate() {
        let left = place.left + (width + GAP) * index as f64;
        let _ = writeln!(text, "<text class=\"title\" x=\"{left:.1}\" y=\"{:.1}\">{title}</text>", place.top + 16.0);
        let curves = curves(report, metric)?;
        let plot =
            Plot::of(&curves, limit, Place { left: left + NUMBERS, top: place.top + TITLE, width: width - NUMBERS });
        plot.write_axes(text, limit);
        for (line, curve) in curves.iter().enumerate() {
            plot.write_curve(text, curve, colour(curve.contender), line);
        }
    }
    Ok(())
}

/// From values to places, both by their logarithms.
struct Plot {
    place: Place,
    x: (f64, f64),
    y: (f64, f64),
}

impl Plot {
    fn of(curves: &[Curve<'_>], limit: Option<f64>, place: Place) -> Self {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)))
        };
        let x = range(&mut points().map(|(x, _)| *x));
        let (least, most) = range(&mut points().map(|(_, y)| y.max(f64::MIN_POSITIVE)).chain(limit));
        // Whole powers of ten, so that each has a line.
        let y = (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
        Self { place, x: (x.0, x.1.max(x.0 * 1.01)), y: (y.0, y.1.max(y.0 * 10.0)) }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |value: f64, (least, most): (f64, f64)| (value / least).ln() / (most / least).ln();
        let Place { left, top, width } = self.place;
        (left + width * share(x, self.x), top + HEIGHT * (1.0 - share(y.max(self.y.0), self.y)))
    }

    fn write_axes(&self, text: &mut String, limit: Option<f64>) {
        let (left, right) = (self.place.left, self.place.left + self.place.width);
        let mut line = |value: f64, class: &str| {
            let y = self.at((self.x.0, value)).1;
            let _ = writeln!(
                text,
                "<line class=\"{class}\" x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                number(value),
            );
        };
        let decades = (self.y.1 / self.y.0).log10().round() as i32;
        (0..=decades).for_each(|decade| line(self.y.0 * 10_f64.powi(decade), "grid"));
        limit.into_iter().for_each(|limit| line(limit, "limit"));
        let bottom = self.place.top + HEIGHT + 18.0;
        for (x, anchor) in [(self.x.0, "start"), (self.x.1, "end")] {
            let at = self.at((x, self.y.0)).0;
            let _ = writeln!(
                text,
                "<text class=\"faint\" x=\"{at:.1}\" y=\"{bottom:.1}\" text-anchor=\"{anchor}\">{}</text>",
                number(x),
            );
        }
    }

    /// With its name in a line of its own above the plot.
    fn write_curve(&self, text: &mut String, curve: &Curve<'_>, colour: &str, line: usize) {
        let places: Vec<(f64, f64)> = curve.points.iter().map(|point| self.at(*point)).collect();
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            text,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-linejoin=\"round\"/>"
        );
        for (x, y) in places {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{colour};font-weight:600\">{}</text>",
            self.place.left + 90.0 * line as f64,
            self.place.top - 14.0,
            curve.contender,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::rising;

    #[test]
    fn lines_go_from_corner_to_corner() {
        let report = rising();
        let mut text = String::new();
        write(&mut text, &report, Place { left: 0.0, top: 0.0, width: 1_000.0 }, |_| "#000").unwrap();
        assert_eq!(text.matches("<polyline").count(), 2 * 2, "{text}");
        assert_eq!(text.matches("<circle").count(), 2 * 5);
        // The first point of the first curve: the lowest rate, and the lowest power of ten.
        assert!(text.contains(&format!("points=\"{NUMBERS:.1},{:.1} ", TITLE + HEIGHT)), "{text}");
        assert!(text.contains("class=\"limit\"") && !text.contains("NaN"));
        assert!(height(&report) > HEIGHT);
    }
}
