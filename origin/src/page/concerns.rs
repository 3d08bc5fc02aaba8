//! What needs a hand, the gravest first: a function of what is known.

use nearside_protocol::{
    canary::{Canary, Halted, Stands},
    fleet::{Health, Node},
    words,
};

use super::facts::{AppFacts, Facts};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Visitors or writes suffer.
    Grave,
    /// They may, if it lasts.
    Warning,
    /// It is as somebody wanted it, and should not be forgotten.
    Note,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Concern {
    pub(super) weight: Weight,
    /// What it is about: a node, an app.
    pub(super) of: String,
    pub(super) text: String,
    /// The part of the page that tells more.
    pub(super) part: &'static str,
}

/// Server errors in the last minute below this part of all answers may be anything.
const ERRORS_SHARE: f64 = 0.001;
/// How long it is told that a canary was halted by itself; its card tells it on.
const HALTED_TOLD_MS: u64 = 24 * 3_600_000;

pub(super) fn concerns(facts: &Facts) -> Vec<Concern> {
    let mut concerns: Vec<Concern> = Vec::new();
    let now_ms = facts.fleet.now_ms;
    facts.fleet.nodes.iter().for_each(|node| of_node(node, now_ms, &mut concerns));
    facts.apps.iter().for_each(|app| of_app(app, now_ms, &mut concerns));
    concerns.sort_by_key(|concern| concern.weight);
    concerns
}

fn of_node(node: &Node, now_ms: u64, concerns: &mut Vec<Concern>) {
    let mut add = |weight, text: String| concerns.push(Concern { weight, of: node.node.clone(), text, part: "nodes" });
    let reason = node.health.reason(now_ms).unwrap_or_default();
    match &node.health {
        Health::Serving => {}
        Health::Silent { .. } => add(Weight::Grave, format!("silent {reason}")),
        Health::Unready { .. } => add(Weight::Grave, format!("not ready: {reason}")),
        Health::Behind { .. } => add(Weight::Warning, format!("behind: {reason}")),
        Health::Unknown => add(Weight::Note, reason),
    }
    let minute = &node.minute;
    let share = minute.server_errors as f64 / minute.answers.max(1) as f64;
    if share >= ERRORS_SHARE {
        let rate = words::number(minute.per_second(minute.server_errors));
        let text =
            format!("{rate} server errors a second, {} of its answers in the last minute", words::percent(share));
        add(Weight::Grave, text);
    }
    let Some(told) = &node.told else { return };
    if told.is_twin {
        add(Weight::Warning, "two processes call themselves so: give each a --name of its own".into());
    }
    if let Some(outbox) = &told.outbox {
        if let Some(why) = &outbox.closed {
            add(Weight::Grave, format!("its outbox takes no more writes until it is started again: {why}"));
        }
        let waiting = outbox.waiting_writes.saturating_add(outbox.unsure_writes);
        if waiting > 0 {
            let since =
                outbox.oldest_at_ms.map(|at| format!(", the oldest for {}", words::lasting(now_ms.saturating_sub(at))));
            let what = words::count(waiting, "write waits", "writes wait");
            add(Weight::Warning, format!("{what} for the origin{}", since.unwrap_or_default()));
        }
    }
}

fn of_app(app: &AppFacts, now_ms: u64, concerns: &mut Vec<Concern>) {
    let mut add = |weight, text: String, part| concerns.push(Concern { weight, of: app.name.clone(), text, part });
    if let Some(error) = &app.status.last_error {
        add(Weight::Grave, error.clone(), "releases");
    }
    if let Some(audit) = app.status.audit.as_ref().filter(|audit| !audit.is_same()) {
        let what = audit.difference.as_ref().or(audit.failure.as_ref()).cloned().unwrap_or_default();
        add(
            Weight::Grave,
            format!("the audit found that its read database is not what it should be: {what}"),
            "releases",
        );
    }
    if let Some(held) = app.releases.held {
        let since = words::lasting(now_ms.saturating_sub(held.since_ms));
        add(
            Weight::Note,
            format!("releases are held since the rollback to {}, for {since}", held.rolled_back_to),
            "releases",
        );
    }
    if let Some(Canary { nodes, stands, .. }) = &app.releases.canary {
        let at = nodes.join(", ");
        match stands {
            Stands::Running { waits } if waits.wants_a_hand() => {
                add(Weight::Warning, format!("the canary at {at}: {waits}"), "releases");
            }
            Stands::Running { waits } => add(Weight::Note, format!("a canary runs at {at}: {waits}"), "releases"),
            // Whoever halted it knows.
            Stands::Halted { why: Halted::ByHand | Halted::Replaced, .. } | Stands::Promoted { .. } => {}
            Stands::Halted { why, at_ms } if now_ms.saturating_sub(*at_ms) < HALTED_TOLD_MS => {
                let ago = words::ago(now_ms, *at_ms);
                add(Weight::Warning, format!("the canary at {at} was halted {ago}: {why}"), "releases");
            }
            Stands::Halted { .. } => {}
        }
    }
    for (kind, counts) in &app.kinds {
        if counts.dead > 0 {
            let what = words::count(counts.dead, "dead letter", "dead letters");
            add(Weight::Warning, format!("{what} of {kind}"), "tasks");
        }
        if counts.paused_at_ms.is_some() {
            add(Weight::Note, format!("{kind} is paused, {} due", counts.due), "tasks");
        }
    }
}
