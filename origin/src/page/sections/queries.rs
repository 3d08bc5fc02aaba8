//! Which queries cost most, and the index that would help.

use maud::{Markup, html};
use nearside_protocol::{
    query_report::{Advice, Advised, QueryShown},
    words,
};

use super::{
    super::{
        facts::{AppFacts, Facts, Slow, time_ns},
        picture::{Part, bar},
    },
    button,
};

pub(in super::super) fn queries(facts: &Facts) -> Markup {
    let with_queries: Vec<&AppFacts> = facts.apps.iter().filter(|app| !app.queries.worst.is_empty()).collect();
    html! {
        h2 { "Queries" }
        @if with_queries.is_empty() { p class="soft" { "No named query of what is released now has run in the last hour." } }
        @for app in with_queries {
            article class="queries" data-key=(app.name) {
                div class="headline" {
                    h3 { (app.name) }
                    span class="soft" { "the last hour at all nodes, most time first" }
                    (button("try_indexes", &[("app", &app.name)], "Try indexes", &format!("for {}", app.name)))
                }
                (list(&app.queries))
                @if let Some(advice) = &app.advice { (advised(advice)) }
            }
        }
    }
}

fn list(slow: &Slow) -> Markup {
    html! {
        table role="table" class="costs" {
            thead role="rowgroup" {
                tr role="row" {
                    th role="columnheader" scope="col" { "Query" }
                    th role="columnheader" scope="col" { "Of all time" }
                    th role="columnheader" scope="col" { "Runs" }
                    th role="columnheader" scope="col" { "Mean" }
                    th role="columnheader" scope="col" { "p99" }
                    th role="columnheader" scope="col" { "Pages a run" }
                    th role="columnheader" scope="col" { "Rows a run" }
                }
            }
            tbody role="rowgroup" { @for query in &slow.worst { (row(query, slow)) } }
        }
    }
}

fn row(query: &QueryShown, slow: &Slow) -> Markup {
    let mut all = query.counts.rendering.clone();
    all.add(&query.counts.again);
    let runs = all.runs.max(1);
    let share = time_ns(query) as f64 / slow.time_ns.max(1) as f64;
    let each = |count: u64| words::number(count as f64 / runs as f64);
    let part =
        Part { class: if query.costly.is_empty() { "busy" } else { "hot" }, share, title: words::percent(share) };
    html! {
        tr role="row" data-key=(query.name) {
            th role="rowheader" scope="row" {
                (query.name)
                @for costly in &query.costly { div class="costly" { (costly) } }
                details class="more" { summary { "plan" span class="unseen" { " of " (query.name) } } pre tabindex="0" { (query.plan) } }
            }
            td role="cell" data-label="Of all time" class="drawn" { (bar(&[part], &words::percent(share))) span { (words::percent(share)) } }
            td role="cell" data-label="Runs" { (words::number(all.runs as f64)) }
            td role="cell" data-label="Mean" { (words::micros(all.time_ns / runs / 1_000)) }
            td role="cell" data-label="p99" { (all.time_ns_of(0.99).map_or("–".to_owned(), |ns| words::micros(ns / 1_000))) }
            td role="cell" data-label="Pages a run" { (each(all.pages)) }
            td role="cell" data-label="Rows a run" { (each(all.rows)) }
        }
    }
}

fn advised(advice: &Advice) -> Markup {
    html! {
        div class="advice" {
            h4 { "Indexes, tried on a copy of " (advice.release) }
            @if advice.advised.iter().all(|advised| advised.index.is_none()) {
                p class="soft" { "None was found with which a query reads at most half the pages." }
            }
            @for advised in &advice.advised { (index(advised, &advice.place)) }
        }
    }
}

fn index(advised: &Advised, place: &str) -> Markup {
    let Some(index) = &advised.index else { return html! {} };
    html! {
        p { b { (advised.query) } " would read " b { (words::number(index.after.pages)) } " pages a run instead of " (words::number(advised.before.pages))
            ", in " b { (words::micros(index.after.time_us as u64)) } " instead of " (words::micros(advised.before.time_us as u64)) ". Add to " (place) ":" }
        pre tabindex="0" { (index.sql) ";" }
    }
}
