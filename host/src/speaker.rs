//! Who a guest is, and what is told of it: every event about a guest is made here, with the same names on it.

use std::time::Duration;

use nearside_protocol::{limits, queries};

use crate::{
    bindings::edge::types::SqlError,
    budget::{Budget, Role},
    guest::Ended,
    logbook::Kind,
    sql,
};

/// Whom a line of the log is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    pub role: Role,
    pub app: String,
    /// The route's pattern, or the command's or task's name.
    pub place: String,
    /// The release a handler is pinned to; commands and tasks work on what no release holds yet.
    pub release: Option<String>,
    /// Of the request, write or task attempt.
    pub trace: String,
}

/// An event about a guest, in the one form all of them have.
macro_rules! tell {
    ($speaker:expr, $level:ident, $kind:expr, { $($fields:tt)* }, $($message:tt)+) => {{
        let Speaker { app, place, release, trace, .. } = $speaker;
        let release = release.as_deref();
        tracing::$level!(target: $kind.target(), %app, %place, release, %trace, $($fields)* $($message)+)
    }};
}

/// The statement that a guest had run.
pub struct Asked<'a> {
    /// A named query's name, or a command's own SQL.
    pub query: &'a str,
    /// The line of queries.sql where the named query begins.
    pub line: Option<usize>,
    /// How long it was allowed to take.
    pub time: Duration,
}

impl Speaker {
    /// A line that the guest has printed.
    pub(crate) fn said(&self, line: &str) {
        tell!(self, info, Kind::Guest, {}, "{line}");
    }

    /// How the guest came to its end before its time: where it was, and what it had written to stderr by then.
    pub(crate) fn ended(&self, ended: &Ended, backtrace: &str, said: Option<&str>) {
        let line = if backtrace.is_empty() { "" } else { "\n" };
        match ended.overrun() {
            None => tell!(self, error, Kind::Panic, { said, }, "{ended}{line}{backtrace}"),
            Some((budget, value)) => {
                let (name, raised_by) = (budget.name(), budget.raised_by(self.role));
                tell!(self, warn, Kind::Limit, { budget = name, %value, raised_by, said, }, "{ended}{line}{backtrace}");
            }
        }
    }

    /// A statement that did not give what was asked for.
    pub fn query_failed(&self, asked: &Asked<'_>, error: &SqlError) {
        let Asked { query, line, time } = asked;
        let at = line.map(|line| format!("{}:{line}", queries::FILE_NAME));
        let (at, cause) = (at.as_deref(), sql::describe(error));
        match error {
            SqlError::OverLimit(_) => {
                let whole = Duration::from_millis(limits::SQL_QUERY_MS);
                let budget = match sql::overrun(error) {
                    // What was left of the guest's own time was less than a query may take.
                    Some(Budget::QueryTime) if *time < whole => Budget::Deadline,
                    Some(budget) => budget,
                    None => Budget::Deadline,
                };
                let (name, value, raised_by) = (budget.name(), sql_bound(budget, *time), budget.raised_by(self.role));
                tell!(self, warn, Kind::Limit, { budget = name, %value, raised_by, %query, at, }, "a query: {cause}");
            }
            // How a command learns that a row is there already is no fault.
            SqlError::Constraint(_) => tell!(self, debug, Kind::Sql, { %query, at, }, "a query failed: {cause}"),
            _ => tell!(self, warn, Kind::Sql, { %query, at, }, "a query failed: {cause}"),
        }
    }

    /// A handler looked for an input that its route does not declare.
    pub(crate) fn input_missed(&self, input: &str, name: &str, setting: &str) {
        tell!(self, warn, Kind::UndeclaredInput, { input, name, setting, },
            "the route does not declare the {input} `{name}`, so its handler never sees it: add it to `{setting}`");
    }

    /// What went wrong with a guest that itself came to a good end.
    pub(crate) fn failed(&self, cause: &dyn std::fmt::Display) {
        tell!(self, warn, Kind::Host, { %cause, }, "a render failed");
    }
}

fn sql_bound(budget: Budget, time: Duration) -> String {
    match budget {
        Budget::QueryRows => format!("{} rows", limits::SQL_ROWS),
        Budget::QueryBytes => format!("{} bytes", limits::SQL_RESULT_BYTES),
        Budget::ValueBytes => format!("{} bytes", limits::SQL_VALUE_BYTES),
        Budget::SqliteMemory => "all there is".into(),
        Budget::Deadline => format!("{} ms left", time.as_millis()),
        _ => format!("{} ms", time.as_millis()),
    }
}
