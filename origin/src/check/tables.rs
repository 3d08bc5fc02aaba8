//! Whether the tables an app declares in `[mirror]` and `[data]` are what its migrations and `snapshot.sql` make.

use std::collections::BTreeMap;

use nearside_protocol::app;
use rusqlite::Connection;

use super::{finding::Finding, manifest::Manifest, read_database, rule::Rule, snapshot::Snapshot};
use crate::{
    change_log::{self, MirrorError},
    keyed::{self, KeyedError},
};

type Tables = BTreeMap<String, Vec<String>>;

struct Column {
    name: String,
    kind: String,
    is_key: bool,
    /// Must be given a value when a row is inserted.
    required: bool,
    generated: bool,
}

pub(super) fn data(store: &Connection, data: &Tables, manifest: &Manifest) -> Vec<Finding> {
    let check = |(table, key): (&String, &Vec<String>)| {
        let error = keyed::check(store, &BTreeMap::from([(table.clone(), key.clone())])).err()?;
        let fix = match error {
            KeyedError::NotInStore(_) => "make it in a migration, or take it out of [data]",
            KeyedError::NoKeyColumn { .. } => "add it in a migration, or name the columns that tell rows apart",
            _ => "",
        };
        Some(finding(Rule::DataKey, manifest.line_of(&["data", table]), &error.to_string(), fix))
    };
    data.iter().filter_map(check).collect()
}

pub(super) fn mirror_in_store(store: &Connection, mirror: &Tables, manifest: &Manifest) -> Vec<Finding> {
    let check = |(table, columns): (&String, &Vec<String>)| {
        let error = change_log::check(store, &BTreeMap::from([(table.clone(), columns.clone())])).err()?;
        let fix = match error {
            MirrorError::NoTable(_) => "make it in a migration, or take it out of [mirror]",
            MirrorError::NoColumn { .. } => "add it in a migration, or take it out of [mirror]",
            MirrorError::NotATable(_) => "mirror the tables it is made of, and make the view in snapshot.sql",
            MirrorError::IdIsNotTheKey(_) => "declare it so in a migration: id INTEGER PRIMARY KEY",
            _ => "",
        };
        Some(finding(Rule::MirrorMismatch, manifest.line_of(&["mirror", table]), &error.to_string(), fix))
    };
    mirror.iter().filter_map(check).collect()
}

/// Some of these errors say themselves, after a semicolon, what to do.
fn finding(rule: Rule, line: Option<usize>, error: &str, fix: &str) -> Finding {
    let (what, its_fix) = error.split_once("; ").unwrap_or((error, ""));
    Finding::new(rule, app::FILE_NAME, line, what, if fix.is_empty() { its_fix } else { fix })
}

pub(super) fn mirror_in_read_database(
    read: &Connection,
    mirror: &Tables,
    manifest: &Manifest,
    snapshot: &Snapshot<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, columns) in mirror {
        let line = manifest.line_of(&["mirror", table]);
        let found = columns_of(read, table);
        let mut add = |what: String, fix: &str| {
            findings.push(Finding::new(
                Rule::MirrorMismatch,
                app::FILE_NAME,
                line,
                format!("mirror.{table}: {what}"),
                fix,
            ))
        };
        if found.is_empty() {
            add("snapshot.sql makes no such table".into(), "its CREATE TABLE belongs there, with the mirrored columns");
            continue;
        }
        if !is_row_id(&found) {
            add(
                "in snapshot.sql, `id` must be its INTEGER PRIMARY KEY".into(),
                "declare it so: rows are carried over by it",
            );
        }
        for column in columns {
            match find(&found, column) {
                None => add(
                    format!("snapshot.sql's table has no column `{column}`"),
                    "add it there, or take it out of [mirror]",
                ),
                Some(found) if found.generated => {
                    add(
                        format!("snapshot.sql's column `{column}` is generated"),
                        "make it an ordinary column, or take it out of [mirror]",
                    );
                }
                Some(_) => {}
            }
        }
        for needless in found.iter().filter(|found| found.required && find_name(columns, &found.name).is_none()) {
            add(
                format!("snapshot.sql's column `{}` is NOT NULL and not mirrored", needless.name),
                "mirror it, or give it a default",
            );
        }
        if columns.iter().all(|column| find(&found, column).is_some()) {
            findings.extend(read_database::triggers(read, snapshot, table, columns));
        }
    }
    findings
}

/// A value must come out of the read database as it is in the store: the columns' types must store it alike.
pub(super) fn mirror_alike(
    store: &Connection,
    read: &Connection,
    mirror: &Tables,
    manifest: &Manifest,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, columns) in mirror {
        let (ours, theirs) = (columns_of(store, table), columns_of(read, table));
        for column in columns {
            let (Some(ours), Some(theirs)) = (find(&ours, column), find(&theirs, column)) else { continue };
            if affinity(&ours.kind) != affinity(&theirs.kind) {
                let what = format!(
                    "mirror.{table}: `{column}` is {} in the store and {} in snapshot.sql",
                    named(&ours.kind),
                    named(&theirs.kind)
                );
                findings.push(Finding::new(
                    Rule::MirrorMismatch,
                    app::FILE_NAME,
                    manifest.line_of(&["mirror", table]),
                    what,
                    "declare the same type in both",
                ));
            }
        }
    }
    findings
}

fn named(kind: &str) -> &str {
    if kind.is_empty() { "untyped" } else { kind }
}

/// The rules of sqlite.org/datatype3.html, section 3.1.
fn affinity(kind: &str) -> &'static str {
    let kind = kind.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if kind.is_empty() || kind == "ANY" || has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

fn columns_of(connection: &Connection, table: &str) -> Vec<Column> {
    let sql = "SELECT name, type, pk, \"notnull\" AND dflt_value IS NULL AND pk = 0 AND hidden = 0, hidden IN (2, 3)
        FROM pragma_table_xinfo(?1) WHERE hidden <> 1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Column {
            name: row.get(0)?,
            kind: row.get(1)?,
            is_key: row.get::<_, u32>(2)? > 0,
            required: row.get(3)?,
            generated: row.get(4)?,
        })
    };
    let columns = connection.prepare(sql).and_then(|mut statement| statement.query_map([table], read)?.collect());
    columns.unwrap_or_default()
}

fn is_row_id(columns: &[Column]) -> bool {
    let mut keys = columns.iter().filter(|column| column.is_key);
    let first = keys.next();
    keys.next().is_none()
        && first.is_some_and(|key| key.name.eq_ignore_ascii_case("id") && key.kind.eq_ignore_ascii_case("INTEGER"))
}

fn find<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

fn find_name<'a>(names: &'a [String], name: &str) -> Option<&'a String> {
    names.iter().find(|found| found.eq_ignore_ascii_case(name))
}
