//! What the manifest grants and nobody uses.

use std::collections::BTreeMap;

use nearside_protocol::{
    app::{self, App, Outbound},
    queries::{self, Query},
};

use super::{components::Part, finding::Finding, manifest::Manifest, role::Role, rule::Rule};

pub(super) fn unused(
    app: &App,
    parts: &[Part<'_>],
    queries: &BTreeMap<String, Query>,
    manifest: &Manifest,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |rule: Rule, path: &[&str], what: String, fix: &str| {
        findings.push(Finding::new(rule, app::FILE_NAME, manifest.line_of(path), what, fix));
    };
    for part in parts.iter().filter(|part| part.roles.is_empty()) {
        add(
            Rule::UnusedComponent,
            &["components", part.name()],
            format!("component `{}` is used by no route, command or task", part.name()),
            "name it where it is to run, or take it out of [components]",
        );
    }
    // Of a component that cannot be read nobody knows what it uses.
    if parts.iter().all(Part::is_readable) {
        let imports = |role: Role, path: &str| parts.iter().any(|part| part.is(role) && part.imports(path));
        let writes = imports(Role::Handler, ORIGIN) || imports(Role::Task, ORIGIN);
        for name in app.commands.keys().filter(|_| !writes) {
            add(
                Rule::UnusedCommand,
                &["commands", name],
                format!("command `{name}` cannot be submitted: no handler or task imports {ORIGIN}"),
                "submit it from a handler, or take it out",
            );
        }
        for (name, task) in &app.tasks {
            let rings = app.crons.iter().any(|cron| cron.task == *name);
            if !rings && !writes && !imports(Role::Command, STORE) {
                add(
                    Rule::UnusedTask,
                    &["tasks", name],
                    format!("task `{name}` cannot be enqueued: no component imports {ORIGIN} or {STORE}"),
                    "enqueue it from a handler, a command or a task, by a cron, or take it out",
                );
            }
            let sends = parts.iter().any(|part| part.name() == task.component && part.imports(OUTGOING));
            if !task.outbound.is_empty() && !sends {
                add(
                    Rule::UnusedOutbound,
                    &["tasks", name, "outbound"],
                    format!(
                        "task `{name}` may talk to other hosts and cannot: its component does not import {OUTGOING}"
                    ),
                    "take `outbound` out",
                );
            }
        }
        let reads = imports(Role::Handler, SQL);
        if let Some(first) = queries.values().min_by_key(|query| query.line).filter(|_| !reads) {
            findings.push(Finding::new(
                Rule::UnusedQuery,
                queries::FILE_NAME,
                Some(first.statement_line()),
                format!("no handler imports {SQL}, so nobody can run the {} named here", counted(queries.len())),
                "run them from a handler, or take them out",
            ));
        }
        findings.extend(variables(app, parts, manifest));
    }
    findings
}

const ORIGIN: &str = "nearside:edge/origin";
const STORE: &str = "nearside:edge/store";
const SQL: &str = "nearside:edge/sql";
const OUTGOING: &str = "wasi:http/outgoing-handler";
const ENVIRONMENT: &str = "wasi:cli/environment";

/// Variables and secrets that no component can read, and that no `outbound` names.
fn variables(app: &App, parts: &[Part<'_>], manifest: &Manifest) -> Vec<Finding> {
    if parts.iter().any(|part| !part.roles.is_empty() && part.imports(ENVIRONMENT)) {
        return Vec::new();
    }
    let outbound: Vec<&Outbound> = app.tasks.values().flat_map(|task| &task.outbound).collect();
    let named = |name: &str| outbound.iter().any(|host| matches!(host, Outbound::Variable(other) if other == name));
    let finding = |line: Option<usize>, what: &str, name: &str| {
        let what = format!("{what} `{name}` cannot be read: no component imports {ENVIRONMENT}");
        Finding::new(Rule::UnusedVariable, app::FILE_NAME, line, what, "take it out")
    };
    let variables = app.variables.keys().filter(|name| !named(name));
    let variables = variables.map(|name| finding(manifest.line_of(&["variables", name]), "variable", name));
    let secrets = app.secrets.iter().map(|name| finding(manifest.line_of_item("secrets", name), "secret", name));
    variables.chain(secrets).collect()
}

fn counted(queries: usize) -> String {
    if queries == 1 { "query".to_owned() } else { format!("{queries} queries") }
}
