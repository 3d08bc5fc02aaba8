//! A row for each node: is it well, is it busy, what does it serve.

use maud::{Markup, html};
use nearside_protocol::{
    fleet::{Fleet, Health, Node, Told},
    limits, words,
};

use super::{
    super::{
        facts::Facts,
        picture::{Part, bar, spark},
    },
    button,
    now::{slots, stacked},
};

/// Of its releases, what has room in a row.
const RELEASES_SHOWN: usize = 3;

pub(in super::super) fn nodes(facts: &Facts) -> Markup {
    let fleet = &facts.fleet;
    let mut nodes: Vec<&Node> = fleet.nodes.iter().collect();
    nodes.sort_by_key(|node| (node.declared.place.clone(), node.node.clone()));
    html! {
        h2 { "Nodes" }
        @if nodes.is_empty() {
            p class="soft" { "None has been heard since this origin started. A node tells how it is every few seconds once it follows this origin: " code { "nearside host --origin … --name zurich-1 --place zrh" } }
        } @else {
            table role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        th role="columnheader" scope="col" { "Node" }
                        th role="columnheader" scope="col" { "Requests" }
                        th role="columnheader" scope="col" { "First byte" }
                        th role="columnheader" scope="col" { "Hits" }
                        th role="columnheader" scope="col" { "5xx" }
                        th role="columnheader" scope="col" { "Load" }
                        th role="columnheader" scope="col" { "Releases" }
                    }
                }
                tbody role="rowgroup" { @for node in nodes { (row(node, fleet)) } }
            }
        }
    }
}

fn row(node: &Node, fleet: &Fleet) -> Markup {
    let minute = &node.minute;
    let us = |us: Option<u64>| us.map_or("–".to_owned(), words::micros);
    let step = fleet.trend_step_s.max(1) as f64;
    let line: Vec<Option<f64>> = node.trend.iter().map(|point| Some(point.answers as f64 / step)).collect();
    let errors = minute.server_errors as f64 / minute.answers.max(1) as f64;
    let is_here = !matches!(node.health, Health::Silent { .. } | Health::Unknown);
    let hits = if minute.hits().all() > 0 { minute.hits() } else { node.hour.hits() };
    html! {
        tr role="row" data-key=(node.node) class=(node.health.name()) {
            th role="rowheader" scope="row" {
                span class={ "lamp " (lamp(&node.health)) } aria-hidden="true" {}
                div {
                    @match address(node) {
                        Some(url) => a href=(url) rel="noreferrer" { (node.node) },
                        None => span { (node.node) },
                    }
                    @if let Some(place) = &node.declared.place { " " span class="place" { (place) } }
                    div class="health" {
                        (node.health.name())
                        @if let Some(why) = node.health.reason(fleet.now_ms) { " " (why) }
                    }
                    @if matches!(node.health, Health::Silent { .. }) {
                        (button("forget_node", &[("node", &node.node)], "Forget", &node.node))
                    }
                }
            }
            @if is_here {
                td role="cell" data-label="Requests" class="drawn" {
                    (spark(&line, slots(fleet), "", &format!("Requests a second at {}", node.node)))
                    span { (words::number(minute.per_second(minute.answers))) span class="unit" { " /s" } }
                }
                td role="cell" data-label="First byte" { (us(minute.ttfb_p50_us)) div class="soft" { "p99 " (us(minute.ttfb_p99_us)) } }
                td role="cell" data-label="Hits" class="drawn" { (stacked(hits)) span { (hits.ratio().map_or("–".to_owned(), words::percent)) } }
                td role="cell" data-label="5xx" class=[(minute.server_errors > 0).then_some("ill")] { (words::percent(errors)) }
                td role="cell" data-label="Load" class="drawn" { @if let Some(told) = &node.told { (load(told)) } }
            } @else {
                td role="cell" colspan="5" data-label="" class="soft" {
                    @match node.heard_at_ms {
                        Some(at_ms) => { "last heard " (super::moment(fleet.now_ms, at_ms)) },
                        None => "never heard",
                    }
                }
            }
            td role="cell" data-label="Releases" { @if let Some(told) = &node.told { (releases(&node.node, told, fleet)) } }
        }
    }
}

fn lamp(health: &Health) -> &'static str {
    match health {
        Health::Serving => "well",
        Health::Behind { .. } => "warned",
        Health::Unready { .. } | Health::Silent { .. } => "ill",
        Health::Unknown => "none",
    }
}

/// A link only where it leads to a site: what a node declares may be anything.
fn address(node: &Node) -> Option<&str> {
    let url = node.declared.public.as_deref()?;
    (url.starts_with("http://") || url.starts_with("https://")).then_some(url)
}

fn load(told: &Told) -> Markup {
    let load = &told.load;
    let renders = load.renders_running as f64 / load.render_places.max(1) as f64;
    let cpu = told.cpu_share;
    let one = |share: f64, title: String| [Part { class: if share > 0.8 { "hot" } else { "busy" }, share, title }];
    let cpu_words = cpu.map_or("CPU –".to_owned(), |cpu| format!("CPU {}", words::percent(cpu)));
    let render_words = match load.renders_waiting {
        0 => words::count(load.renders_running, "render", "renders"),
        waiting => format!("{}, {waiting} wait", words::count(load.renders_running, "render", "renders")),
    };
    html! {
        (bar(&one(cpu.unwrap_or(0.0), cpu_words.clone()), &cpu_words))
        (bar(&one(renders, render_words.clone()), &format!("{render_words} of {} at once", load.render_places)))
        span { (cpu_words) div class="soft" { (render_words) } }
        @if let Some(us) = load.queue_delay_us { div class="soft" { "waited " (words::micros(us)) } }
    }
}

fn releases(node: &str, told: &Told, fleet: &Fleet) -> Markup {
    html! {
        ul class="served" {
            @for (app, beat) in told.apps.iter().take(RELEASES_SHOWN) {
                @let is_newest = fleet.wanted(app, node).is_none_or(|wanted| wanted == beat.release);
                li class=[(!is_newest).then_some("older")] {
                    (app) " " b { (beat.release) }
                    @if let Some(behind_ms) = beat.behind_at_most_ms.filter(|ms| *ms > limits::BEHIND_SHOWN.as_millis() as u64) {
                        div class="soft" { "at most " (words::lasting(behind_ms.saturating_add(999))) " behind" }
                    }
                }
            }
            @if told.apps.len() > RELEASES_SHOWN {
                li class="soft" { "and " (told.apps.len() - RELEASES_SHOWN) " more" }
            }
        }
        @let waiting = told.outbox.as_ref().map_or(0, |outbox| outbox.waiting_writes.saturating_add(outbox.unsure_writes));
        @if waiting > 0 {
            div class="ill" { (words::count(waiting, "write waits", "writes wait")) " in its outbox" }
        }
        @if told.refusals > 0 {
            div class="soft" { (words::count(told.refusals, "refusal", "refusals")) " since its start" }
        }
    }
}
