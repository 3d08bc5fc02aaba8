//! The parts of the page, one file for each that is long.

mod canary;
mod log;
mod nodes;
mod now;
mod queries;
mod releases;
mod tasks;

use maud::{Markup, html};
use nearside_protocol::{action::Deed, fleet::Health, token::Duty, words};

use super::{
    concerns::{self, Weight},
    facts::Facts,
};

pub(super) use log::{action_words, log};
pub(super) use nodes::nodes;
pub(super) use now::now;
pub(super) use queries::queries;
pub(super) use releases::releases;
pub(super) use tasks::tasks;

/// The one sentence to read; the title of the browser's tab says it, too.
pub(super) fn state(facts: &Facts) -> Markup {
    let all = facts.fleet.nodes.len();
    let serving = facts.fleet.nodes.iter().filter(|node| node.health == Health::Serving).count();
    let class = match (all, all - serving) {
        (0, _) => "none",
        (_, 0) => "well",
        _ => "ill",
    };
    let sentence = match (all, serving) {
        (0, _) => "no node has been heard".to_owned(),
        (1, 1) => "the one node serves".to_owned(),
        (all, serving) if all == serving => format!("all {all} nodes serve"),
        (all, serving) => format!("{serving} of {all} nodes serve"),
    };
    html! {
        span class={ "lamp " (class) } aria-hidden="true" {}
        span class="sentence" { (sentence) }
        span class="soft" { "origin " (facts.fleet.version) ", up " (words::lasting(facts.fleet.uptime_s * 1_000)) }
    }
}

/// What needs a hand.
pub(super) fn concerns(facts: &Facts) -> Markup {
    let concerns = concerns::concerns(facts);
    html! {
        @if concerns.is_empty() {
            p class="calm" { "Nothing needs a hand." }
        } @else {
            ul class="concerns" aria-label="What needs a hand" {
                @for concern in &concerns {
                    li class=(weight(concern.weight)) {
                        a href={ "#" (concern.part) } { b { (concern.of) } " " (concern.text) }
                    }
                }
            }
        }
    }
}

fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::Grave => "grave",
        Weight::Warning => "warning",
        Weight::Note => "note",
    }
}

/// A moment, by how long ago it is.
fn moment(now_ms: u64, at_ms: u64) -> Markup {
    html! { time datetime=(words::utc(at_ms).replace(" UTC", "Z").replace(' ', "T")) title=(words::utc(at_ms)) { (words::ago(now_ms, at_ms)) } }
}

/// A button that does something at once.
fn button(deed: &str, fields: &[(&str, &str)], says: &str, what: &str) -> Markup {
    html! { (form(deed, fields, says, what, "plain")) }
}

/// One that first says what will happen.
fn sure(deed: &str, fields: &[(&str, &str)], opens: &str, about: &str, says: &str) -> Markup {
    html! {
        details class="sure" data-duty=[duty(deed)] {
            summary aria-label={ (opens) " " (about) } { (opens) }
            div class="ask" {
                p { (about) }
                (form(deed, fields, says, "", "strong"))
            }
        }
    }
}

/// By this the page's style leaves out what whoever looks may not do.
fn duty(deed: &str) -> Option<&'static str> {
    match Deed::named(deed)?.duty() {
        Duty::Publish => Some("publish"),
        Duty::Operate => Some("operate"),
        Duty::Look | Duty::Pull | Duty::Serve => None,
    }
}

fn form(deed: &str, fields: &[(&str, &str)], says: &str, what: &str, class: &str) -> Markup {
    html! {
        form method="post" action="/fleet/do" data-act data-duty=[duty(deed)] {
            input type="hidden" name="deed" value=(deed);
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) {
                (says)
                // For who hears the button out of its row.
                @if !what.is_empty() { span class="unseen" { " " (what) } }
            }
        }
    }
}
