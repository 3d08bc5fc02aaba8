//! What the one who develops reads in the terminal: a line a request, and whatever goes wrong.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode};
use nearside_host::logbook::{Entry, Kind, Level};

use super::{failure, trouble::Trouble};
use crate::ansi::Span;

pub struct Terminal {
    colours: bool,
}

/// A request, answered.
pub struct Answered<'a> {
    pub method: &'a Method,
    pub target: &'a str,
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub took: Duration,
}

impl Terminal {
    /// Colours are for people who look on, unless they do not want them.
    pub fn of_stdout() -> Terminal {
        Terminal { colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub fn answered(&self, answered: &Answered<'_>) {
        let colour = match answered.status.as_u16() {
            500.. => RED,
            400.. => YELLOW,
            300.. => CYAN,
            _ => GREEN,
        };
        let status = self.paint(colour, answered.status.as_str());
        let ms = answered.took.as_secs_f64() * 1_000.0;
        let mut line = format!("{status} {} {}  {ms:.1} ms", answered.method, printable(answered.target));
        for part in [cache_reason(answered.headers), sql_cost(answered.headers)].into_iter().flatten() {
            line.push_str("  ");
            line.push_str(&self.paint(GREY, &part));
        }
        self.say(&line);
    }

    /// Something went well.
    pub fn note(&self, text: &str) {
        self.say(text);
    }

    /// Something that is no fault of the app, but worth knowing.
    pub fn warn(&self, text: &str) {
        self.say(&format!("{} {text}", self.paint(YELLOW, "note:")));
    }

    pub fn trouble(&self, trouble: &Trouble) {
        self.say(&format!("\n{}", self.paint(RED, &trouble.title)));
        let text: String = trouble.text.iter().map(|span| self.span(span)).collect();
        self.say(text.trim_end());
        if let Some(hint) = &trouble.hint {
            self.say(&self.paint(CYAN, hint));
        }
        self.say("");
    }

    /// What a build that went well had to say all the same.
    pub fn output(&self, spans: &[Span]) {
        let text: String = spans.iter().map(|span| self.span(span)).collect();
        self.say(text.trim_end());
    }

    /// A line of the logbook, if it is for the one who writes the app.
    pub fn entry(&self, entry: &Entry) {
        let place = entry.place.as_deref().unwrap_or("host");
        match entry.kind {
            Kind::Guest => self.say(&format!("    {} {}", self.paint(GREY, &format!("{place} |")), entry.message)),
            Kind::Host if entry.level < Level::Warn => {}
            _ => {
                let (colour, kind) = (if entry.level >= Level::Error { RED } else { YELLOW }, entry.kind.name());
                let told = failure::told(entry).replace('\n', "\n    ");
                self.say(&format!("    {} {told}", self.paint(colour, &format!("{place}: {kind}"))));
            }
        }
    }

    fn span(&self, span: &Span) -> String {
        let codes: Vec<&str> = span.looks.iter().filter_map(|look| code(look)).collect();
        if codes.is_empty() { span.text.clone() } else { self.paint(&codes.join(";"), &span.text) }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn say(&self, text: &str) {
        // Whoever read this has gone; the site goes on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const GREY: &str = "90";

fn code(look: &str) -> Option<&'static str> {
    Some(match look {
        "bold" => "1",
        "red" => RED,
        "green" => GREEN,
        "yellow" => YELLOW,
        "blue" => "34",
        "magenta" => "35",
        "cyan" => CYAN,
        "grey" => GREY,
        _ => return None,
    })
}

/// A visitor's words do not get to move the cursor.
fn printable(target: &str) -> String {
    target.chars().map(|c| if c.is_control() { '?' } else { c }).take(300).collect()
}

/// The cache's part in it, in a word or two.
fn cache_reason(headers: &HeaderMap) -> Option<String> {
    let status = headers.get("cache-status")?.to_str().ok()?;
    let mut parts = status.split(';').map(str::trim).skip(1);
    let (mut forwarded, mut did, mut detail) = (None, None, None);
    for part in parts.by_ref() {
        match part.split_once('=') {
            Some(("fwd", why)) => forwarded = Some(why),
            Some(("detail", why)) => detail = Some(why.trim_matches('"')),
            Some(_) => {}
            None => did = Some(part),
        }
    }
    match (forwarded, did, detail) {
        (Some("method"), ..) => None,
        (_, _, Some("receipt")) => Some("from the origin".into()),
        (_, Some(did), None) => Some(did.to_owned()),
        (_, Some(did), Some(why)) => Some(format!("{did}: {why}")),
        (_, None, Some(why)) => Some(format!("not stored: {why}")),
        (_, None, None) => None,
    }
}

/// `3 queries 40 rows`, if any were run.
fn sql_cost(headers: &HeaderMap) -> Option<String> {
    let timing = headers.get("server-timing")?.to_str().ok()?;
    let told = timing.split("desc=\"").nth(1)?.split('"').next()?;
    (!told.starts_with("0 ")).then(|| told.replace(',', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_in_words() {
        let told = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            cache_reason(&headers).or(sql_cost(&headers)).unwrap_or_default()
        };
        assert_eq!(told("cache-status", "nearside; hit"), "hit");
        assert_eq!(told("cache-status", "nearside; fwd=miss; stored"), "stored");
        assert_eq!(told("cache-status", "nearside; fwd=miss; detail=clock"), "not stored: clock");
        assert_eq!(told("cache-status", "nearside; hit; detail=same-rows"), "hit: same-rows");
        assert_eq!(told("cache-status", "nearside; fwd=stale; detail=rows-changed; stored"), "stored: rows-changed");
        assert_eq!(told("cache-status", "nearside; fwd=method"), "");
        assert_eq!(told("cache-status", "nearside; fwd=stale; detail=receipt"), "from the origin");
        let timing = "render;dur=1.9, sql;dur=0.2;desc=\"3 queries, 40 rows\"";
        assert_eq!(told("server-timing", timing), "3 queries 40 rows");
        assert_eq!(told("server-timing", "render;dur=1, sql;dur=0;desc=\"0 queries, 0 rows\""), "");
        assert_eq!(printable("/a\x1b[2J"), "/a?[2J");
    }
}
