//! A table of `[data]`: its key, the columns the store and the pushed file share, and the statements that merge it.

use rusqlite::{Connection, ErrorCode, OptionalExtension, types::Value};

/// What keeps a table from being merged.
#[derive(Debug, thiserror::Error)]
pub enum KeyedError {
    #[error("data.{0}: the store has no such table; migrations make it")]
    NotInStore(String),
    #[error("data.{table}: the store's table has no column `{column}`")]
    NoKeyColumn { table: String, column: String },
    #[error(
        "data.{table}: nothing keeps its key unique; add to a migration: CREATE UNIQUE INDEX {table}_key ON \"{table}\" ({key})"
    )]
    NotUnique { table: String, key: String },
    #[error("{0}: in the file it is not an ordinary table")]
    NotATable(String),
    #[error("{table}: the file lacks the column `{column}`, which is part of the key")]
    FileLacksKey { table: String, column: String },
    #[error("{table}: the file has a column `{column}` that the store's table does not have")]
    UnknownColumn { table: String, column: String },
    #[error("{table}: {why}")]
    Sqlite { table: String, why: String },
}

impl KeyedError {
    /// A constraint's message, with the words of the staging table put in terms of the file.
    pub(crate) fn explain(error: &rusqlite::Error) -> String {
        let text = error.to_string();
        let staged = text.contains("failed: stage.");
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) if staged && text.starts_with("NOT NULL") => {
                "a part of its key is NULL".to_owned()
            }
            Some(ErrorCode::ConstraintViolation) if staged => "another row of the file has the same key".to_owned(),
            _ => text,
        }
    }
}

/// A table that can be merged.
pub(crate) struct Keyed {
    pub(crate) table: String,
    /// What is taken from the file: the key's columns first.
    pub(crate) columns: Vec<String>,
    key: Vec<KeyColumn>,
}

#[derive(Clone, Debug, PartialEq)]
struct KeyColumn {
    name: String,
    affinity: &'static str,
    collation: String,
}

struct Column {
    name: String,
    kind: String,
    key_place: u32,
    generated: bool,
}

/// Checks that the store can tell rows of these tables apart by their keys.
pub fn check(
    connection: &Connection,
    data: &std::collections::BTreeMap<String, Vec<String>>,
) -> Result<(), KeyedError> {
    data.iter().try_for_each(|(table, key)| key_of(connection, table, key).map(drop))
}

impl Keyed {
    /// Looks at the table in the store and in the attached file; none if the file does not have it.
    pub(crate) fn find(connection: &Connection, table: &str, key: &[String]) -> Result<Option<Keyed>, KeyedError> {
        let key = key_of(connection, table, key)?;
        let fault = sqlite(table);
        let sql = "SELECT type FROM pragma_table_list WHERE schema = 'pushed' AND name = ?1 COLLATE NOCASE";
        let kind: Option<String> = connection.query_row(sql, [table], |row| row.get(0)).optional().map_err(&fault)?;
        match kind.as_deref() {
            None => return Ok(None),
            Some("table") => {}
            Some(_) => return Err(KeyedError::NotATable(table.to_owned())),
        }
        let theirs = columns(connection, table, "pushed").map_err(&fault)?;
        let ours = columns(connection, table, "main").map_err(&fault)?;
        let is_key = |name: &str| key.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        let has = |name: &str| theirs.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        if let Some(missing) = key.iter().find(|column| !has(&column.name)) {
            return Err(KeyedError::FileLacksKey { table: table.to_owned(), column: missing.name.clone() });
        }
        let mut taken: Vec<String> = key.iter().map(|column| column.name.clone()).collect();
        for column in theirs {
            // The store numbers its rows itself.
            if is_key(&column.name) || column.name.eq_ignore_ascii_case("id") {
                continue;
            }
            match ours.iter().find(|ours| ours.name.eq_ignore_ascii_case(&column.name)) {
                Some(ours) if ours.generated => {}
                Some(ours) => taken.push(ours.name.clone()),
                None => return Err(KeyedError::UnknownColumn { table: table.to_owned(), column: column.name }),
            }
        }
        Ok(Some(Keyed { table: table.to_owned(), columns: taken, key }))
    }

    /// A table for the file's keys, with the store's affinities and collations.
    pub(crate) fn stage_sql(&self) -> String {
        let columns: Vec<String> = self
            .key
            .iter()
            .map(|column| format!("\"{}\" {} COLLATE {}", column.name, column.affinity, column.collation))
            .collect();
        let (columns, key) = (columns.join(", "), self.key_list());
        format!(
            "DROP TABLE IF EXISTS temp.stage; CREATE TEMP TABLE stage ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID"
        )
    }

    pub(crate) fn stage_all_sql(&self) -> String {
        let key = self.key_list();
        format!("INSERT INTO temp.stage ({key}) SELECT {key} FROM pushed.\"{}\"", self.table)
    }

    pub(crate) fn stage_one_sql(&self) -> String {
        let values = places(self.columns.len()).join(", ");
        let columns = list(self.columns.iter());
        let key = self.key_list();
        format!(
            "INSERT INTO temp.stage ({key}) SELECT {key} FROM (WITH row ({columns}) AS (VALUES ({values})) SELECT * FROM row)"
        )
    }

    pub(crate) fn delete_sql(&self) -> String {
        let same: Vec<String> =
            self.key.iter().map(|KeyColumn { name, .. }| format!("stage.\"{name}\" = ours.\"{name}\"")).collect();
        let table = &self.table;
        let same = same.join(" AND ");
        format!("DELETE FROM main.\"{table}\" AS ours WHERE NOT EXISTS (SELECT 1 FROM temp.stage WHERE {same})")
    }

    pub(crate) fn select_sql(&self) -> String {
        format!("SELECT {} FROM pushed.\"{}\"", list(self.columns.iter()), self.table)
    }

    pub(crate) fn upsert_all_sql(&self) -> String {
        // SQLite needs the WHERE to tell the upsert's ON from a join's.
        self.upsert_sql(&format!("{} WHERE true", self.select_sql()))
    }

    pub(crate) fn upsert_one_sql(&self) -> String {
        self.upsert_sql(&format!("VALUES ({})", places(self.columns.len()).join(", ")))
    }

    fn upsert_sql(&self, rows: &str) -> String {
        let (table, columns, key) = (&self.table, list(self.columns.iter()), self.key_list());
        let others: Vec<&String> = self.columns[self.key.len()..].iter().collect();
        // A key can change too, in ways its collation does not see. The row counts as different, but the key is written
        // apart, for such rows only: where a key may change, SQLite searches the row's children.
        let blind: Vec<&String> = self.collated_key().collect();
        let settable = if others.is_empty() { &blind } else { &others };
        let insert = format!("INSERT INTO main.\"{table}\" AS ours ({columns}) {rows} ON CONFLICT ({key})");
        if settable.is_empty() {
            return format!("{insert} DO NOTHING");
        }
        let set: Vec<String> = settable.iter().map(|name| format!("\"{name}\" = excluded.\"{name}\"")).collect();
        let differ: Vec<String> = others.iter().chain(&blind).map(|name| differs(name, "excluded")).collect();
        format!("{insert} DO UPDATE SET {} WHERE {}", set.join(", "), differ.join(" OR "))
    }

    /// Writes keys that differ from the file's in ways their collation does not see; none if there can be no such.
    pub(crate) fn respell_sql(&self) -> Option<String> {
        let table = &self.table;
        let set: Vec<String> = self.collated_key().map(|name| format!("\"{name}\" = theirs.\"{name}\"")).collect();
        let same: Vec<String> =
            self.key.iter().map(|KeyColumn { name, .. }| format!("ours.\"{name}\" = theirs.\"{name}\"")).collect();
        let differ: Vec<String> = self.collated_key().map(|name| differs(name, "theirs")).collect();
        (!set.is_empty()).then(|| {
            let (set, same, differ) = (set.join(", "), same.join(" AND "), differ.join(" OR "));
            format!("UPDATE main.\"{table}\" AS ours SET {set} FROM pushed.\"{table}\" AS theirs WHERE {same} AND ({differ})")
        })
    }

    fn collated_key(&self) -> impl Iterator<Item = &String> {
        self.key.iter().filter(|column| column.collation != "BINARY").map(|column| &column.name)
    }

    /// A row of the file, for people.
    pub(crate) fn place(&self, number: u64, values: &[Value]) -> String {
        let shown = |value: &Value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(integer) => integer.to_string(),
            Value::Real(real) => real.to_string(),
            Value::Text(text) => format!("'{}'", text.chars().take(80).collect::<String>()),
            Value::Blob(blob) => format!("{} bytes", blob.len()),
        };
        let key: Vec<String> =
            self.key.iter().zip(values).map(|(column, value)| format!("{} = {}", column.name, shown(value))).collect();
        format!("{} row {number} ({})", self.table, key.join(", "))
    }

    fn key_list(&self) -> String {
        list(self.key.iter().map(|column| &column.name))
    }
}

/// The key's columns as the store has them: with the collation of the index that keeps them unique.
fn key_of(connection: &Connection, table: &str, key: &[String]) -> Result<Vec<KeyColumn>, KeyedError> {
    let fault = sqlite(table);
    let ours = columns(connection, table, "main").map_err(&fault)?;
    if ours.is_empty() {
        return Err(KeyedError::NotInStore(table.to_owned()));
    }
    let mut found = Vec::new();
    for name in key {
        let column = ours
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| KeyedError::NoKeyColumn { table: table.to_owned(), column: name.clone() })?;
        found.push(column);
    }
    let primary = ours.iter().filter(|column| column.key_place > 0).count();
    let is_row_id = found.len() == 1 && primary == 1 && found[0].key_place == 1;
    let collations = match unique_index(connection, table, key).map_err(&fault)? {
        Some(collations) => collations,
        None if is_row_id => vec!["BINARY".to_owned()],
        None => return Err(KeyedError::NotUnique { table: table.to_owned(), key: key.join(", ") }),
    };
    let column = |(column, collation): (&Column, String)| KeyColumn {
        name: column.name.clone(),
        affinity: affinity(&column.kind),
        collation,
    };
    Ok(found.into_iter().zip(collations).map(column).collect())
}

/// The collations of the key's columns in a unique index over just these, if there is one.
fn unique_index(connection: &Connection, table: &str, key: &[String]) -> rusqlite::Result<Option<Vec<String>>> {
    let sql = "SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" AND NOT partial";
    let mut statement = connection.prepare(sql)?;
    let indices: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "SELECT name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key";
    let mut statement = connection.prepare(sql)?;
    for index in indices {
        let columns: Vec<(Option<String>, String)> =
            statement.query_map([&index], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let collation = |name: &String| {
            let of =
                |(column, _): &&(Option<String>, String)| column.as_ref().is_some_and(|c| c.eq_ignore_ascii_case(name));
            columns.iter().find(of).map(|(_, collation)| collation.clone())
        };
        if columns.len() == key.len()
            && let Some(collations) = key.iter().map(collation).collect()
        {
            return Ok(Some(collations));
        }
    }
    Ok(None)
}

fn columns(connection: &Connection, table: &str, schema: &str) -> rusqlite::Result<Vec<Column>> {
    let sql = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1, ?2)";
    let column = |row: &rusqlite::Row<'_>| {
        Ok(Column {
            name: row.get(0)?,
            kind: row.get(1)?,
            key_place: row.get(2)?,
            generated: row.get::<_, u32>(3)? > 1,
        })
    };
    connection.prepare(sql)?.query_map([table, schema], column)?.collect()
}

/// SQLite's rules of column affinity (datatype3.html, section 3.1).
fn affinity(kind: &str) -> &'static str {
    let kind = kind.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    match () {
        () if has(&["INT"]) => "INTEGER",
        () if has(&["CHAR", "CLOB", "TEXT"]) => "TEXT",
        () if kind.is_empty() || has(&["BLOB"]) => "BLOB",
        () if has(&["REAL", "FLOA", "DOUB"]) => "REAL",
        () => "NUMERIC",
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect::<Vec<_>>().join(", ")
}

fn differs(column: &str, other: &str) -> String {
    format!("ours.\"{column}\" IS NOT {other}.\"{column}\" COLLATE BINARY")
}

fn places(count: usize) -> Vec<String> {
    (1..=count).map(|place| format!("?{place}")).collect()
}

fn sqlite(table: &str) -> impl Fn(rusqlite::Error) -> KeyedError {
    move |error| KeyedError::Sqlite { table: table.to_owned(), why: error.to_string() }
}
