//! What operators did.

use maud::{Markup, html};
use nearside_protocol::action::{Action, By, Deed};

use super::{super::facts::Facts, moment};

pub(in super::super) fn log(facts: &Facts) -> Markup {
    html! {
        h2 { "Log" }
        @if facts.actions.is_empty() {
            p class="soft" { "No operator has done anything at this origin yet." }
        } @else {
            ol class="log" {
                @for action in &facts.actions {
                    li data-key=(action.id) class=[(!action.went_well).then_some("ill")] {
                        span class="when" { (moment(facts.fleet.now_ms, action.at_ms)) }
                        span class="what" { (action_words(action)) }
                        span class="soft" {
                            @if let Some(from) = &action.from { "from " (from) }
                            @if let Some(token) = &action.token { ", by " (token) }
                            @match action.by {
                                By::Page => ", on this page",
                                By::Origin => "by itself",
                                By::Program => {}
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Who did what, and what came of it.
pub(in super::super) fn action_words(action: &Action) -> Markup {
    html! {
        b { (action.who) } " " (action.deed.words())
        @if let Some(app) = &action.app { (between(action.deed)) b { (app) } }
        @if let Some(what) = &action.what { " " (what) }
        @if !action.outcome.is_empty() { ": " span class=[(!action.went_well).then_some("said")] { (action.outcome) } }
    }
}

/// What stands between a deed and its app.
fn between(deed: Deed) -> &'static str {
    match deed {
        Deed::Resume | Deed::PauseTasks | Deed::ResumeTasks | Deed::PromoteCanary | Deed::HaltCanary => " of ",
        Deed::RetryTasks | Deed::DiscardTasks => " in ",
        Deed::PushData => " to ",
        Deed::TryIndexes => " for ",
        Deed::PushApp | Deed::Rollback | Deed::ForgetNode | Deed::SignIn | Deed::AddToken | Deed::RemoveToken => " ",
    }
}
