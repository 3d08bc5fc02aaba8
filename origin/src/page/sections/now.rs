//! Traffic, first bytes, hits, errors, amplification: the last minute in numbers, the last hour as a line.

use maud::{Markup, html};
use nearside_protocol::{
    fleet::{Fleet, Hits, Kind, Point, Window},
    words,
};

use super::super::{
    facts::Facts,
    picture::{Part, bar, spark},
};

/// Points of a line that is drawn from edge to edge: young ones are not lost in an hour that was not.
pub(super) fn slots(fleet: &Fleet) -> usize {
    const LEAST: usize = 12;
    fleet.trend.len().max(LEAST)
}

pub(in super::super) fn now(facts: &Facts) -> Markup {
    let fleet = &facts.fleet;
    let (minute, hour) = (&fleet.minute, &fleet.hour);
    let span = words::lasting(fleet.trend_step_s.max(1) * slots(fleet) as u64 * 1_000);
    let line = |class: &str, what: &str, of: &dyn Fn(&Point) -> Option<f64>| {
        let values: Vec<Option<f64>> = fleet.trend.iter().map(of).collect();
        spark(&values, slots(fleet), class, &format!("{what} over the last {span}"))
    };
    let step = fleet.trend_step_s.max(1) as f64;
    let us = |us: Option<u64>| us.map_or("–".to_owned(), words::micros);
    let errors = minute.server_errors as f64 / minute.answers.max(1) as f64;
    html! {
        ul class="tiles" aria-label="The fleet in the last minute" {
            li {
                h2 { "Requests" }
                p class="big" { (words::number(minute.per_second(minute.answers))) span class="unit" { " /s" } }
                (line("", "Requests a second", &|point| Some(point.answers as f64 / step)))
                p class="soft" { (words::number(hour.answers as f64)) " in the last hour" }
            }
            li {
                h2 { "First byte" }
                p class="big" { (us(minute.ttfb_p50_us)) span class="unit" { " p50" } }
                (line("", "First byte, 99 of 100 answers below", &|point| point.ttfb_p99_us.map(|us| us as f64)))
                p class="soft" { "p99 " b { (us(minute.ttfb_p99_us)) } ", not from the cache " b { (us(minute.longer_p99_us)) } }
            }
            li {
                h2 { "Hits" }
                (hits(minute, hour))
                (line("", "Hits among page requests", &|point| point.hit_ratio))
                (reasons(hour))
            }
            li class=[(minute.server_errors > 0).then_some("ill")] {
                h2 { "Errors" }
                p class="big" { (words::percent(errors)) span class="unit" { " 5xx" } }
                (line("bad", "Server errors", &|point| Some(point.server_errors as f64)))
                p class="soft" { (words::number(minute.per_second(minute.client_errors))) " /s say that the client is wrong (4xx)" }
            }
            li {
                h2 { "A request leads to" }
                (amplification(minute, hour))
            }
        }
    }
}

fn hits(minute: &Window, hour: &Window) -> Markup {
    // A quiet minute says nothing of the cache.
    let counted = if minute.hits().all() > 0 { minute } else { hour };
    html! { p class="big" { (counted.hits().ratio().map_or("–".to_owned(), words::percent)) } }
}

fn reasons(hour: &Window) -> Markup {
    let hits = hour.hits();
    let mut results: Vec<(&String, u64, Kind)> = hour
        .results
        .iter()
        .map(|(name, count)| (name, *count, Kind::of(name)))
        .filter(|it| it.2 != Kind::Beside)
        .collect();
    results.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    let share = |count: u64| count as f64 / hits.all().max(1) as f64;
    html! {
        (stacked(hits))
        details class="more" {
            summary { "why, in the last hour" }
            dl class="reasons" {
                @for (name, count, kind) in results {
                    dt class=(class(kind)) { (name.replace('_', " ")) }
                    dd { (words::percent(share(count))) }
                }
            }
        }
    }
}

/// Hits, what was rendered and kept, what may not be kept.
pub(super) fn stacked(hits: Hits) -> Markup {
    let all = hits.all().max(1) as f64;
    let part = |kind, count: u64, words: &str| Part {
        class: class(kind),
        share: count as f64 / all,
        title: format!("{words}: {}", words::percent(count as f64 / all)),
    };
    let parts = [
        part(Kind::Hit, hits.hits, "out of the cache"),
        part(Kind::Rendered, hits.rendered, "rendered and kept"),
        part(Kind::NotStored, hits.not_stored, "rendered, and may not be kept"),
    ];
    let label: Vec<&str> = parts.iter().map(|part| part.title.as_str()).collect();
    bar(&parts, &label.join(", "))
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Hit => "hit",
        Kind::Rendered => "rendered",
        Kind::NotStored => "unkept",
        Kind::Beside => "rest",
    }
}

/// What a request leads to: what makes an app dear.
fn amplification(minute: &Window, hour: &Window) -> Markup {
    let counted = if minute.answers > 0 { minute } else { hour };
    let each = |count: u64| words::number(count as f64 / counted.answers.max(1) as f64);
    html! {
        p class="big" { (each(counted.renders)) span class="unit" { " renders" } }
        dl class="pairs" {
            dt { "queries" } dd { (each(counted.query_runs)) }
            dt { "rows" } dd { (each(counted.query_rows)) }
            dt { "renders in all" } dd { (words::number(counted.per_second(counted.renders))) " /s" }
        }
    }
}
