//! What the text of a statement says, as far as its plan does not: under which names its SELECTs read tables, what they
//! compare and sort by, and where they stop.
//!
//! It is read by its tokens, without a grammar: good enough to name a line and to propose an index, which is then tried.

use std::ops::Range;

use super::snapshot::unquoted;
use crate::script::{self, Token};

/// One SELECT, wherever it stands in the statement.
#[derive(Debug, Default)]
pub(super) struct Select<'a> {
    /// Its name, as a common table expression or in FROM; empty in FROM without a name.
    pub(super) name: Option<&'a str>,
    pub(super) sources: Vec<Source<'a>>,
    /// Columns it compares with something.
    pub(super) comparisons: Vec<Comparison<'a>>,
    /// It leaves rows out.
    pub(super) filters: bool,
    /// It makes one row of several, or leaves equal ones out.
    pub(super) gathers: bool,
    /// A UNION, INTERSECT or EXCEPT, of which this is one arm.
    pub(super) compound: bool,
    pub(super) group_by: Sorting<'a>,
    pub(super) order_by: Sorting<'a>,
    pub(super) limit: Limit,
}

/// A table, view, subquery or common table expression in FROM.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) table: &'a str,
    /// What the rest of the statement, and its plan, call it.
    pub(super) called: &'a str,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison<'a> {
    pub(super) column: Column<'a>,
    pub(super) is_equality: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column<'a> {
    pub(super) of: Option<&'a str>,
    pub(super) name: &'a str,
}

#[derive(Debug, Default)]
pub(super) struct Sorting<'a> {
    pub(super) line: Option<usize>,
    /// Columns in order, and whether downwards; empty when something else is sorted by.
    pub(super) columns: Vec<(Column<'a>, bool)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum Limit {
    #[default]
    None,
    Parameter,
    Constant,
}

const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "total",
    "avg",
    "min",
    "max",
    "group_concat",
    "string_agg",
    "json_group_array",
    "json_group_object",
];

/// Words that cannot be an alias without quotes.
const AFTER_A_SOURCE: &[&str] = &[
    "ON",
    "USING",
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "OUTER",
    "CROSS",
    "NATURAL",
    "WHERE",
    "GROUP",
    "ORDER",
    "LIMIT",
    "HAVING",
    "WINDOW",
    "INDEXED",
    "NOT",
    "UNION",
    "INTERSECT",
    "EXCEPT",
];

/// All SELECTs of a statement, outer ones after those they contain.
pub(super) fn selects(sql: &str) -> Vec<Select<'_>> {
    let mut reader = Reader { tokens: script::tokens(sql), selects: Vec::new() };
    if reader.tokens.last().is_some_and(|token| token.text == ";") {
        reader.tokens.pop();
    }
    reader.query(0..reader.tokens.len(), None, false);
    reader.selects
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    selects: Vec<Select<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Clause {
    Head,
    Result,
    From,
    On,
    Where,
    Group,
    Having,
    Order,
    Limit,
}

impl<'a> Reader<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    fn is_name(&self, at: usize) -> bool {
        self.text(at).starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '"' | '`' | '['))
    }

    /// The bracket that closes the one at `open`, or the end.
    fn closing(&self, open: usize, end: usize) -> usize {
        let mut depth = 0;
        for at in open..end {
            match self.text(at) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                return at;
            }
        }
        end
    }

    /// Places in a range that are in no brackets.
    fn outside(&self, range: Range<usize>) -> Vec<usize> {
        let mut places = Vec::new();
        let mut at = range.start;
        while at < range.end {
            places.push(at);
            at = if self.text(at) == "(" { self.closing(at, range.end) + 1 } else { at + 1 };
        }
        places
    }

    fn is_query(&self, at: usize) -> bool {
        self.is_any(at, &["SELECT", "WITH", "VALUES"])
    }

    /// A whole query: one SELECT or several in a compound. `once`: only whether it has a row matters.
    fn query(&mut self, range: Range<usize>, name: Option<&'a str>, once: bool) {
        let mut arms = Vec::new();
        let mut from = range.start;
        for at in self.outside(range.clone()) {
            if self.is_any(at, &["UNION", "INTERSECT", "EXCEPT"]) {
                arms.push(from..at);
                from = at + 1;
            }
        }
        arms.push(from..range.end);
        let compound = arms.len() > 1;
        for arm in arms {
            let mut select = Select { name, compound, ..Select::default() };
            self.arm(arm, &mut select);
            if once && select.limit == Limit::None {
                select.limit = Limit::Constant;
            }
            self.selects.push(select);
        }
    }

    /// Queries in the brackets of an expression.
    fn inside(&mut self, range: Range<usize>) {
        for at in range.clone() {
            if self.text(at) == "(" && self.is_query(at + 1) {
                let once = at > 0 && self.is(at - 1, "EXISTS");
                let end = self.closing(at, range.end);
                self.query(at + 1..end, None, once);
            }
        }
    }

    fn arm(&mut self, range: Range<usize>, select: &mut Select<'a>) {
        let mut clause = Clause::Head;
        let mut clauses: Vec<(Clause, usize, usize)> = Vec::new();
        let mut began = range.start;
        let mut expects_source = false;
        let mut at = range.start;
        while at < range.end {
            let next = match clause {
                _ if self.is(at, "SELECT") => Some(Clause::Result),
                Clause::Result if self.is(at, "FROM") => Some(Clause::From),
                Clause::Head => None,
                _ if self.is(at, "WHERE") => Some(Clause::Where),
                _ if self.is(at, "GROUP") && self.is(at + 1, "BY") => Some(Clause::Group),
                _ if self.is(at, "HAVING") || self.is(at, "WINDOW") => Some(Clause::Having),
                _ if self.is(at, "ORDER") && self.is(at + 1, "BY") => Some(Clause::Order),
                _ if self.is(at, "LIMIT") => Some(Clause::Limit),
                Clause::From if self.is(at, "ON") => Some(Clause::On),
                Clause::On if self.text(at) == "," || self.is(at, "JOIN") => Some(Clause::From),
                _ => None,
            };
            if let Some(next) = next {
                clauses.push((clause, began, at));
                (clause, began) = (next, at + 1);
                expects_source = next == Clause::From;
                match next {
                    Clause::Result => select.gathers |= self.is(at + 1, "DISTINCT"),
                    Clause::Group => select.group_by.line = Some(self.tokens[at].line),
                    Clause::Order => select.order_by.line = Some(self.tokens[at].line),
                    _ => {}
                }
                at += 1;
                continue;
            }
            if self.text(at) == "(" {
                at = self.brackets(at, range.end, clause, expects_source, select);
                expects_source &= self.text(at.saturating_sub(1)) == "(";
                continue;
            }
            if clause == Clause::From {
                if self.text(at) == "," || self.is(at, "JOIN") {
                    expects_source = true;
                } else if expects_source && self.is_name(at) {
                    at = self.source(at, range.end, select);
                    expects_source = false;
                    continue;
                }
            }
            let calls = clause == Clause::Result && self.text(at + 1) == "(";
            select.gathers |= calls && self.is_any(at, AGGREGATES);
            at += 1;
        }
        clauses.push((clause, began, range.end));
        for (clause, from, to) in clauses {
            match clause {
                Clause::Where | Clause::On => self.condition(from..to, clause, select),
                Clause::Group => {
                    select.gathers = true;
                    select.group_by.columns = self.sorting(from + 1..to);
                }
                Clause::Order => select.order_by.columns = self.sorting(from + 1..to),
                Clause::Limit => select.limit = self.limit(from..to),
                _ => {}
            }
        }
    }

    /// What stands in brackets; gives the place to go on at.
    fn brackets(&mut self, open: usize, end: usize, clause: Clause, source: bool, select: &mut Select<'a>) -> usize {
        let close = self.closing(open, end);
        if self.is_query(open + 1) {
            let line = self.tokens[open].line;
            let mut next = close + 1;
            let name = match clause {
                Clause::Head => self.common_name(open),
                Clause::From if source => {
                    let alias = self.alias(next);
                    next = alias.map_or(next, |(_, after)| after);
                    let name = alias.map_or("", |(name, _)| name);
                    select.sources.push(Source { table: name, called: name, line });
                    Some(name)
                }
                _ => None,
            };
            let once = open > 0 && self.is(open - 1, "EXISTS");
            self.query(open + 1..close, name, once);
            return next;
        }
        if clause == Clause::From && source {
            // Brackets around a join say nothing more.
            return open + 1;
        }
        self.inside(open + 1..close);
        close + 1
    }

    /// The name in `name (columns) AS NOT MATERIALIZED (`.
    fn common_name(&self, open: usize) -> Option<&'a str> {
        let mut at = open.checked_sub(1)?;
        while self.is_any(at, &["MATERIALIZED", "NOT"]) {
            at = at.checked_sub(1)?;
        }
        if !self.is(at, "AS") {
            return None;
        }
        at = at.checked_sub(1)?;
        if self.text(at) == ")" {
            while self.text(at) != "(" {
                at = at.checked_sub(1)?;
            }
            at = at.checked_sub(1)?;
        }
        Some(unquoted(self.text(at)))
    }

    /// `[AS] alias`, and the place after it.
    fn alias(&self, at: usize) -> Option<(&'a str, usize)> {
        if self.is(at, "AS") {
            return Some((unquoted(self.text(at + 1)), at + 2));
        }
        (self.is_name(at) && !self.is_any(at, AFTER_A_SOURCE)).then(|| (unquoted(self.text(at)), at + 1))
    }

    /// `[schema.]table [(arguments)] [[AS] alias]`; gives the place after it.
    fn source(&self, at: usize, end: usize, select: &mut Select<'a>) -> usize {
        let line = self.tokens[at].line;
        let mut last = at;
        if self.text(at + 1) == "." {
            last = at + 2;
        }
        let table = unquoted(self.text(last));
        let mut next = last + 1;
        if self.text(next) == "(" {
            next = self.closing(next, end) + 1;
        }
        let alias = self.alias(next).filter(|(_, after)| *after <= end);
        let (called, next) = alias.unwrap_or((table, next));
        select.sources.push(Source { table, called, line });
        next
    }

    fn condition(&self, range: Range<usize>, clause: Clause, select: &mut Select<'a>) {
        let places = self.outside(range.clone());
        if places.iter().any(|at| self.is(*at, "OR")) {
            select.filters = true;
            return;
        }
        let mut from = range.start;
        let mut between = false;
        let mut terms = Vec::new();
        for at in places {
            if self.is(at, "BETWEEN") {
                between = true;
            } else if self.is(at, "AND") && !std::mem::take(&mut between) {
                terms.push(from..at);
                from = at + 1;
            }
        }
        terms.push(from..range.end);
        for term in terms {
            let found = self.compared(term);
            // What joins two tables leaves no row out, as a rule.
            select.filters |= clause == Clause::Where || found.len() < 2;
            select.comparisons.extend(found);
        }
    }

    /// The columns on either side of a comparison.
    fn compared(&self, term: Range<usize>) -> Vec<Comparison<'a>> {
        let mut found = Vec::new();
        if let Some((column, at)) = self.column(term.start, term.end) {
            let is_equality = (self.text(at) == "=" || self.is(at, "IS") || self.is(at, "IN"))
                && !self.is_any(at + 1, &["NOT", "NULL"]);
            let is_range = (matches!(self.text(at), "<" | ">") && self.text(at + 1) != ">") || self.is(at, "BETWEEN");
            if is_equality || is_range {
                found.push(Comparison { column, is_equality });
            }
        }
        for at in term.start + 1..term.end {
            let Some((column, after)) = self.column(at, term.end) else { continue };
            let starts = !matches!(self.text(at - 1), "." | ":" | "@" | "$") && after == term.end;
            if starts && matches!(self.text(at - 1), "=" | "<" | ">") && self.text(at.saturating_sub(2)) != "!" {
                found.push(Comparison { column, is_equality: self.text(at - 1) == "=" });
            }
        }
        found
    }

    /// `[table.]column`, and the place after it.
    fn column(&self, at: usize, end: usize) -> Option<(Column<'a>, usize)> {
        if at >= end || !self.is_name(at) || self.text(at + 1) == "(" {
            return None;
        }
        if self.text(at + 1) == "." && at + 2 < end {
            let column = Column { of: Some(unquoted(self.text(at))), name: unquoted(self.text(at + 2)) };
            return Some((column, at + 3));
        }
        Some((Column { of: None, name: unquoted(self.text(at)) }, at + 1))
    }

    fn sorting(&self, range: Range<usize>) -> Vec<(Column<'a>, bool)> {
        let mut columns = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let Some((column, mut next)) = self.column(at, range.end) else { return Vec::new() };
            let down = next < range.end && self.is(next, "DESC");
            if next < range.end && self.is_any(next, &["ASC", "DESC"]) {
                next += 1;
            }
            if next < range.end && self.text(next) != "," {
                return Vec::new();
            }
            columns.push((column, down));
            at = next + 1;
        }
        columns
    }

    fn limit(&self, range: Range<usize>) -> Limit {
        let is_number = |at: usize| self.text(at).bytes().all(|byte| byte.is_ascii_digit());
        let constant = range.clone().all(|at| is_number(at) || self.text(at) == "," || self.is(at, "OFFSET"));
        if constant { Limit::Constant } else { Limit::Parameter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Select<'_> {
        selects(sql).pop().unwrap()
    }

    #[test]
    fn sources_have_the_names_the_plan_uses() {
        let select =
            one("SELECT 1\nFROM main.item AS i JOIN \"order\" o ON o.item = i.id,\n json_each(?1) j, (a CROSS JOIN b)");
        let names: Vec<_> = select.sources.iter().map(|source| (source.table, source.called, source.line)).collect();
        assert_eq!(names, [("item", "i", 2), ("order", "o", 2), ("json_each", "j", 3), ("a", "a", 3), ("b", "b", 3)]);
        assert!(!select.filters && !select.gathers);
    }

    #[test]
    fn subqueries_and_common_tables_are_selects_of_their_own() {
        let all = selects(
            "WITH found(a) AS MATERIALIZED (SELECT x FROM t LIMIT ?1) SELECT * FROM (SELECT * FROM found LIMIT 3) AS f \
            WHERE EXISTS (SELECT 1 FROM u) AND y = (SELECT max(z) FROM v) UNION SELECT 2",
        );
        let told: Vec<_> = all.iter().map(|select| (select.name, select.limit, select.compound)).collect();
        assert_eq!(
            told,
            [
                (Some("found"), Limit::Parameter, false),
                (Some("f"), Limit::Constant, false),
                (None, Limit::Constant, false),
                (None, Limit::None, false),
                (None, Limit::None, true),
                (None, Limit::None, true),
            ]
        );
        assert!(all[3].gathers);
    }

    #[test]
    fn conditions_name_the_columns_an_index_could_have() {
        let columns = |sql: &'static str| {
            let select = one(sql);
            select.comparisons.iter().map(|c| (c.column.of, c.column.name, c.is_equality)).collect::<Vec<_>>()
        };
        assert_eq!(
            columns("SELECT 1 FROM t WHERE t.a = ?1 AND b BETWEEN 1 AND 2 AND 3 < c AND lower(d) = 'x' AND e IN (1)"),
            [(Some("t"), "a", true), (None, "b", false), (None, "c", false), (None, "e", true)]
        );
        assert_eq!(columns("SELECT 1 FROM t WHERE a = 1 OR b = 2"), []);
        assert_eq!(columns("SELECT 1 FROM t WHERE a <> 1 AND b != c AND d IS NOT NULL"), []);
        assert_eq!(columns("SELECT 1 FROM t JOIN u ON t.a = u.b").len(), 2);
        assert_eq!(columns("SELECT 1 FROM t WHERE a = :from"), [(None, "a", true)]);
    }

    #[test]
    fn sorting_is_by_columns_or_not_known() {
        let select = one("SELECT a FROM t GROUP BY a\nORDER BY t.b DESC, c LIMIT 5, 6");
        assert_eq!((select.group_by.columns.len(), select.order_by.line, select.limit), (1, Some(2), Limit::Constant));
        assert!(select.order_by.columns[0].1 && !select.order_by.columns[1].1);
        assert!(one("SELECT a FROM t ORDER BY lower(a)").order_by.columns.is_empty());
        assert_eq!(one("SELECT a FROM t LIMIT 5 OFFSET ?1").limit, Limit::Parameter);
    }

    #[test]
    fn odd_text_is_read_without_harm() {
        for sql in
            ["", "(", ")", "SELECT", "SELECT (", "FROM", "SELECT 1 FROM", "SELECT 1 FROM (", "a AS (SELECT", "é.ß"]
        {
            selects(sql);
        }
    }
}
