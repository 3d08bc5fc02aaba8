//! What is known of a request that failed, out of the logbook.

use std::fmt::Write;

use nearside_host::logbook::{Entry, Kind, Level, Logbook};

use super::trouble::Trouble;
use crate::ansi::Span;

/// A backtrace has many frames; the first ones say where it was.
const LINES_MOST: usize = 60;

/// All that was logged about a request, the worst first; none if nothing was.
pub fn of_trace(logbook: &Logbook, trace: &str) -> Option<Trouble> {
    let mut entries = logbook.of_trace(trace);
    entries.sort_by_key(|entry| (rank(entry.kind), entry.seq));
    let worst = entries.first()?;
    let title = match worst.kind {
        Kind::Panic => "The handler failed",
        Kind::Limit => "A limit was reached",
        Kind::Sql => "A query failed",
        _ => "The page could not be made",
    };
    let title = match &worst.place {
        Some(place) => format!("{title}: {place}"),
        None => title.to_owned(),
    };
    let mut text = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            text.push(Span::plain("\n\n"));
        }
        let looks = if entry.level >= Level::Warn { vec!["bold"] } else { Vec::new() };
        text.push(Span { text: entry.kind.name().to_owned(), looks });
        text.push(Span::plain(format!("  {}", told(entry))));
    }
    Some(Trouble { title, text, hint: Some(format!("Trace {trace}")) })
}

fn rank(kind: Kind) -> usize {
    match kind {
        Kind::Panic => 0,
        Kind::Limit => 1,
        Kind::Sql => 2,
        Kind::Host => 3,
        Kind::UndeclaredInput => 4,
        Kind::Guest => 5,
    }
}

/// An entry in words: its message, and what belongs to it.
pub fn told(entry: &Entry) -> String {
    let mut text = entry.message.lines().take(LINES_MOST).collect::<Vec<_>>().join("\n");
    let field =
        |name: &str| entry.fields.get(name).filter(|value| !value.is_empty() && !entry.message.contains(*value));
    if let Some(query) = field("query") {
        // A command's own SQL may be long.
        let query: String = query.chars().take(200).collect();
        let at = field("at").map(|at| format!(", {at}")).unwrap_or_default();
        let _ = write!(text, "\n(query {query}{at})");
    }
    for (name, word) in [("cause", ""), ("said", ""), ("raised_by", "raised by ")] {
        if let Some(value) = field(name) {
            let _ = write!(text, "\n{word}{value}");
        }
    }
    text
}
