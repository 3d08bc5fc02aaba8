//! One entry of the log as people read it: on a line, with a backtrace indented beneath.

use std::fmt::Write;

use nearside_host::logbook::{Entry, Kind, Level};

/// How it is written.
#[derive(Clone, Copy, Default)]
pub struct Style {
    pub colours: bool,
    /// The first digits of a long trace, which are enough to ask for the rest.
    pub short_trace: bool,
}

const DIM: &str = "2";

impl Style {
    /// Ends with a line break. `from` tells several logs apart.
    pub fn text(self, entry: &Entry, from: Option<&str>) -> String {
        let mut text = self.painted(DIM, &timestamp(entry.at_ms));
        let mut word = |word: &str| {
            text.push(' ');
            text.push_str(word);
        };
        word(&self.level(entry.level));
        if let Some(from) = from {
            word(&self.painted(DIM, from));
        }
        if entry.kind != Kind::Host {
            word(&self.painted(DIM, entry.kind.name()));
        }
        for about in [&entry.app, &entry.place].into_iter().flatten() {
            word(&self.painted("36", &clean(about)));
        }
        if let Some(release) = &entry.release {
            word(&clean(release));
        }
        if let Some(trace) = &entry.trace {
            word(&self.painted(DIM, self.trace(&clean(trace))));
        }
        let mut lines = entry.message.lines();
        word(&clean(lines.next().unwrap_or_default()));
        let (short, long): (Vec<_>, Vec<_>) = entry.fields.iter().partition(|(_, value)| !value.contains('\n'));
        for (name, value) in short {
            word(&format!("{}{}", self.painted(DIM, &format!("{}=", clean(name))), clean(value)));
        }
        text.push('\n');
        for line in lines {
            // A String takes all text.
            let _ = writeln!(text, "    {}", clean(line));
        }
        for (name, value) in long {
            let _ = writeln!(text, "    {}", self.painted(DIM, &format!("{}:", clean(name))));
            for line in value.lines() {
                let _ = writeln!(text, "      {}", clean(line));
            }
        }
        text
    }

    fn level(self, level: Level) -> String {
        let (name, colour) = match level {
            Level::Trace => ("TRACE", "35"),
            Level::Debug => ("DEBUG", "34"),
            Level::Info => (" INFO", "32"),
            Level::Warn => (" WARN", "33"),
            Level::Error => ("ERROR", "31"),
        };
        self.painted(colour, name)
    }

    fn trace(self, trace: &str) -> &str {
        let long = trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.short_trace && long { &trace[..nearside_host::trace::SHORT_DIGITS] } else { trace }
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What a guest prints must not steer the terminal it is read on.
fn clean(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\t' { '\u{fffd}' } else { char }).collect()
}

/// RFC 3339, in UTC.
fn timestamp(at_ms: u64) -> String {
    let (days, ms) = (at_ms / 86_400_000, at_ms % 86_400_000);
    // Years that begin in March have their leap day last; 400 of them always have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next_year;
    let (hours, minutes, seconds, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_the_calendar_has_them() {
        for (at_s, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.007Z"),
            (1_798_761_599, "2026-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(timestamp(at_s * 1_000 + 7), text);
        }
    }

    #[test]
    fn a_panic_is_one_line_with_all_else_beneath() {
        let entry = Entry {
            seq: 1,
            at_ms: 0,
            level: Level::Error,
            kind: Kind::Panic,
            message: "it trapped\n  0: shop::cart\x1b[2J".into(),
            app: Some("shop".into()),
            place: Some("/cart".into()),
            release: Some("1.7".into()),
            trace: Some("0123456789abcdef0123456789abcdef".into()),
            fields: [("said", "thread panicked:\nno cart"), ("n", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        let style = Style { short_trace: true, ..Style::default() };
        assert_eq!(
            style.text(&entry, Some("127.0.0.1:8081")),
            [
                "1970-01-01T00:00:00.000Z ERROR 127.0.0.1:8081 panic shop /cart 1.7 01234567 it trapped n=1\n",
                "      0: shop::cart\u{fffd}[2J\n    said:\n      thread panicked:\n      no cart\n",
            ]
            .concat()
        );
        let painted = Style { colours: true, ..Style::default() }.text(&entry, None);
        assert!(painted.contains("\x1b[31mERROR\x1b[0m") && !painted.contains("\x1b[2J"));
    }
}
