//! Indexes that might make a query cheaper on the database it runs on, whether or not its plan looks costly: a search by a poor
//! index looks like any other. And what is costly, in a word or two.

use std::collections::BTreeMap;

use nearside_protocol::{
    limits,
    queries::{Allow, Query},
};
use rusqlite::Connection;

use super::{
    index,
    plan::Plan,
    plans::{self, Cost, IndexColumns, Tables},
};

/// An index that may help, or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) name: String,
    /// CREATE INDEX.
    pub(crate) sql: String,
}

impl Proposal {
    /// Whether a plan makes use of it.
    pub(crate) fn is_used(&self, plan: &Plan) -> bool {
        let text = plan.to_string();
        let used = format!("INDEX {}", self.name);
        text.match_indices(&used)
            .any(|(at, _)| matches!(text.as_bytes().get(at + used.len()), None | Some(b' ' | b'\n')))
    }
}

/// For what the plan does worst first; each once, so many at most, none that SQLite does not take, and none whose columns an
/// index or a key begins with already.
pub(crate) fn proposals(read: &Connection, sql: &str) -> rusqlite::Result<Vec<Proposal>> {
    let tables = Tables::of(read)?;
    let faults = plans::faults(&Plan::of(read, sql)?, sql, &tables);
    let of_faults =
        faults.iter().flat_map(|fault| fault.index.iter().map(|columns| (fault.table.clone(), columns.clone())));
    let mut found: Vec<Proposal> = Vec::new();
    for (table, columns) in of_faults.chain(plans::indexable(sql, &tables)) {
        if is_there(read, &table, &columns)? {
            continue;
        }
        let proposal = [false, true].into_iter().map(|quoted| Proposal {
            name: index::name(&table, &columns),
            sql: index::create(&table, &columns, quoted),
        });
        let taken = proposal.into_iter().find(|proposal| read.prepare(&proposal.sql).is_ok());
        found.extend(taken.filter(|one| !found.contains(one)));
        if found.len() == limits::ADVICE_INDEXES {
            break;
        }
    }
    Ok(found)
}

/// Partial indexes hold some rows only.
fn is_there(read: &Connection, table: &str, columns: &IndexColumns<'_>) -> rusqlite::Result<bool> {
    let key = "SELECT 'key', name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
    let indexes = "SELECT l.name, i.name FROM pragma_index_list(?1) AS l JOIN pragma_index_info(l.name) AS i
        WHERE NOT l.partial ORDER BY l.seq, i.seqno";
    let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sql in [key, indexes] {
        let mut statement = read.prepare(sql)?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            // A column of an index on expressions has no name.
            there.entry(row.get(0)?).or_default().push(row.get::<_, Option<String>>(1)?.unwrap_or_default());
        }
    }
    let begins = |known: &Vec<String>| {
        let same = |(known, (name, down)): (&String, &(&str, bool))| known.eq_ignore_ascii_case(name) && !down;
        known.len() >= columns.len() && known.iter().zip(columns).all(same)
    };
    Ok(there.values().any(begins))
}

/// What is costly in a query's plan, but for what its author accepts and what reads small tables.
pub(crate) fn costly(read: &Connection, query: &Query) -> Vec<String> {
    let (Ok(plan), Ok(tables)) = (Plan::of(read, &query.sql), Tables::of(read)) else { return Vec::new() };
    let told = |fault: plans::Fault<'_>| {
        let allow = if fault.cost == Cost::Sort { Allow::Sort } else { Allow::Scan };
        if query.allows(allow) || (!fault.table.is_empty() && is_small(read, &fault.table)) {
            return None;
        }
        Some(match fault.cost {
            Cost::Scan => format!("reads every row of {}", fault.table),
            Cost::AutomaticIndex => format!("makes an index on {} each time", fault.table),
            Cost::Sort => format!("sorts for {}", fault.detail),
        })
    };
    plans::faults(&plan, &query.sql, &tables).into_iter().filter_map(told).collect()
}

fn is_small(read: &Connection, table: &str) -> bool {
    let name = table.replace('"', "\"\"");
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM \"{name}\" LIMIT {})", limits::SCAN_ROWS);
    read.query_row(&sql, [], |row| row.get::<_, i64>(0)).is_ok_and(|rows| rows < limits::SCAN_ROWS)
}

#[cfg(test)]
mod tests {
    use nearside_protocol::queries;

    use super::*;

    fn catalogue() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE item (id INTEGER PRIMARY KEY, name, kind, size);
                 CREATE INDEX item_by_kind ON item (kind);
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
                 INSERT INTO item SELECT n, n, n % 2, n FROM n;
                 CREATE TABLE \"order\" (id INTEGER PRIMARY KEY, item, \"group\");",
            )
            .unwrap();
        connection
    }

    fn proposed(sql: &str) -> Vec<String> {
        proposals(&catalogue(), sql).unwrap().into_iter().map(|proposal| proposal.sql).collect()
    }

    #[test]
    fn equal_columns_come_first_then_one_range_or_the_order() {
        assert_eq!(
            proposed("SELECT id FROM item WHERE name = ?1 AND size > ?2 ORDER BY kind"),
            [
                "CREATE INDEX item_by_name_kind ON item (name, kind)",
                "CREATE INDEX item_by_name_size ON item (name, size)",
                "CREATE INDEX item_by_name ON item (name)",
            ]
        );
        // Its plan has nothing that is looked for: it searches by `kind`.
        assert_eq!(
            proposed("SELECT id FROM item WHERE kind = ?1 AND name = ?2"),
            ["CREATE INDEX item_by_kind_name ON item (kind, name)"]
        );
        assert_eq!(
            proposed("SELECT id FROM \"order\" AS o WHERE o.\"group\" = 3"),
            ["CREATE INDEX \"order_by_group\" ON \"order\" (\"group\")"]
        );
        // The key and the index on `kind` are there.
        assert!(proposed("SELECT name FROM item WHERE id = ?1").is_empty());
        assert!(proposed("SELECT id FROM item WHERE kind = ?1").is_empty());
        assert!(proposed("SELECT id FROM item WHERE lower(name) = ?1").is_empty());
        assert!(proposed("SELECT 1").is_empty());
    }

    #[test]
    fn a_proposal_is_used_under_its_whole_name() {
        let read = catalogue();
        let sql = "SELECT id FROM item WHERE kind = ?1 AND name = ?2";
        let proposal = proposals(&read, sql).unwrap().remove(0);
        assert!(!proposal.is_used(&Plan::of(&read, sql).unwrap()));
        read.execute_batch(&proposal.sql).unwrap();
        let plan = Plan::of(&read, sql).unwrap();
        assert!(proposal.is_used(&plan), "{plan}");
        let other = Proposal { name: "item_by_kind".into(), sql: String::new() };
        assert!(!other.is_used(&plan), "{plan}");
    }

    #[test]
    fn what_is_small_or_meant_is_not_costly() {
        let read = catalogue();
        let of = |sql: &str| costly(&read, &queries::parse(&format!("-- name: q\n{sql}")).unwrap()["q"]);
        assert_eq!(
            of("SELECT id FROM item WHERE name = ?1 ORDER BY size"),
            ["reads every row of item", "sorts for ORDER BY"]
        );
        assert_eq!(of("-- allow: scan\nSELECT id FROM item WHERE name = ?1 ORDER BY size"), ["sorts for ORDER BY"]);
        assert!(of("SELECT item FROM \"order\" WHERE \"group\" = 3").is_empty());
        assert!(of("SELECT name FROM item WHERE id = 3").is_empty());
    }
}
