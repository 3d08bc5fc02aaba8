//! Two read databases held against each other: all that a query can see of them.
//!
//! Looked at are the schema, every row of every table in the order of its key, with its row id, and of full-text indexes
//! each word at each place, the lengths and numbers that ranking goes by, and their own integrity check. What an index looks like
//! inside (its segments, the order of its pages) depends on how it came about and shows in no answer.

use std::{collections::BTreeSet, fmt};

use nearside_search::Fault;
use rusqlite::{Connection, Row, types::ValueRef};

/// Two that are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Same {
    pub tables: usize,
    /// Rows that were held against each other; of full-text indexes, words at places.
    pub rows: u64,
}

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `table `need``, say.
    pub place: String,
    /// Which row, by its key; none where it is not about a row.
    pub row: Option<String>,
    /// In the one that was kept row by row.
    pub kept: String,
    /// In the one that was made anew.
    pub anew: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { place, row, kept, anew } = self;
        f.write_str(place)?;
        if let Some(row) = row {
            write!(f, ", row {row}")?;
        }
        write!(f, ": kept row by row it is {kept}; made anew it is {anew}")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same(Same),
    Different(Difference),
}

/// Compares `main` of both. Needs connections that may write: full-text indexes check themselves by an INSERT that
/// changes nothing, and are read through temporary tables.
pub fn compare(kept: &Connection, anew: &Connection) -> rusqlite::Result<Verdict> {
    let pair = Pair { kept, anew };
    let mut same = Same::default();
    let mut parts = vec![
        Part::new("the database's settings", SETTINGS, 1),
        Part::new("the schema", "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY type, name", 2),
    ];
    while let Some(part) = parts.pop() {
        // The schema goes first: the rest is asked by it.
        if let Some(difference) = pair.rows(&part, &mut same)? {
            return Ok(Verdict::Different(difference));
        }
    }
    for table in tables(kept)? {
        same.tables += 1;
        let found = match table.kind {
            Kind::FullText => pair.full_text(&table.name, &mut same)?,
            Kind::Search => pair.search(&table.name, &mut same)?,
            Kind::Ordinary { key } => {
                let part = table_part(kept, &table.name, key)?;
                pair.rows(&part, &mut same)?
            }
        };
        if let Some(difference) = found {
            return Ok(Verdict::Different(difference));
        }
    }
    Ok(Verdict::Same(same))
}

/// Whether the file is sound in itself: no page lost, no index that lacks a row.
pub fn integrity(connection: &Connection) -> rusqlite::Result<Option<Difference>> {
    let found: String = connection.query_row("PRAGMA main.integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then(|| Difference {
        place: "the file".into(),
        row: None,
        kept: format!("damaged ({found})"),
        anew: "sound".into(),
    }))
}

const SETTINGS: &str = "SELECT 'user_version', user_version FROM pragma_user_version
    UNION ALL SELECT 'application_id', application_id FROM pragma_application_id
    UNION ALL SELECT 'encoding', encoding FROM pragma_encoding";

struct Table {
    name: String,
    kind: Kind,
}

enum Kind {
    /// How its rows are told apart.
    Ordinary { key: Key },
    /// FTS5's.
    FullText,
    /// `nearside_search`.
    Search,
}

enum Key {
    RowId,
    /// WITHOUT ROWID: by its primary key. SQLite's own tables: by their columns.
    Columns(Vec<String>),
}

/// All but the schema and the shadow tables of virtual ones, whose contents are theirs alone.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql = "SELECT l.name, l.type, l.wr, coalesce(s.sql, '')
        FROM pragma_table_list AS l LEFT JOIN main.sqlite_schema AS s ON s.name = l.name AND s.type = 'table'
        WHERE l.schema = 'main' AND l.type IN ('table', 'virtual') AND l.name <> 'sqlite_schema' ORDER BY l.name";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let (mut tables, mut own) = (Vec::new(), BTreeSet::new());
    while let Some(row) = rows.next()? {
        let (name, kind, without_rowid, sql): (String, String, bool, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let module = if kind == "virtual" { module(&sql) } else { String::new() };
        let kind = match (module.as_str(), without_rowid) {
            ("fts5", _) => Kind::FullText,
            (nearside_search::MODULE, _) => {
                // SQLite does not know that these are the index's.
                own.extend(nearside_search::SHADOW_TABLES.map(|kind| format!("{name}_{kind}")));
                Kind::Search
            }
            (_, true) => Kind::Ordinary { key: Key::Columns(key_columns(connection, &name)?) },
            (_, false) if name.starts_with("sqlite_") => {
                // The order of SQLite's own rows says only when they were first needed.
                Kind::Ordinary { key: Key::Columns(columns(connection, &name)?) }
            }
            (_, false) => Kind::Ordinary { key: Key::RowId },
        };
        tables.push(Table { name, kind });
    }
    tables.retain(|table| !own.contains(&table.name));
    Ok(tables)
}

/// What a virtual table is made by.
fn module(sql: &str) -> String {
    let sql = sql.to_ascii_lowercase();
    let after = sql.split_once("using ").map_or("", |(_, after)| after).trim_start();
    after.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap_or_default().to_owned()
}

fn key_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1, 'main') WHERE pk > 0 ORDER BY pk")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden IN (0, 2, 3)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn table_part(connection: &Connection, table: &str, key: Key) -> rusqlite::Result<Part> {
    let name = quoted(table);
    let place = format!("table `{table}`");
    Ok(match key {
        Key::Columns(columns) => {
            let order: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            let order = order.join(", ");
            // First the key, so that a row is named by it; then everything, the key once more.
            Part::new(place, format!("SELECT {order}, * FROM main.{name} ORDER BY {order}"), columns.len())
        }
        Key::RowId => {
            let columns = columns(connection, table)?;
            let is_free = |alias: &&str| !columns.iter().any(|column| column.eq_ignore_ascii_case(alias));
            match ["rowid", "_rowid_", "oid"].into_iter().find(is_free) {
                Some(alias) => Part::new(place, format!("SELECT {alias}, * FROM main.{name} ORDER BY {alias}"), 1),
                // All three are columns of its own, so no query can see the row id.
                None => Part::new(place, format!("SELECT * FROM main.{name} ORDER BY rowid"), 1),
            }
        }
    })
}

/// A question that both are asked.
struct Part {
    place: String,
    sql: String,
    /// How many columns at the front name a row.
    key_columns: usize,
}

impl Part {
    fn new(place: impl Into<String>, sql: impl Into<String>, key_columns: usize) -> Part {
        Part { place: place.into(), sql: sql.into(), key_columns }
    }
}

struct Pair<'a> {
    kept: &'a Connection,
    anew: &'a Connection,
}

/// The table a full-text index is read through.
const WORDS: &str = "_nearside_words";

impl Pair<'_> {
    /// The same question to both, answers held against each other row by row.
    fn rows(&self, part: &Part, same: &mut Same) -> rusqlite::Result<Option<Difference>> {
        let (mut kept, mut anew) = (self.kept.prepare(&part.sql)?, self.anew.prepare(&part.sql)?);
        let names: Vec<String> = kept.column_names().map(str::to_owned).collect();
        let (mut kept, mut anew) = (kept.query([])?, anew.query([])?);
        let found = |row, kept, anew| Ok(Some(Difference { place: part.place.clone(), row, kept, anew }));
        loop {
            let (one, other) = match (kept.next()?, anew.next()?) {
                (None, None) => return Ok(None),
                (Some(row), None) => {
                    return found(Some(key(row, part)?), whole(row, part, &names)?, "not there".into());
                }
                (None, Some(row)) => {
                    return found(Some(key(row, part)?), "not there".into(), whole(row, part, &names)?);
                }
                (Some(one), Some(other)) => (one, other),
            };
            same.rows += 1;
            for column in 0..names.len() {
                if is_same(one.get_ref(column)?, other.get_ref(column)?) {
                    continue;
                }
                let (row, other_row) = (key(one, part)?, key(other, part)?);
                if row == other_row {
                    let told = |row: &Row<'_>| Ok::<_, rusqlite::Error>(told(row.get_ref(column)?));
                    let row = format!("{row}, column `{}`", names[column]);
                    return found(Some(row), told(one)?, told(other)?);
                }
                // One of them lacks a row: each shows what it has at this place.
                let at = |row: &Row<'_>, key: &str| {
                    Ok::<_, rusqlite::Error>(format!("{key}: {}", whole(row, part, &names)?))
                };
                return found(None, at(one, &row)?, at(other, &other_row)?);
            }
        }
    }

    fn full_text(&self, table: &str, same: &mut Same) -> rusqlite::Result<Option<Difference>> {
        let place = format!("full-text index `{table}`");
        if let Some(fault) = self.unsound(&place, |connection| index_fault(connection, table))? {
            return Ok(Some(fault));
        }
        let shadow = |suffix: &str| quoted(&format!("{table}_{suffix}"));
        let mut parts = vec![
            Part::new(&place, format!("SELECT rowid, * FROM main.{} ORDER BY rowid", quoted(table)), 1),
            Part::new(
                format!("{place}, word at a place"),
                format!("SELECT term, doc, col, \"offset\" FROM temp.{WORDS}"),
                2,
            ),
            Part::new(format!("{place}, setting"), format!("SELECT k, v FROM main.{} ORDER BY k", shadow("config")), 1),
            // The record with the number of rows and words, which ranking goes by.
            Part::new(
                format!("{place}, its averages"),
                // An index that lost its last row counts zero of everything, a new one says nothing: the same to all who ask.
                format!(
                    "SELECT id, CASE trim(hex(block), '0') WHEN '' THEN '' ELSE hex(block) END AS block FROM main.{} WHERE id = 1",
                    shadow("data")
                ),
                1,
            ),
        ];
        if self.kept.table_exists(Some("main"), &format!("{table}_docsize"))? {
            let sql = format!("SELECT id, sz FROM main.{} ORDER BY id", shadow("docsize"));
            parts.push(Part::new(format!("{place}, lengths"), sql, 1));
        }
        for connection in [self.kept, self.anew] {
            let literal = table.replace('\'', "''");
            connection.execute_batch(&format!(
                "CREATE VIRTUAL TABLE temp.{WORDS} USING fts5vocab('main', '{literal}', 'instance')"
            ))?;
        }
        let found = parts.iter().find_map(|part| self.rows(part, same).transpose()).transpose();
        for connection in [self.kept, self.anew] {
            connection.execute_batch(&format!("DROP TABLE temp.{WORDS}"))?;
        }
        found
    }

    /// The first of the two that finds something wrong with itself.
    fn unsound(
        &self,
        place: &str,
        fault: impl Fn(&Connection) -> rusqlite::Result<Option<String>>,
    ) -> rusqlite::Result<Option<Difference>> {
        for (connection, is_kept) in [(self.kept, true), (self.anew, false)] {
            if let Some(fault) = fault(connection)? {
                let sound = || "sound".to_owned();
                let damaged = format!("not what its rows say (its integrity check: {fault})");
                let (kept, anew) = if is_kept { (damaged, sound()) } else { (sound(), damaged) };
                return Ok(Some(Difference { place: place.to_owned(), row: None, kept, anew }));
            }
        }
        Ok(None)
    }

    fn search(&self, table: &str, same: &mut Same) -> rusqlite::Result<Option<Difference>> {
        let index = format!("search index `{table}`");
        if let Some(fault) = self.unsound(&index, |connection| search_fault(connection, table))? {
            return Ok(Some(fault));
        }
        let compared = nearside_search::inspect::compare(self.kept, self.anew, table).map_err(Fault::into_sqlite)?;
        same.rows += compared.held;
        Ok(compared.difference.map(|found| Difference {
            place: format!("{index}, {}", found.place),
            row: None,
            kept: found.one,
            anew: found.other,
        }))
    }
}

/// What FTS5 finds wrong when it holds an index against the rows it is of.
fn index_fault(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let name = quoted(table);
    checked(connection, &format!("INSERT INTO main.{name} ({name}, rank) VALUES ('integrity-check', 1)"))
}

/// The same of a search index.
fn search_fault(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let name = quoted(table);
    checked(connection, &format!("INSERT INTO main.{name} ({name}) VALUES ('integrity-check')"))
}

fn checked(connection: &Connection, sql: &str) -> rusqlite::Result<Option<String>> {
    match connection.execute(sql, []) {
        Ok(_) => Ok(None),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// By kind and bytes: to a query 1 and 1.0 are not the same, nor -0.0 and 0.0.
fn is_same(one: ValueRef<'_>, other: ValueRef<'_>) -> bool {
    match (one, other) {
        (ValueRef::Real(one), ValueRef::Real(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}

fn key(row: &Row<'_>, part: &Part) -> rusqlite::Result<String> {
    let values: Vec<String> =
        (0..part.key_columns).map(|column| Ok(told(row.get_ref(column)?))).collect::<rusqlite::Result<_>>()?;
    Ok(values.join(", "))
}

fn whole(row: &Row<'_>, part: &Part, names: &[String]) -> rusqlite::Result<String> {
    // Where nothing stands beside the key, the key is the row.
    let from = if part.key_columns < names.len() { part.key_columns } else { 0 };
    let values: Vec<String> = (from..names.len())
        .map(|column| Ok(format!("{} {}", names[column], told(row.get_ref(column)?))))
        .collect::<rusqlite::Result<_>>()?;
    Ok(format!("({})", values.join(", ")))
}

/// A value as SQL writes it; only the beginning of a long one.
fn told(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let shown: String = text.chars().take(TOLD_CHARACTERS).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("'{}'{more}", shown.replace('\'', "''"))
        }
        ValueRef::Blob(bytes) => {
            let shown: String = bytes.iter().take(TOLD_CHARACTERS / 2).map(|byte| format!("{byte:02x}")).collect();
            let more = if bytes.len() * 2 > TOLD_CHARACTERS { "…" } else { "" };
            format!("x'{shown}'{more}")
        }
    }
}

const TOLD_CHARACTERS: usize = 120;

/// A name as SQL takes it, whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
