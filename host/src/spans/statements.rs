//! The SQL of one guest: a span for each statement, up to a bound.

use std::time::{Duration, Instant};

use nearside_protocol::limits;

use super::{Kind, Span, Traced};

pub struct Statements {
    traced: Traced,
    left: u32,
}

/// A statement that was run.
pub struct Ran<'a> {
    /// A named query's name, or what kind of statement it is.
    pub summary: &'a str,
    /// Where it is the guest's own; its parameters are no part of it.
    pub text: Option<&'a str>,
    pub took: Duration,
    /// Given back, or changed.
    pub rows: Option<u64>,
    pub failed: Option<String>,
}

impl Statements {
    pub fn of(traced: Option<Traced>) -> Option<Statements> {
        traced.map(|traced| Statements { traced, left: limits::SPANS_OF_SQL })
    }

    /// Notes one that has just ended.
    pub fn ran(&mut self, ran: Ran<'_>) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        let now = Instant::now();
        let mut span: Span = self.traced.span(Kind::Internal, ran.summary.to_owned());
        span = span.since(now.checked_sub(ran.took).unwrap_or(now)).until(now);
        span.set("db.system.name", "sqlite");
        span.set("db.query.summary", ran.summary.to_owned());
        if let Some(text) = ran.text {
            span.set("db.query.text", text.to_owned());
        }
        if let Some(rows) = ran.rows {
            span.set("db.response.returned_rows", rows);
        }
        if let Some(why) = ran.failed {
            span.fail(why);
        }
    }
}

/// What kind of statement a text is: its first word.
pub fn kind_of(sql: &str) -> String {
    const LONGEST: usize = 16;
    let word = sql.split_whitespace().next().unwrap_or_default();
    word.chars().filter(char::is_ascii_alphabetic).take(LONGEST).collect::<String>().to_ascii_uppercase()
}
