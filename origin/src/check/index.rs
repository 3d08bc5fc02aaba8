//! An index that would help a query, found by trying.

use rusqlite::Connection;

use super::{
    plan::Plan,
    plans::{self, Fault, IndexColumns, Tables},
};

/// The CREATE INDEX with which a fault is gone from the query's plan; none if no proposal does that.
pub(super) fn that_helps(read: &Connection, sql: &str, fault: &Fault<'_>, tables: &Tables) -> Option<String> {
    fault.index.iter().find_map(|columns| {
        let made = [false, true].into_iter().map(|quoted| create(&fault.table, columns, quoted));
        made.into_iter().find_map(|index| helps(read, sql, fault, tables, &index).then_some(index))
    })
}

/// Plain names are not quoted as long as SQLite takes them so.
pub(super) fn create(table: &str, columns: &IndexColumns<'_>, quoted: bool) -> String {
    let name = |name: &str| if quoted { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() };
    let list: Vec<String> =
        columns.iter().map(|(column, down)| format!("{}{}", name(column), if *down { " DESC" } else { "" })).collect();
    format!("CREATE INDEX {} ON {} ({})", name(&self::name(table, columns)), name(table), list.join(", "))
}

pub(super) fn name(table: &str, columns: &IndexColumns<'_>) -> String {
    let words: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
    format!("{table}_by_{}", words.join("_"))
}

/// Makes the index, looks at the plan, and puts everything back.
fn helps(read: &Connection, sql: &str, fault: &Fault<'_>, tables: &Tables, index: &str) -> bool {
    let plan = read.execute_batch(&format!("SAVEPOINT try; {index}")).and_then(|()| Plan::of(read, sql));
    let _ = read.execute_batch("ROLLBACK TO try; RELEASE try");
    let still = |plan: &Plan| {
        plans::faults(plan, sql, tables).iter().any(|other| other.cost == fault.cost && other.table == fault.table)
    };
    plan.is_ok_and(|plan| !still(&plan))
}
