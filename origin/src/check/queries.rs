//! Each named query, prepared on the read schema: whether a node would take it, and what it would cost there.

use std::collections::BTreeMap;

use nearside_host::sql::{self, Grant, Guarded};
use nearside_protocol::queries::{Allow, FILE_NAME, Query};
use rusqlite::Connection;

use super::{
    finding::Finding,
    hint, index,
    plan::Plan,
    plans::{self, Cost, Fault, Tables},
    rule::Rule,
};
use crate::script;

pub(super) fn check(read: Connection, queries: &BTreeMap<String, Query>) -> Vec<Finding> {
    let broken = |error: rusqlite::Error| {
        vec![Finding::new(Rule::QueryInvalid, FILE_NAME, None, format!("queries cannot be tried: {error}"), "")]
    };
    let tables = match Tables::of(&read) {
        Ok(tables) => tables,
        Err(error) => return broken(error),
    };
    match Guarded::new(read, Grant::Read) {
        Ok(mut guarded) => queries.values().flat_map(|query| one(&mut guarded, query, &tables)).collect(),
        Err(error) => broken(error),
    }
}

/// The plans of all queries that can be prepared, by name.
pub(super) fn plans(read: Connection, queries: &BTreeMap<String, Query>) -> Vec<(Query, Plan)> {
    // The same settings as at a node: they have a say in the plan.
    let Ok(mut guarded) = Guarded::new(read, Grant::Read) else { return Vec::new() };
    let plan = |query: &Query| {
        let plan = guarded.trusted(|connection| Plan::of(connection, &query.sql)).ok()?;
        Some((query.clone(), plan))
    };
    queries.values().filter_map(plan).collect()
}

fn finding(rule: Rule, query: &Query, line: usize, what: &str, fix: impl Into<String>) -> Finding {
    Finding::new(rule, FILE_NAME, Some(line), format!("query `{}` {what}", query.name), fix)
}

fn one(guarded: &mut Guarded, query: &Query, tables: &Tables) -> Vec<Finding> {
    if let Some(refused) = refused(guarded, query) {
        return vec![refused];
    }
    let reads_clock = match examined(guarded, query) {
        Ok(reads_clock) => reads_clock,
        Err(finding) => return vec![*finding],
    };
    let mut findings = Vec::new();
    if reads_clock && !query.allows(Allow::Clock) {
        findings.push(finding(
            Rule::QueryReadsClock,
            query,
            query.statement_line(),
            "asks for the current time, so no page that runs it is kept in the cache",
            "store the time in a column, or accept it: `-- allow: clock` among the query's comments",
        ));
    }
    let costs = guarded.trusted(|connection| costs(connection, query, tables));
    let scans = costs.iter().any(|(cost, _)| *cost != Cost::Sort);
    let sorts = costs.iter().any(|(cost, _)| *cost == Cost::Sort);
    let accepted = |cost: Cost| query.allows(if cost == Cost::Sort { Allow::Sort } else { Allow::Scan });
    findings.extend(costs.into_iter().filter(|(cost, _)| !accepted(*cost)).map(|(_, finding)| finding));
    for allowed in &query.allows {
        let needed = match allowed.what {
            Allow::Scan => scans,
            Allow::Sort => sorts,
            Allow::Clock => reads_clock,
        };
        if !needed {
            let word = allowed.what.word();
            findings.push(finding(
                Rule::QueryAllowUnused,
                query,
                allowed.line,
                &format!("accepts a {word} and has none"),
                format!("take `{word}` out of the comment"),
            ));
        }
    }
    findings
}

/// What SQLite says to it, with the place in the text, and what may not be in a named query.
fn refused(guarded: &mut Guarded, query: &Query) -> Option<Finding> {
    guarded.trusted(|connection| match connection.prepare(&query.sql) {
        Ok(statement) if !statement.readonly() => Some(finding(
            Rule::QueryWrites,
            query,
            query.statement_line(),
            "changes something, and named queries only read",
            "put the change into a command: it runs at the origin, in a transaction",
        )),
        Ok(_) => None,
        Err(rusqlite::Error::MultipleStatement) => {
            let second = script::split(&query.sql).get(1).map_or(0, |statement| statement.line - 1);
            Some(finding(
                Rule::QuerySeveral,
                query,
                query.line + second,
                "has a second statement here",
                "give it a name of its own: `-- name: …` above it",
            ))
        }
        Err(error) => {
            let (line, why) = script::place(query.line, &query.sql, &error);
            let line = line.max(query.statement_line());
            let hint = hint::of(connection, &why);
            let what = if why.contains("syntax error") { "cannot be read" } else { "does not fit snapshot.sql" };
            Some(finding(Rule::QueryInvalid, query, line, &format!("{what}: {why}"), hint))
        }
    })
}

/// Whether it reads the clock; or that it uses what a guest may not.
fn examined(guarded: &mut Guarded, query: &Query) -> Result<bool, Box<Finding>> {
    guarded.examine(&query.sql).map(|examined| examined.reads_clock).map_err(|error| {
        let why = sql::describe(&error).split(" in ").next().unwrap_or_default();
        let (what, fix) = match why.strip_prefix("not authorized to use function: ") {
            Some(function) => (
                format!("uses {function}(), whose value is not in the pages of the read database"),
                "choose such values in the handler and pass them as parameters: the same request must give the same page",
            ),
            None => (
                format!("reads what is not the app's own: {why}"),
                "queries read the tables and views of snapshot.sql: no PRAGMA, no tables that begin with `_nearside_`",
            ),
        };
        Box::new(finding(Rule::QueryDenied, query, query.statement_line(), &what, fix))
    })
}

fn costs(connection: &Connection, query: &Query, tables: &Tables) -> Vec<(Cost, Finding)> {
    let Ok(plan) = Plan::of(connection, &query.sql) else { return Vec::new() };
    let told = |fault: Fault<'_>| {
        let index = index::that_helps(connection, &query.sql, &fault, tables);
        (fault.cost, told(query, &fault, index.as_deref()))
    };
    plans::faults(&plan, &query.sql, tables).into_iter().map(told).collect()
}

fn told(query: &Query, fault: &Fault<'_>, index: Option<&str>) -> Finding {
    let table = &fault.table;
    let (rule, word, what, otherwise) = match fault.cost {
        Cost::Scan => (
            Rule::QueryPlanScan,
            "scan",
            format!("reads every row of `{table}`"),
            "compare an indexed column in WHERE, or keep what is asked for in a table of its own, by triggers"
                .to_owned(),
        ),
        Cost::AutomaticIndex => (
            Rule::QueryPlanAutomaticIndex,
            "scan",
            format!("makes an index on `{table}` ({}) each time it runs, from all of its rows", fault.detail),
            format!("make one in snapshot.sql that begins with {}", fault.detail),
        ),
        Cost::Sort => (
            Rule::QueryPlanSort,
            "sort",
            match table.as_str() {
                "" => format!("sorts all it finds for {} before it gives a row", fault.detail),
                table => format!("sorts all it finds in `{table}` for {} before it gives a row", fault.detail),
            },
            "sort by what an index has in that order, or sort no more than a subquery with a LIMIT gives".to_owned(),
        ),
    };
    let better = index.map_or(otherwise, |index| format!("add to snapshot.sql: {index};"));
    let line = fault.line.map_or_else(|| query.statement_line(), |line| query.line + line - 1);
    let fix = format!("{better}\n    or, if it stays small, accept it among the query's comments: -- allow: {word}");
    finding(rule, query, line, &what, fix)
}
