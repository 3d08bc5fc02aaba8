//! What a new release does to the plans of queries: one that begins to read every row of a table makes pages slow without
//! any being wrong, so it is found before visitors find it.

use std::collections::{BTreeMap, BTreeSet};

use nearside_protocol::{limits, queries::Allow};
use rusqlite::Connection;

use crate::{
    database::{Database, DatabaseError},
    release::Release,
};

#[derive(Debug, thiserror::Error)]
pub enum NewScan {
    #[error(
        "queries.sql:{line}: query `{query}` now reads every row of `{table}`, and did not in the release that is served; \
         publish the index it used, or write `-- allow: scan` above it"
    )]
    Found { query: String, line: usize, table: String },
    #[error("the plans of its queries cannot be seen: {0}")]
    Database(#[from] DatabaseError),
}

/// Compares the plans of the queries that both releases have. Called when anything changed that a plan depends on.
pub fn compare(served: &Release, next: &Release) -> Result<(), NewScan> {
    let shared = |name: &&String| served.queries.contains_key(*name);
    let watched: Vec<&String> = next
        .queries
        .keys()
        .filter(shared)
        .filter(|name| !next.code.queries.get(*name).is_some_and(|query| query.allows(Allow::Scan)))
        .collect();
    let texts = |release: &Release| -> BTreeMap<String, String> {
        watched.iter().map(|name| ((*name).clone(), release.queries[*name].sql.to_string())).collect()
    };
    let now = scans(&next.database, &texts(next))?;
    // Most releases have none at all.
    if now.values().all(BTreeSet::is_empty) {
        return Ok(());
    }
    let before = scans(&served.database, &texts(served))?;
    for (query, tables) in now {
        let known = before.get(&query);
        let new = tables.into_iter().find(|table| !known.is_some_and(|known| known.contains(table)));
        if let Some(table) = new {
            let line = next.code.queries.get(&query).map_or(0, |query| query.statement_line());
            return Err(NewScan::Found { query, line, table });
        }
    }
    Ok(())
}

/// The larger tables, as the plan calls them, that each query reads from end to end without an index.
fn scans(
    database: &std::sync::Arc<Database>,
    queries: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, BTreeSet<String>>, DatabaseError> {
    let mut reader = database.reader()?;
    Ok(reader.trusted(|connection| {
        // A query whose plan cannot be shown was prepared all the same: nothing is held against it.
        let of = |sql: &String| scanned(connection, sql).unwrap_or_default();
        queries.iter().map(|(name, sql)| (name.clone(), of(sql))).collect()
    }))
}

fn scanned(connection: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let steps: Vec<String> = statement.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<_>>()?;
    // Results of subqueries are scanned, too: what made them is a step of its own.
    let made: BTreeSet<&str> = steps
        .iter()
        .filter_map(|step| step.strip_prefix("CO-ROUTINE ").or_else(|| step.strip_prefix("MATERIALIZE ")))
        .collect();
    let tables = steps.iter().filter_map(|step| full_scan(step)).filter(|name| !made.contains(name));
    Ok(tables.filter(|name| !is_small(connection, name)).map(str::to_owned).collect())
}

/// The name in a step that reads a table itself from its first row to its last.
fn full_scan(step: &str) -> Option<&str> {
    let rest = step.strip_prefix("SCAN ")?;
    let is_other = rest.contains(" USING ")
        || rest.contains(" VIRTUAL TABLE INDEX ")
        || rest.contains("CONSTANT ROW")
        || rest.contains("-ROW VALUES CLAUSE")
        || rest.starts_with('(');
    let name = rest.trim_end_matches(" LEFT-JOIN").trim_end_matches(" EXISTS");
    (!is_other).then(|| name.strip_prefix("main.").unwrap_or(name))
}

/// A plan may name a table by its alias; then it counts as large.
fn is_small(connection: &Connection, table: &str) -> bool {
    let name = table.replace('"', "\"\"");
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM \"{name}\" LIMIT {})", limits::SCAN_ROWS);
    connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).is_ok_and(|rows| rows < limits::SCAN_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sql: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE large (id INTEGER PRIMARY KEY, name, kind);
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
                 INSERT INTO large SELECT n, n, n FROM n;
                 CREATE TABLE small (id INTEGER PRIMARY KEY, name);",
            )
            .unwrap();
        connection.execute_batch(sql).unwrap();
        connection
    }

    fn scans(connection: &Connection, sql: &str) -> Vec<String> {
        scanned(connection, sql).unwrap().into_iter().collect()
    }

    #[test]
    fn reading_a_large_table_from_end_to_end_is_seen() {
        let bare = with("");
        let query = "SELECT * FROM large WHERE name = :name";
        assert_eq!(scans(&bare, query), ["large"]);
        assert!(scans(&with("CREATE INDEX by_name ON large (name)"), query).is_empty());
        assert_eq!(scans(&bare, "SELECT * FROM large AS l WHERE l.kind > 3"), ["l"]);
    }

    #[test]
    fn what_costs_little_is_not_held_against_a_query() {
        let connection = with("CREATE INDEX by_kind ON large (kind)");
        for fine in [
            "SELECT * FROM small",
            "SELECT * FROM large WHERE id = 3",
            "SELECT kind FROM large ORDER BY kind",
            "SELECT 1",
            "SELECT * FROM json_each('[1]')",
            "WITH few AS MATERIALIZED (SELECT * FROM large WHERE id < 3) SELECT * FROM few",
        ] {
            assert!(scans(&connection, fine).is_empty(), "{fine}: {:?}", scans(&connection, fine));
        }
    }
}
