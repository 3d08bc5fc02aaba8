//! Drawings, as SVG with attributes only: the page's policy allows no styles of its own.

use std::fmt::Write;

use maud::{Markup, html};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
/// Room for the line at the top and bottom.
const MARGIN: f64 = 2.0;

/// A line through the values, old to new and to the right edge; nothing where there is none. `label` says what it shows.
pub(super) fn spark(values: &[Option<f64>], slots: usize, class: &str, label: &str) -> Markup {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let step = WIDTH / slots.saturating_sub(1).max(1) as f64;
    let first = slots.saturating_sub(values.len());
    let height = |value: f64| match most > 0.0 {
        true => HEIGHT - MARGIN - value / most * (HEIGHT - MARGIN * 2.0),
        false => HEIGHT - MARGIN,
    };
    let (mut line, mut area) = (String::new(), String::new());
    for run in runs(values) {
        let x = |at: usize| (first + at) as f64 * step;
        for (at, value) in &run {
            let command = if *at == run[0].0 { 'M' } else { 'L' };
            // A String takes all text.
            let _ = write!(line, "{command}{:.1} {:.1}", x(*at), height(*value));
        }
        let (from, to) = (x(run[0].0), x(run[run.len() - 1].0));
        let _ = write!(area, "M{from:.1} {HEIGHT}");
        for (at, value) in &run {
            let _ = write!(area, "L{:.1} {:.1}", x(*at), height(*value));
        }
        let _ = write!(area, "L{to:.1} {HEIGHT}Z");
    }
    html! {
        svg class={ "spark " (class) } viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
            path class="base" d={ "M0 " (HEIGHT - 0.5) "H" (WIDTH) } vector-effect="non-scaling-stroke" {}
            // Nothing but nothing is the line below.
            @if most > 0.0 {
                path class="area" d=(area) {}
                path class="line" d=(line) vector-effect="non-scaling-stroke" {}
            }
        }
    }
}

/// Neighbours that are there, with their places.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut goes_on = false;
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) if goes_on => runs.last_mut().expect("BUG: one was begun").push((at, *value)),
            Some(value) => runs.push(vec![(at, *value)]),
            None => {}
        }
        goes_on = value.is_some();
    }
    runs
}

/// A part of a bar.
pub(super) struct Part {
    pub(super) class: &'static str,
    /// Of one whole.
    pub(super) share: f64,
    pub(super) title: String,
}

/// Parts of one whole, side by side.
pub(super) fn bar(parts: &[Part], label: &str) -> Markup {
    let mut from = 0.0;
    let placed: Vec<(f64, &Part)> = parts
        .iter()
        .map(|part| {
            let at = from;
            from += part.share.clamp(0.0, 1.0);
            (at, part)
        })
        .collect();
    html! {
        svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect class="rest" x="0" y="0" width="100" height="8" {}
            @for (at, part) in placed {
                rect class=(part.class) x=(format!("{:.2}", at * 100.0)) y="0" width=(format!("{:.2}", part.share.clamp(0.0, 1.0) * 100.0)) height="8" {
                    title { (part.title) }
                }
            }
        }
    }
}

/// How far something has come, as a dot that fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dot {
    Full,
    /// So many thousandths.
    Part(u16),
    Empty,
    /// Nobody knows.
    Gone,
}

pub(super) fn dot(dot: Dot) -> Markup {
    let class = match dot {
        Dot::Full => "dot full",
        Dot::Part(_) => "dot part",
        Dot::Empty => "dot empty",
        Dot::Gone => "dot gone",
    };
    html! {
        svg class=(class) viewBox="0 0 16 16" aria-hidden="true" {
            circle class="ring" cx="8" cy="8" r="6" {}
            @match dot {
                Dot::Full => circle class="fill" cx="8" cy="8" r="7" {},
                // A stroke as wide as its circle is a slice.
                Dot::Part(permille) => circle class="slice" cx="8" cy="8" r="3" pathLength="1000" transform="rotate(-90 8 8)"
                    stroke-dasharray={ (permille.max(60)) " 1000" } {},
                Dot::Empty => {},
                Dot::Gone => path class="cross" d="M5 5L11 11M11 5L5 11" {},
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        let values = [Some(1.0), None, Some(2.0), Some(4.0)];
        assert_eq!(runs(&values).len(), 2);
        let drawn = spark(&values, 5, "", "x <y>").into_string();
        assert!(drawn.contains("M30.0 23.0M90.0 16.0L120.0 2.0"), "{drawn}");
        assert!(drawn.contains("aria-label=\"x &lt;y&gt;\""), "{drawn}");
        assert!(!spark(&[], 0, "", "").into_string().contains("NaN"));
        assert!(!spark(&[Some(0.0)], 1, "", "").into_string().contains("NaN"));
    }

    #[test]
    fn parts_stand_side_by_side() {
        let part = |share| Part { class: "hit", share, title: "t".into() };
        let drawn = bar(&[part(0.25), part(0.5)], "").into_string();
        assert!(drawn.contains("x=\"25.00\" y=\"0\" width=\"50.00\""), "{drawn}");
    }
}
