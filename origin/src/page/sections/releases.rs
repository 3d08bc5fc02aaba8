//! What is out, how far it has come, and the way back.

use maud::{Markup, html};
use nearside_protocol::{
    canary::Canary,
    fleet::{Fleet, Health, Node},
    release::ReleaseId,
    wire::ReleaseInfo,
    words,
};

use super::{
    super::{
        facts::{AppFacts, Facts},
        picture::{Dot, dot},
    },
    button,
    canary::canary,
    moment, sure,
};

pub(in super::super) fn releases(facts: &Facts) -> Markup {
    html! {
        h2 { "Releases" }
        @if facts.apps.is_empty() {
            p class="soft" { "No app has been pushed yet: " code { "nearside push my-app" } }
        }
        div class="cards" {
            @for app in &facts.apps { article data-key=(app.name) { (card(app, &facts.fleet)) } }
        }
    }
}

fn card(app: &AppFacts, fleet: &Fleet) -> Markup {
    let newest = app.releases.releases.first();
    let status = &app.status;
    html! {
        h3 { (app.name) @if let Some(newest) = newest { " " span class="release" { (newest.release) } } }
        @match newest {
            None => p class="soft" { "nothing is released yet" },
            Some(newest) => {
                (arrival(app, newest.release, fleet))
                p class="soft" {
                    "out " (moment(fleet.now_ms, newest.created_at_ms)) ", "
                    @if status.commit > status.applied_commit && status.held.is_none() {
                        (words::count(status.commit - status.applied_commit, "commit is", "commits are")) " not in it yet"
                    } @else if status.commit > status.applied_commit {
                        (words::count(status.commit - status.applied_commit, "commit waits", "commits wait")) " for the hold to end"
                    } @else { "with every commit up to " (status.applied_commit) }
                }
            }
        }
        @if let Some(error) = &status.last_error { p class="ill" { (error) } }
        @if let Some(held) = app.releases.held {
            div class="held" {
                p { b { "Held" } " since the rollback to " (held.rolled_back_to) ", " (moment(fleet.now_ms, held.since_ms)) ". Writes are committed; nothing is published until you resume." }
                (button("resume", &[("app", &app.name)], "Resume", &format!("releases of {}", app.name)))
            }
        }
        (canary(app, fleet.now_ms))
        @if let Some(newest) = newest {
            table class="history" {
                caption class="unseen" { "Releases of " (app.name) ", new to old" }
                thead class="unseen" { tr { th scope="col" { "Release" } th scope="col" { "When" } th scope="col" { "App" } th scope="col" { "Cost" } th scope="col" { "Back to it" } } }
                tbody { @for release in &app.releases.releases { (row(app, release, newest, fleet)) } }
            }
        }
    }
}

/// A dot for each node, which fills as the release arrives there, or the one that it tries out.
fn arrival(app: &AppFacts, newest: ReleaseId, fleet: &Fleet) -> Markup {
    let wanted = |node: &Node| fleet.wanted(&app.name, &node.node).unwrap_or(newest);
    let dots: Vec<(&Node, Dot)> = fleet.nodes.iter().map(|node| (node, state(node, &app.name, wanted(node)))).collect();
    let have = dots.iter().filter(|(_, dot)| *dot == Dot::Full).count();
    html! {
        div class="arrival" {
            ul class="dots" aria-label={ "Where " (newest) " of " (app.name) " is" } {
                @for (node, state) in &dots {
                    @let says = said(*state);
                    li title={ (node.node) ": " (says) } data-key=(node.node) { (dot(*state)) span class="unseen" { (node.node) " " (says) } }
                }
            }
            span { (have) " of " (words::count(dots.len() as u64, "node", "nodes")) }
        }
    }
}

fn state(node: &Node, app: &str, newest: ReleaseId) -> Dot {
    if matches!(node.health, Health::Silent { .. } | Health::Unknown) {
        return Dot::Gone;
    }
    let served = node.told.as_ref().and_then(|told| told.apps.get(app));
    match served {
        Some(served) if served.release >= newest => Dot::Full,
        Some(served) => served.pulled_permille.map_or(Dot::Empty, Dot::Part),
        None => Dot::Empty,
    }
}

fn said(dot: Dot) -> String {
    match dot {
        Dot::Full => "serves it".into(),
        Dot::Part(permille) => format!("has pulled {} %", permille / 10),
        Dot::Empty => "does not serve it yet".into(),
        Dot::Gone => "is not heard".into(),
    }
}

fn row(app: &AppFacts, release: &ReleaseInfo, newest: &ReleaseInfo, fleet: &Fleet) -> Markup {
    let id = release.release.to_string();
    let is_tried = app.releases.canary.as_ref().is_some_and(Canary::is_running);
    let is_same = release.root == newest.root && release.app_digest == newest.app_digest;
    let about = format!(
        "The content of {id} becomes the next release of {} at every node. Releases are held from then on: nothing else is \
         published until you resume, and writes go on being committed.",
        app.name
    );
    html! {
        tr data-key=(id) class=[is_same.then_some("same")] {
            td class="id" { (id) }
            td { (moment(fleet.now_ms, release.created_at_ms)) }
            td { code title=(release.app_digest) { (release.app_digest.short()) } }
            td class="soft cost" {
                @if let Some(to) = release.rolled_back_to { "content of " (to) }
                @else if let (Some(pages), Some(bytes)) = (release.delta_pages, release.delta_bytes) {
                    (words::count(u64::from(pages), "page", "pages")) ", " (words::bytes(bytes))
                }
            }
            td class="do" {
                @if is_same { span class="soft" { @if release.release == newest.release { "now" } @else { "the same" } } }
                // While a canary runs, it is decided first.
                @else if !is_tried { (sure("rollback", &[("app", &app.name), ("release", &id)], "Roll back…", &about, &format!("Roll back to {id}"))) }
            }
        }
    }
}
