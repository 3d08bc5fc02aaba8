//! The page as a whole, and the form before it.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use nearside_protocol::{token::Role, words};

use super::{VERSION, facts::Facts, sections, session::Session};

/// The parts that change, each below an element of its name.
pub(super) fn parts(facts: &Facts) -> [(&'static str, Markup); 8] {
    [
        ("state", sections::state(facts)),
        ("concerns", sections::concerns(facts)),
        ("now", sections::now(facts)),
        ("nodes", sections::nodes(facts)),
        ("releases", sections::releases(facts)),
        ("tasks", sections::tasks(facts)),
        ("queries", sections::queries(facts)),
        ("log", sections::log(facts)),
    ]
}

/// `told` is the number of what was just done, which is said at the top.
/// It shows the buttons for what `role` may do.
pub(super) fn page(facts: &Facts, session: &Session, role: Option<Role>, told: Option<u64>) -> Markup {
    let [state, concerns, now, nodes, releases, tasks, queries, log] = parts(facts).map(|(_, markup)| markup);
    let told = told.and_then(|id| facts.actions.iter().find(|action| action.id == id));
    let content = html! {
        a class="skip" href="#main" { "To the content" }
        header {
            div class="wide" {
                h1 { "Fleet" }
                div id="state" { (state) }
                span id="live" title="Without its script this page is a snapshot: load it again" { "as of " (words::utc(facts.fleet.now_ms)) }
                form method="post" action="/fleet/out" { span class="who" { (session.who) } button class="plain" { "Sign out" } }
            }
            nav class="wide" aria-label="Parts of this page" {
                a href="#nodes" { "Nodes" }
                a href="#releases" { "Releases" }
                a href="#tasks" { "Tasks" }
                a href="#queries" { "Queries" }
                a href="#log" { "Log" }
            }
        }
        main id="main" class="wide" {
            p id="told" role="status" aria-live="polite" class=[told.map(|told| if told.went_well { "well" } else { "ill" })] {
                @if let Some(told) = told { (sections::action_words(told)) }
            }
            div id="concerns" { (concerns) }
            div id="now" { (now) }
            section id="nodes" aria-label="Nodes" { (nodes) }
            div class="pair" {
                section id="releases" aria-label="Releases" { (releases) }
                section id="tasks" aria-label="Tasks" { (tasks) }
            }
            section id="queries" aria-label="Queries" { (queries) }
            section id="log" aria-label="Log of operators" { (log) }
        }
    };
    document("Fleet", content, Some(role.unwrap_or(Role::Reader)))
}

/// `wrong` is whoever showed a token that is not the origin's.
pub(super) fn sign_in(wrong: Option<&str>) -> Markup {
    let content = html! {
        main class="door" {
            h1 { "Fleet" }
            form method="post" action="/fleet/in" {
                @if wrong.is_some() {
                    p class="ill" role="alert" { "That is not this origin's token." }
                }
                label { span { "Your name" } input name="who" autocomplete="name" maxlength="64" required value=[wrong] autofocus[wrong.is_none()]; }
                p class="soft" { "For the log of what operators do. It proves nothing; it helps colleagues find each other." }
                label { span { "Your token" } input name="token" type="password" autocomplete="current-password" required autofocus[wrong.is_some()]; }
                p class="soft" { "One of yours (" code { "nearside token add" } "), or the first one: the file " code { "token" } " of the origin's data folder, unless its configuration names another." }
                button { "Sign in" }
            }
        }
    };
    document("Sign in: Fleet", content, None)
}

/// Something was not done: why, and the way back.
pub(super) fn refusal(status: StatusCode, why: &str) -> Markup {
    let content = html! {
        main class="door" {
            h1 { (status.canonical_reason().unwrap_or("Not done")) }
            p class="ill" role="alert" { (why) }
            p { a href="/fleet" { "To the fleet" } }
        }
    };
    document("Not done: Fleet", content, None)
}

/// `follows` is for whom the page is, where it is one that follows.
fn document(title: &str, content: Markup, follows: Option<Role>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ "/fleet/page.css?v=" (*VERSION) };
                @if follows.is_some() {
                    script src={ "/fleet/page.js?v=" (*VERSION) } defer {}
                }
            }
            body data-role=[follows.map(Role::name)] { (content) }
        }
    }
}
