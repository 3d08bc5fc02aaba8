//! Mirrored tables and columns that nothing reads: they cost a copy at every node, and leave the origin for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use nearside_protocol::{app, queries::Query};
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::{finding::Finding, manifest::Manifest, read_database, rule::Rule};

/// Table and column, in lower case; without a column when only the rows are counted.
type Read = BTreeSet<(String, String)>;

pub(super) fn unused(
    read: &mut Connection,
    queries: &BTreeMap<String, Query>,
    mirror: &BTreeMap<String, Vec<String>>,
    manifest: &Manifest,
) -> Vec<Finding> {
    let Ok(seen) = what_is_read(read, queries, mirror) else { return Vec::new() };
    let mut findings = Vec::new();
    for (table, columns) in mirror {
        let line = manifest.line_of(&["mirror", table]);
        let mut add = |what: String, fix: &str| {
            findings.push(Finding::new(
                Rule::UnusedMirror,
                app::FILE_NAME,
                line,
                format!("mirror.{table}: {what}"),
                fix,
            ));
        };
        if !seen.iter().any(|(seen, _)| seen.eq_ignore_ascii_case(table)) {
            add("no query, view or trigger reads this table".into(), "take it out of [mirror] and snapshot.sql");
            continue;
        }
        if has_hidden_readers(read, table) {
            continue;
        }
        // `id` is what rows are carried over by.
        let is_unread = |column: &&String| {
            let read = |(t, c): &(String, String)| t.eq_ignore_ascii_case(table) && c.eq_ignore_ascii_case(column);
            !column.eq_ignore_ascii_case("id") && !seen.iter().any(read)
        };
        let unread: Vec<String> =
            columns.iter().skip(1).filter(is_unread).map(|column| format!("`{column}`")).collect();
        if !unread.is_empty() {
            let what = format!("no query, view or trigger reads {}", unread.join(", "));
            add(what, "what nobody reads need not leave the origin: take it out of [mirror] and snapshot.sql");
        }
    }
    findings
}

/// Asks SQLite while it prepares every query, every view, and what fires every trigger.
fn what_is_read(
    read: &mut Connection,
    queries: &BTreeMap<String, Query>,
    mirror: &BTreeMap<String, Vec<String>>,
) -> rusqlite::Result<Read> {
    let seen = Arc::new(Mutex::new(Read::new()));
    // Changes of ours read columns as well; then only what triggers read counts.
    let note = |only_triggers: bool| {
        let seen = seen.clone();
        move |context: AuthContext<'_>| {
            if let AuthAction::Read { table_name, column_name } = context.action
                && (!only_triggers || context.accessor.is_some())
            {
                let mut seen = seen.lock().expect("BUG: nothing panics while holding what is read");
                seen.insert((table_name.to_lowercase(), column_name.to_lowercase()));
            }
            Authorization::Allow
        }
    };
    read.authorizer(Some(note(false)))?;
    for query in queries.values() {
        let _ = read.prepare(&query.sql);
    }
    for view in names(read, "SELECT name FROM sqlite_schema WHERE type = 'view'")? {
        let _ = read.prepare(&format!("SELECT * FROM \"{}\"", view.replace('"', "\"\"")));
    }
    read.authorizer(Some(note(true)))?;
    for (table, columns) in mirror {
        for (_, sql) in read_database::changes(table, columns) {
            let _ = read.prepare(&sql);
        }
    }
    read.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    let seen = seen.lock().expect("BUG: nothing panics while holding what is read");
    Ok(seen.clone())
}

/// Generated columns and full-text indexes over a table's rows read its columns where no statement shows it.
fn has_hidden_readers(read: &Connection, table: &str) -> bool {
    let generated = "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE hidden IN (2, 3))";
    let generated = read.query_row(generated, [table], |row| row.get(0)).unwrap_or(false);
    let sql = "SELECT sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL %'";
    let named = |sql: &String| {
        crate::script::tokens(sql)
            .iter()
            .any(|token| token.text.trim_matches(['\'', '"', '`', '[', ']']).eq_ignore_ascii_case(table))
    };
    generated || names(read, sql).is_ok_and(|indexes| indexes.iter().any(named))
}

fn names(read: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    read.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
