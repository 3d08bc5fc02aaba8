//! A query's plan: what SQLite will do, step by step.

use std::{collections::BTreeMap, fmt};

use rusqlite::Connection;

/// The tree of EXPLAIN QUERY PLAN.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) detail: String,
    pub(super) steps: Vec<Step>,
}

impl Plan {
    pub(crate) fn of(connection: &Connection, sql: &str) -> rusqlite::Result<Plan> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let rows: Vec<(i64, i64, String)> = statement
            .raw_query()
            .mapped(|row| Ok((row.get(0)?, row.get(1)?, row.get(3)?)))
            .collect::<Result<_, _>>()?;
        let mut below: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
        for (id, parent, detail) in rows {
            below.entry(parent).or_default().push((id, detail));
        }
        Ok(Plan { steps: take(&mut below, 0) })
    }
}

fn take(below: &mut BTreeMap<i64, Vec<(i64, String)>>, parent: i64) -> Vec<Step> {
    let children = below.remove(&parent).unwrap_or_default();
    children.into_iter().map(|(id, detail)| Step { detail, steps: take(below, id) }).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        draw(f, &self.steps, "")
    }
}

fn draw(f: &mut fmt::Formatter<'_>, steps: &[Step], margin: &str) -> fmt::Result {
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        writeln!(f, "{margin}{} {}", if last { "└─" } else { "├─" }, step.detail)?;
        draw(f, &step.steps, &format!("{margin}{}", if last { "   " } else { "│  " }))?;
    }
    Ok(())
}

/// What a step means for how many rows are read.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning<'a> {
    /// All rows of something.
    Scan(&'a str),
    /// All rows of a virtual table, without a condition it could use.
    VirtualScan(&'a str),
    /// Some rows, by an index or a condition.
    Search,
    /// Some rows, by an index on these columns that is made for it each time.
    AutomaticIndex {
        of: &'a str,
        columns: &'a str,
    },
    /// Rows that stand in the statement.
    Constant,
    /// Rows put in order before the first is given, for ORDER BY, GROUP BY or DISTINCT.
    Sort(&'a str),
    Other,
}

impl Step {
    pub(super) fn meaning(&self) -> Meaning<'_> {
        let detail = self.detail.as_str();
        if let Some(purpose) = detail.strip_prefix("USE TEMP B-TREE FOR ") {
            let word = ["GROUP BY", "ORDER BY", "DISTINCT"].into_iter().find(|word| purpose.contains(word));
            return word.map_or(Meaning::Other, Meaning::Sort);
        }
        if let Some(rest) = detail.strip_prefix("SCAN ") {
            if rest.ends_with("CONSTANT ROW") || rest.ends_with("CONSTANT ROWS") || rest.contains("-ROW VALUES CLAUSE")
            {
                return Meaning::Constant;
            }
            if let Some((name, index)) = rest.split_once(" VIRTUAL TABLE INDEX ") {
                let condition = index.split_once(':').map_or("", |(_, text)| text.trim_end_matches(" LEFT-JOIN"));
                return if condition.is_empty() { Meaning::VirtualScan(plain(name)) } else { Meaning::Search };
            }
            return Meaning::Scan(plain(rest.split(" USING ").next().unwrap_or(rest)));
        }
        if let Some(rest) = detail.strip_prefix("SEARCH ") {
            let automatic = rest.split_once(" USING AUTOMATIC ");
            return match automatic {
                Some((of, rest)) => {
                    let columns = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
                    Meaning::AutomaticIndex { of: plain(of), columns: columns.map_or("", |(columns, _)| columns) }
                }
                None => Meaning::Search,
            };
        }
        Meaning::Other
    }
}

fn plain(name: &str) -> &str {
    let name = name.strip_suffix(" LEFT-JOIN").unwrap_or(name);
    let name = name.strip_suffix(" EXISTS").unwrap_or(name);
    name.strip_prefix("main.").unwrap_or(name)
}
