//! `queries.sql`: named statements, one after another.
//!
//! ```sql
//! -- name: search
//! -- Anything else in comments is for people.
//! SELECT name FROM package WHERE name >= :from LIMIT 20;
//! ```
//!
//! `-- allow: scan, sort` among a query's lines accepts what `nearside check` would warn of in its plan.

use std::{collections::BTreeMap, fmt};

pub const FILE_NAME: &str = "queries.sql";

#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub name: String,
    pub sql: String,
    /// Line on which the statement's text begins.
    pub line: usize,
    pub allows: Vec<Allowed>,
}

/// What an author accepts in a query although `nearside check` warns of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Reading every row of a table.
    Scan,
    /// Sorting rows before the first is given.
    Sort,
    /// Asking for the current time, so that no page with it is kept.
    Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub what: Allow,
    pub line: usize,
}

impl Allow {
    fn parse(word: &str) -> Option<Allow> {
        Some(match word {
            "scan" => Allow::Scan,
            "sort" => Allow::Sort,
            "clock" => Allow::Clock,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Allow::Scan => "scan",
            Allow::Sort => "sort",
            Allow::Clock => "clock",
        }
    }
}

impl Query {
    pub fn allows(&self, what: Allow) -> bool {
        self.allows.iter().any(|allowed| allowed.what == what)
    }

    /// Line on which the statement itself begins, after its comments.
    pub fn statement_line(&self) -> usize {
        let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("--");
        self.line + self.sql.lines().position(is_code).unwrap_or(0)
    }
}

#[derive(Debug, PartialEq, Clone)]
pub struct QueryError {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FILE_NAME}:{}: {}", self.line, self.message)
    }
}

impl std::error::Error for QueryError {}

/// Splits the file at its `-- name:` lines. What each statement means is SQLite's to say, when it is prepared.
pub fn parse(text: &str) -> Result<BTreeMap<String, Query>, QueryError> {
    let mut queries: BTreeMap<String, Query> = BTreeMap::new();
    let mut open: Option<Query> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(name) = line.trim().strip_prefix("-- name:") {
            close(open.take(), &mut queries)?;
            let name = name.trim();
            let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            if !plain {
                return Err(QueryError {
                    line: number,
                    message: format!("name `{name}`: letters, digits, `-` and `_` expected"),
                });
            }
            if queries.contains_key(name) {
                return Err(QueryError {
                    line: number,
                    message: format!("there is a query named `{name}` above already: give this one another name"),
                });
            }
            open = Some(Query { name: name.to_owned(), sql: String::new(), line: number + 1, allows: Vec::new() });
        } else if let Some(query) = &mut open {
            if let Some(words) = line.trim().strip_prefix("-- allow:") {
                query.allows.extend(allowed(words, number)?);
            }
            query.sql.push_str(line);
            query.sql.push('\n');
        } else if !line.trim().is_empty() && !line.trim_start().starts_with("--") {
            return Err(QueryError {
                line: number,
                message: "a statement without a name: put `-- name: …` above it".into(),
            });
        }
    }
    close(open, &mut queries)?;
    Ok(queries)
}

fn allowed(words: &str, line: usize) -> Result<Vec<Allowed>, QueryError> {
    let known = |word: &str| {
        let what = Allow::parse(word.trim()).ok_or_else(|| QueryError {
            line,
            message: format!(
                "allow `{}`: `scan`, `sort` or `clock` expected, with commas between; a reason stands on a line of its own",
                word.trim()
            ),
        })?;
        Ok(Allowed { what, line })
    };
    words.split(',').map(known).collect()
}

fn close(query: Option<Query>, queries: &mut BTreeMap<String, Query>) -> Result<(), QueryError> {
    let Some(query) = query else { return Ok(()) };
    let has_text = query.sql.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"));
    if !has_text {
        return Err(QueryError {
            line: query.line,
            message: format!("query `{}` has no statement: write one under its name", query.name),
        });
    }
    queries.insert(query.name.clone(), query);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_at_their_names() {
        let queries = parse("-- about\n\n-- name: one\n-- why\nSELECT 1;\n-- name: two\nSELECT\n 2").unwrap();
        assert_eq!(queries["one"].sql, "-- why\nSELECT 1;\n");
        assert_eq!((queries["two"].line, queries["two"].sql.as_str()), (7, "SELECT\n 2\n"));
    }

    #[test]
    fn what_is_accepted_stands_in_the_comments() {
        let queries = parse("-- name: a\n-- Few rows.\n-- allow: scan,sort\nSELECT 1;\n").unwrap();
        let query = &queries["a"];
        assert!(query.allows(Allow::Scan) && query.allows(Allow::Sort) && !query.allows(Allow::Clock));
        assert_eq!((query.allows[0].line, query.statement_line()), (3, 4));
        assert_eq!(Allow::parse(Allow::Clock.word()), Some(Allow::Clock));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line) in [
            ("SELECT 1", 1),
            ("-- name: a b\nSELECT 1", 1),
            ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", 3),
            ("-- name: a\n-- nothing\n", 2),
            ("-- name: a\n-- allow: scan, all\nSELECT 1", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
        assert!(parse("").unwrap().is_empty());
    }
}
