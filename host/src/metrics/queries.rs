//! What requests lead to, and what each named query costs. The names are the app's own, so there are at most
//! [`nearside_protocol::limits::QUERIES_COUNTED`] of an app.

use std::collections::BTreeMap;

use nearside_protocol::query_report::{Counts, Tally, Work};

use super::Metrics;

type OfWork = fn(&Work) -> u64;
type OfTally = fn(&Tally) -> u64;
type OfCounts = fn(&Counts) -> u64;

const WORK: [(&str, &str, OfWork); 2] = [
    ("nearside_app_requests_total", "Requests for an app's routes, hits among them.", |work| work.requests),
    ("nearside_app_asked_again_total", "Stored responses whose questions were asked again after a push.", |work| {
        work.asked_again
    }),
];

const RENDERS: [(&str, OfWork); 3] =
    [("visitor", |work| work.renders), ("page", |work| work.included_renders), ("nobody", |work| work.ahead_renders)];

const OF_QUERIES: [(&str, &str, OfTally); 9] = [
    ("nearside_queries_total", "Runs of a named query.", |tally| tally.runs),
    ("nearside_query_failures_total", "Those that failed.", |tally| tally.failed),
    ("nearside_query_rows_total", "Rows they gave.", |tally| tally.rows),
    ("nearside_query_pages_total", "Different pages each of them read, added up.", |tally| tally.pages),
    ("nearside_query_fetches_total", "Pages they read, as often as they did.", |tally| tally.fetches),
    ("nearside_query_scanned_rows_total", "Rows they stepped over in full scans.", |tally| tally.scanned_rows),
    ("nearside_query_sorts_total", "Sorts they made.", |tally| tally.sorts),
    ("nearside_query_indexed_rows_total", "Rows they put into indexes made for one run.", |tally| tally.indexed_rows),
    ("nearside_query_steps_total", "Steps of SQLite's machine.", |tally| tally.steps),
];

/// Whoever divides by requests would otherwise have to add up the queries of each app.
const SUMS: [(&str, &str, OfCounts); 2] = [
    ("nearside_app_queries_total", "Runs of all named queries of an app.", Counts::runs),
    ("nearside_app_rows_total", "Rows they gave.", Counts::rows),
];

pub(super) fn add(metrics: &mut Metrics, totals: &BTreeMap<String, Counts>) {
    for (name, help, value) in WORK {
        metrics.family(name, "counter", help);
        totals.iter().for_each(|(app, counts)| metrics.line(name, &[("app", app)], value(&counts.work)));
    }
    metrics.family("nearside_app_renders_total", "counter", "Renders of an app's pages, by who wanted them.");
    for (app, counts) in totals {
        for (whom, value) in RENDERS {
            metrics.line("nearside_app_renders_total", &[("app", app), ("for", whom)], value(&counts.work));
        }
    }
    let name = "nearside_app_render_seconds_total";
    metrics.family(name, "counter", "Time that renders took.");
    totals.iter().for_each(|(app, counts)| metrics.line(name, &[("app", app)], seconds(counts.work.render_ns)));

    for (name, help, value) in SUMS {
        metrics.family(name, "counter", help);
        totals.iter().for_each(|(app, counts)| metrics.line(name, &[("app", app)], value(counts)));
    }

    for (name, help, value) in OF_QUERIES {
        metrics.family(name, "counter", help);
        of_each_query(totals, |labels, tally| metrics.line(name, labels, value(tally)));
    }
    let name = "nearside_query_seconds_total";
    metrics.family(name, "counter", "Time that runs of a named query took.");
    of_each_query(totals, |labels, tally| metrics.line(name, labels, seconds(tally.time_ns)));
    let name = "nearside_query_renders_total";
    metrics.family(name, "counter", "Renders in which a named query ran.");
    for (app, counts) in totals {
        for (query, counts) in &counts.queries {
            metrics.line(name, &[("app", app), ("query", query)], counts.renders);
        }
    }
}

fn of_each_query(totals: &BTreeMap<String, Counts>, mut tell: impl FnMut(&[(&str, &str)], &Tally)) {
    for (app, counts) in totals {
        for (query, counts) in &counts.queries {
            for (why, tally) in [("render", &counts.rendering), ("again", &counts.again)] {
                tell(&[("app", app), ("query", query), ("for", why)], tally);
            }
        }
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
