//! Work after the answer: what waits, what failed for good, and another try.

use maud::{Markup, html};
use nearside_protocol::{
    task_report::{Kind, TaskInfo},
    words,
};

use super::{
    super::facts::{AppFacts, Facts},
    button, moment, sure,
};

pub(in super::super) fn tasks(facts: &Facts) -> Markup {
    let with_tasks: Vec<&AppFacts> = facts.apps.iter().filter(|app| !app.kinds.is_empty()).collect();
    html! {
        h2 { "Tasks" }
        @if with_tasks.is_empty() { p class="soft" { "No app here declares tasks." } }
        div class="cards" {
            @for app in with_tasks {
                article data-key=(app.name) { (card(app, facts.fleet.now_ms)) }
            }
        }
    }
}

fn card(app: &AppFacts, now_ms: u64) -> Markup {
    let dead: u64 = app.kinds.values().map(|kind| kind.dead).sum();
    let is_quiet = |kind: &Kind| kind.due + kind.running + kind.done + kind.dead == 0 && kind.paused_at_ms.is_none();
    let (quiet, busy): (Vec<_>, Vec<_>) = app.kinds.iter().partition(|(_, kind)| is_quiet(kind));
    html! {
        h3 { (app.name) }
        @if !busy.is_empty() {
            table class="kinds" {
                thead {
                    tr {
                        th scope="col" { "Kind" }
                        th scope="col" { "due" }
                        th scope="col" { "running" }
                        th scope="col" { "done" }
                        th scope="col" { "dead" }
                        th scope="col" { span class="unseen" { "Pause" } }
                    }
                }
                tbody { @for (name, kind) in busy { (row(app, name, kind)) } }
            }
        }
        @if dead > 0 {
            h4 { (words::count(dead, "dead letter", "dead letters")) }
            ul class="dead" {
                @for task in &app.dead { (letter(app, task, now_ms)) }
                @if dead > app.dead.len() as u64 {
                    li class="soft" { "and " (dead - app.dead.len() as u64) " more: " code { "nearside tasks --app " (app.name) " --state dead" } }
                }
            }
        }
        @if !quiet.is_empty() { (quiet_kinds(app, &quiet)) }
    }
}

/// Kinds that have had nothing to do lately.
fn quiet_kinds(app: &AppFacts, kinds: &[(&String, &Kind)]) -> Markup {
    html! {
        details class="more quiet" {
            summary { (words::count(kinds.len() as u64, "quiet kind", "quiet kinds")) }
            ul {
                @for (name, _) in kinds {
                    li data-key=(name) { (name) (button("pause_tasks", &[("app", app.name.as_str()), ("kind", name)], "Pause", name)) }
                }
            }
        }
    }
}

fn row(app: &AppFacts, name: &str, kind: &Kind) -> Markup {
    let fields = [("app", app.name.as_str()), ("kind", name)];
    html! {
        tr data-key=(name) {
            th scope="row" { (name) @if !kind.is_declared { " " span class="soft" { "of another version" } } }
            td class=[(kind.due == 0).then_some("nil")] { (kind.due) }
            td class=[(kind.running == 0).then_some("nil")] { (kind.running) }
            td class=[(kind.done == 0).then_some("nil")] { (kind.done) }
            td class=[if kind.dead > 0 { Some("ill") } else { Some("nil") }] { (kind.dead) }
            td class="do" {
                @if kind.dead > 1 { (button("retry_tasks", &fields, "Retry all", &format!("dead letters of {name}"))) }
                @match kind.paused_at_ms {
                    Some(_) => (button("resume_tasks", &fields, "Resume", name)),
                    None => (button("pause_tasks", &fields, "Pause", name)),
                }
            }
        }
    }
}

fn letter(app: &AppFacts, task: &TaskInfo, now_ms: u64) -> Markup {
    let id = task.id.to_string();
    let fields = [("app", app.name.as_str()), ("task", id.as_str())];
    let about = format!("Task {id} and its history are gone for good.");
    html! {
        li data-key=(id) {
            div class="letter" {
                b { (task.kind) " " (id) }
                span class="soft" { " after " (words::count(u64::from(task.attempt), "attempt", "attempts")) @if let Some(at) = task.ended_at_ms { ", " (moment(now_ms, at)) } }
                @if let Some(error) = &task.last_error { p class="said" { (error) } }
            }
            div class="do" {
                (button("retry_tasks", &fields, "Retry", &format!("task {id}")))
                (sure("discard_tasks", &fields, "Discard…", &about, &format!("Discard task {id}")))
            }
        }
    }
}
