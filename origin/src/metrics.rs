//! `GET /v1/metrics`: what an operator's monitoring asks for and watches, in Prometheus' text format.

use std::fmt::Write;

use nearside_protocol::{
    canary::{Canary, Stands},
    status::{OriginApp, OriginStatus},
    token::Token,
};

pub(crate) fn text(status: &OriginStatus, tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, values: Vec<(&str, u64)>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (app, value) in values {
            // An app's name is letters, digits and `-`.
            let _ = writeln!(text, "{name}{{app=\"{app}\"}} {value}");
        }
    };
    let apps = || status.apps.iter().map(|(name, app)| (name.as_str(), app));
    let audits = || apps().filter_map(|(name, app)| Some((name, app.audit.as_ref()?)));
    let backups = || apps().filter_map(|(name, app)| Some((name, app.backed_up?)));
    family("nearside_commit", "The last commit.", apps().map(|(name, app)| (name, app.commit)).collect());
    family(
        "nearside_writer_transactions",
        "How often the writer has waited for the disk since the start.",
        apps().map(|(name, app)| (name, app.transactions)).collect(),
    );
    for state in ["due", "running", "dead"] {
        let count = |app: &OriginApp| app.tasks.get(state).copied().unwrap_or(0);
        family(
            &format!("nearside_tasks_{state}"),
            &format!("Tasks that are {state}."),
            apps().map(|(name, app)| (name, count(app))).collect(),
        );
    }
    let canaries = || apps().filter_map(|(name, app)| Some((name, app.canary.as_ref()?)));
    family(
        "nearside_canary_running",
        "1 while some nodes try something out.",
        canaries().map(|(name, canary)| (name, u64::from(canary.is_running()))).collect(),
    );
    family(
        "nearside_canary_wants_a_hand",
        "1 while a canary waits for what may never come.",
        canaries().map(|(name, canary)| (name, u64::from(wants_a_hand(canary)))).collect(),
    );
    family(
        "nearside_applied_commit",
        "The last commit in the newest release.",
        apps().map(|(name, app)| (name, app.applied_commit)).collect(),
    );
    family(
        "nearside_audit_same",
        "1 when the last audit found the read database to be what it would be if made anew; 0 when not, or not known.",
        audits().map(|(name, audit)| (name, u64::from(audit.is_same()))).collect(),
    );
    family(
        "nearside_audit_time_seconds",
        "When the last audit ended, Unix time.",
        audits().map(|(name, audit)| (name, audit.at_ms / 1_000)).collect(),
    );
    family(
        "nearside_backed_up_commit",
        "The newest commit in a verified backup.",
        backups().map(|(name, backup)| (name, backup.commit)).collect(),
    );
    family(
        "nearside_backup_time_seconds",
        "When that backup was made, Unix time.",
        backups().map(|(name, backup)| (name, backup.at_ms / 1_000)).collect(),
    );
    if !status.spans.is_empty() {
        let name = "nearside_spans_total";
        let help = "Steps of traced writes, by what became of them on their way to the collector.";
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for (outcome, count) in &status.spans {
            let _ = writeln!(text, "{name}{{outcome=\"{outcome}\"}} {count}");
        }
    }
    let name = "nearside_refused_calls_total";
    let help = "Calls that showed no token, none that is known or good, or one of another role.";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (why, count) in &status.refused_calls {
        let _ = writeln!(text, "{name}{{why=\"{why}\"}} {count}");
    }
    let name = "nearside_token_ends_timestamp_seconds";
    let _ = writeln!(text, "# HELP {name} When a token ends, Unix time.\n# TYPE {name} gauge");
    for (token, end) in tokens.iter().filter_map(|token| Some((token, token.expires_at_ms?))) {
        let Token { id, name: holder, role, .. } = token;
        let _ = writeln!(text, "{name}{{token=\"{holder}\",id=\"{id}\",role=\"{role}\"}} {}", end / 1_000);
    }
    let _ = writeln!(
        text,
        "# HELP nearside_canary How the canary stands, or ended, and why.\n# TYPE nearside_canary gauge"
    );
    for (app, canary) in status.apps.iter().filter_map(|(name, app)| Some((name, app.canary.as_ref()?))) {
        let (state, why) = canary.stands.names();
        let _ = writeln!(text, "nearside_canary{{app=\"{app}\",state=\"{state}\",why=\"{why}\"}} 1");
    }
    text
}

fn wants_a_hand(canary: &Canary) -> bool {
    matches!(&canary.stands, Stands::Running { waits } if waits.wants_a_hand())
}
