//! What is costly in a query's plan: reading every row of a table, indexes made for one run, and sorting.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    plan::{Meaning, Plan, Step},
    statement::{self, Limit, Select, Source},
};

/// The tables of the read database, and the text of its views.
pub(super) struct Tables {
    /// Name in lower case -> name as it was declared, and whether it is virtual.
    tables: BTreeMap<String, (String, bool)>,
    views: Vec<String>,
}

impl Tables {
    pub(super) fn of(read: &Connection) -> rusqlite::Result<Tables> {
        let sql = "SELECT name, type = 'virtual' FROM pragma_table_list
            WHERE schema = 'main' AND type IN ('table', 'virtual')";
        let tables = read
            .prepare(sql)?
            .query_map([], |row| {
                let name: String = row.get(0)?;
                Ok((name.to_lowercase(), (name, row.get(1)?)))
            })?
            .collect::<Result<_, _>>()?;
        let views = read
            .prepare("SELECT sql FROM sqlite_schema WHERE type = 'view' ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Tables { tables, views })
    }

    fn get(&self, name: &str) -> Option<&(String, bool)> {
        self.tables.get(&name.to_lowercase())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    Scan,
    AutomaticIndex,
    Sort,
}

/// One costly thing of a plan.
#[derive(Debug)]
pub(super) struct Fault<'q> {
    pub(super) cost: Cost,
    /// The table it is about; empty for a sort of what comes out of a subquery.
    pub(super) table: String,
    /// What is sorted for, or the columns of an automatic index.
    pub(super) detail: String,
    /// Line within the query's text, where it can be told.
    pub(super) line: Option<usize>,
    pub(super) index: Vec<IndexColumns<'q>>,
}

/// Columns of an index that might help, and whether each is sorted downwards.
pub(super) type IndexColumns<'q> = Vec<(&'q str, bool)>;

/// All that is costly in a plan, each table and each sort once.
pub(super) fn faults<'q>(plan: &Plan, sql: &'q str, tables: &Tables) -> Vec<Fault<'q>> {
    let own = statement::selects(sql);
    let views: Vec<Select<'_>> = tables.views.iter().flat_map(|sql| statement::selects(sql)).collect();
    let mut walk = Walk { own: &own, views: &views, tables, faults: Vec::new() };
    walk.level(&plan.steps);
    walk.faults
}

/// Indexes that might help where the statement itself reads a table, whatever its plan is.
pub(super) fn indexable<'q>(sql: &'q str, tables: &Tables) -> Vec<(String, IndexColumns<'q>)> {
    let selects = statement::selects(sql);
    let common =
        |table: &str| selects.iter().any(|select| select.name.is_some_and(|name| name.eq_ignore_ascii_case(table)));
    let mut found = Vec::new();
    for select in &selects {
        for source in select.sources.iter().filter(|source| !common(source.table)) {
            if let Some((table, false)) = tables.get(source.table) {
                found.extend(columns(select, source).into_iter().map(|columns| (table.clone(), columns)));
            }
        }
    }
    found
}

struct Walk<'w, 'q, 'v> {
    own: &'w [Select<'q>],
    views: &'w [Select<'v>],
    tables: &'w Tables,
    faults: Vec<Fault<'q>>,
}

/// Where a name of the plan comes from.
struct Origin<'w, 'q> {
    table: String,
    is_virtual: bool,
    line: Option<usize>,
    /// In the query's own text.
    place: Option<(&'w Select<'q>, &'w Source<'q>)>,
    /// Whether its SELECT ends by itself after some rows.
    ends: bool,
}

impl<'w, 'q> Walk<'w, 'q, '_> {
    /// The steps of one SELECT are siblings: its loops, then its sorts.
    fn level(&mut self, steps: &[Step]) {
        let sorts: Vec<&str> = steps
            .iter()
            .filter_map(|step| match step.meaning() {
                Meaning::Sort(purpose) => Some(purpose),
                _ => None,
            })
            .collect();
        let mut first = None;
        for step in steps {
            let meaning = step.meaning();
            match &meaning {
                Meaning::Scan(name) | Meaning::VirtualScan(name) => {
                    if let Some(origin) = self.origin(name) {
                        let is_outermost = first.is_none();
                        if !(origin.ends && is_outermost && sorts.is_empty())
                            && (!origin.is_virtual || matches!(meaning, Meaning::VirtualScan(_)))
                        {
                            self.add(Cost::Scan, &origin, String::new());
                        }
                    }
                }
                Meaning::AutomaticIndex { of, columns } => {
                    if let Some(origin) = self.origin(of) {
                        let columns: Vec<&str> =
                            columns.split(" AND ").map(|term| term.trim_end_matches("=?")).collect();
                        self.add(Cost::AutomaticIndex, &origin, columns.join(", "));
                    }
                }
                _ => {}
            }
            if !matches!(meaning, Meaning::Other | Meaning::Sort(_)) && first.is_none() {
                first = Some(step);
            }
            self.level(&step.steps);
        }
        if !sorts.is_empty()
            && let Some(first) = first
            && !self.is_bounded(first)
        {
            self.sort(first, &sorts);
        }
    }

    /// Whether the rows a level begins with are few by construction: of a subquery with a LIMIT, or constants.
    fn is_bounded(&self, first: &Step) -> bool {
        let name = match first.meaning() {
            Meaning::Constant => return true,
            // A table function, such as json_each: its rows come out of one value.
            Meaning::VirtualScan(name) if self.origin(name).is_none() => return true,
            Meaning::Scan(name) => name,
            _ => return false,
        };
        if self.origin(name).is_some() {
            return false;
        }
        let limited = |select: &Select<'_>| select.limit != Limit::None;
        let called: Vec<&Source<'_>> = self.own.iter().flat_map(|select| &select.sources).collect();
        let meant = called.iter().find(|source| source.called.eq_ignore_ascii_case(name)).map_or(name, |s| s.table);
        // A subquery without a name has a number in the plan and none in the text.
        let meant = if meant.starts_with('(') { "" } else { meant };
        let mut inner =
            self.own.iter().filter(|select| select.name.is_some_and(|n| n.eq_ignore_ascii_case(meant))).peekable();
        inner.peek().is_some() && inner.all(limited)
    }

    fn sort(&mut self, first: &Step, purposes: &[&str]) {
        let name = match first.meaning() {
            Meaning::Scan(name) | Meaning::VirtualScan(name) => name.to_owned(),
            Meaning::AutomaticIndex { of, .. } => of.to_owned(),
            _ => first.detail.split(' ').nth(1).unwrap_or_default().to_owned(),
        };
        let mut words: Vec<&str> = purposes.to_vec();
        words.dedup();
        let detail = words.join(" and ");
        match self.origin(&name) {
            Some(origin) => {
                let line = origin.place.and_then(|(select, _)| {
                    let by_group = select.group_by.line.filter(|_| purposes.contains(&"GROUP BY"));
                    by_group.or(select.order_by.line.filter(|_| purposes.contains(&"ORDER BY")))
                });
                let line = line.or(origin.line);
                self.add(Cost::Sort, &Origin { line, ..origin }, detail);
            }
            None => self.faults.push(Fault {
                cost: Cost::Sort,
                table: String::new(),
                detail,
                line: self.own.iter().rev().find_map(|select| select.order_by.line.or(select.group_by.line)),
                index: Vec::new(),
            }),
        }
    }

    fn add(&mut self, cost: Cost, origin: &Origin<'w, 'q>, detail: String) {
        if self.faults.iter().any(|fault| fault.cost == cost && fault.table == origin.table && fault.detail == detail) {
            return;
        }
        let index = origin.place.map_or_else(Vec::new, |(select, source)| columns(select, source));
        self.faults.push(Fault { cost, table: origin.table.clone(), detail, line: origin.line, index });
    }

    /// The table behind a name of the plan; none for subqueries, common tables and table functions.
    fn origin(&self, name: &str) -> Option<Origin<'w, 'q>> {
        let common = |table: &str| {
            let named = |select: &Select<'_>| select.name.is_some_and(|name| name.eq_ignore_ascii_case(table));
            self.own.iter().any(named)
        };
        let own = self.own;
        if let Some((select, source)) = find(own, name) {
            if common(source.table) {
                return None;
            }
            // A view's rows come out of its own SELECT, under the names that has.
            if let Some((table, is_virtual)) = self.tables.get(source.table) {
                return Some(Origin {
                    table: table.clone(),
                    is_virtual: *is_virtual,
                    line: Some(source.line),
                    place: Some((select, source)),
                    ends: ends(select),
                });
            }
        }
        if let Some((select, source)) = find(self.views, name)
            && let Some((table, is_virtual)) = self.tables.get(source.table)
        {
            return Some(Origin {
                table: table.clone(),
                is_virtual: *is_virtual,
                line: None,
                place: None,
                ends: ends(select),
            });
        }
        let (table, is_virtual) = self.tables.get(name)?;
        Some(Origin { table: table.clone(), is_virtual: *is_virtual, line: None, place: None, ends: false })
    }
}

/// By the name the plan uses: the alias, or (where SQLite only counts) the table's own.
fn find<'w, 'q>(selects: &'w [Select<'q>], name: &str) -> Option<(&'w Select<'q>, &'w Source<'q>)> {
    let all = || selects.iter().flat_map(|select| select.sources.iter().map(move |source| (select, source)));
    all()
        .find(|(_, source)| source.called.eq_ignore_ascii_case(name))
        .or_else(|| all().find(|(_, source)| source.table.eq_ignore_ascii_case(name)))
}

/// It gives each row it reads, up to a number that stands in the text.
fn ends(select: &Select<'_>) -> bool {
    select.limit == Limit::Constant && !select.filters && !select.gathers && !select.compound
}

/// Indexes that might help, the best first.
fn columns<'q>(select: &Select<'q>, source: &Source<'q>) -> Vec<IndexColumns<'q>> {
    let alone = select.sources.len() == 1;
    let belongs = |of: Option<&str>| match of {
        Some(of) => of.eq_ignore_ascii_case(source.called),
        None => alone,
    };
    let mut equal: IndexColumns<'q> = Vec::new();
    let mut range: IndexColumns<'q> = Vec::new();
    for comparison in select.comparisons.iter().filter(|comparison| belongs(comparison.column.of)) {
        let list = if comparison.is_equality { &mut equal } else { &mut range };
        if !list.iter().any(|(name, _)| *name == comparison.column.name) {
            list.push((comparison.column.name, false));
        }
    }
    let sorted = |sorting: &statement::Sorting<'q>| -> IndexColumns<'q> {
        let own = sorting.columns.iter().all(|(column, _)| belongs(column.of));
        let columns = sorting.columns.iter().map(|(column, down)| (column.name, *down));
        if own { columns.collect() } else { Vec::new() }
    };
    let (group, order) = (sorted(&select.group_by), sorted(&select.order_by));
    let by = if group.is_empty() { order } else { group };
    // All the same way: an index is read backwards as well as forwards.
    let by: IndexColumns<'q> =
        if by.iter().all(|(_, down)| *down) { by.into_iter().map(|(name, _)| (name, false)).collect() } else { by };
    let with = |more: &IndexColumns<'q>| -> IndexColumns<'q> {
        let fresh = more.iter().filter(|(name, _)| !equal.iter().any(|(other, _)| other == name));
        equal.iter().chain(fresh).copied().collect()
    };
    let mut candidates = vec![with(&by), with(&range.iter().take(1).copied().collect()), equal.clone(), by];
    candidates.retain(|columns| !columns.is_empty());
    candidates.dedup();
    candidates
}
