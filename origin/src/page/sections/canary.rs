//! A canary: how it fares beside the rest, and what may become of it.

use maud::{Markup, html};
use nearside_protocol::{
    canary::{Canary, Served, Stands, Waits},
    words,
};

use super::{super::facts::AppFacts, moment, sure};

pub(super) fn canary(app: &AppFacts, now_ms: u64) -> Markup {
    let Some(canary) = &app.releases.canary else { return html! {} };
    match &canary.stands {
        Stands::Running { waits } => running(&app.name, canary, waits, now_ms),
        Stands::Promoted { why, at_ms } => html! {
            p class="soft canary-ended" { "The canary at " (nodes(canary)) " was promoted " (moment(now_ms, *at_ms)) ": " (why) "." }
        },
        Stands::Halted { why, at_ms } => html! {
            p class="canary-ended" { b { "Halted" } ": the canary at " (nodes(canary)) ", " (moment(now_ms, *at_ms)) ": " (why) "." }
        },
    }
}

fn running(app: &str, canary: &Canary, waits: &Waits, now_ms: u64) -> Markup {
    let release = canary.release.map_or("its release".to_owned(), |release| release.to_string());
    let promotes = format!(
        "{release} becomes the release of {app} at every node. Commands and tasks are those of its version from then on.",
    );
    let halts = format!(
        "{} on to what all others have of {app}, under the next number. Migrations that came with it stay.",
        if canary.nodes.len() == 1 { "Its node goes" } else { "Its nodes go" }
    );
    let since_ms = canary.since_ms.to_string();
    let fields = [("app", app), ("canary", since_ms.as_str())];
    html! {
        div class="canary" data-key="canary" {
            p {
                b { "Canary" } " " @if let Some(release) = canary.release { span class="release" { (release) } " " }
                @if canary.is_data { "of another database " }
                "at " (nodes(canary)) ", begun " (moment(now_ms, canary.since_ms)) "."
            }
            p class=[waits.wants_a_hand().then_some("hand")] { "Now: " (waits) "." }
            table class="beside" {
                caption class="unseen" { "The canary of " (app) " beside the rest" }
                thead { tr { td {} th scope="col" { "Canary" } th scope="col" { "The rest" } } }
                tbody {
                    (row("Requests", [&canary.canaries, &canary.rest], |served| requests(served.requests)))
                    (row("Server errors", [&canary.canaries, &canary.rest], |served| words::percent(served.errors_share())))
                    (row("Pages made in", [&canary.canaries, &canary.rest], |served| time(served, 0.5)))
                    (row("nine of ten", [&canary.canaries, &canary.rest], |served| time(served, 0.9)))
                }
            }
            div class="do" {
                (sure("promote_canary", &fields, "Promote…", &promotes, "Promote it"))
                (sure("halt_canary", &fields, "Halt…", &halts, "Halt it"))
            }
        }
    }
}

fn nodes(canary: &Canary) -> String {
    const SHOWN: usize = 6;
    let shown = canary.nodes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match canary.nodes.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn row(says: &str, [canary, rest]: [&Served; 2], tell: impl Fn(&Served) -> String) -> Markup {
    html! { tr { th scope="row" { (says) } td { (tell(canary)) } td { (tell(rest)) } } }
}

/// Exactly, as long as there are few.
fn requests(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        many => words::number(many as f64),
    }
}

fn time(served: &Served, part: f64) -> String {
    served.time_us(part).map_or("–".to_owned(), words::micros)
}
