//! Terminal colours in what a build says: kept for terminals, told in words for pages, left out for files.

use serde::Serialize;

/// A piece of text that looks alike throughout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    pub text: String,
    /// Words for a style sheet: `bold`, `red` and so on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<&'static str>,
}

impl Span {
    pub fn plain(text: impl Into<String>) -> Span {
        Span { text: text.into(), looks: Vec::new() }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Look {
    bold: bool,
    colour: Option<&'static str>,
}

impl Look {
    /// Takes the parameters of one "select graphic rendition" sequence.
    fn select(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|number| number.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Look::default(),
                1 => self.bold = true,
                22 => self.bold = false,
                30..=37 => self.colour = Some(COLOURS[usize::from(number - 30)]),
                90..=97 => self.colour = Some(COLOURS[usize::from(number - 90)]),
                38 | 48 => {
                    // 5;n is one of 256 colours, 2;r;g;b any: of these, the first sixteen have names.
                    let one = numbers.next().filter(|kind| *kind == 5).and_then(|_| numbers.next());
                    if one.is_none() {
                        numbers.by_ref().take(3).for_each(drop);
                    }
                    if number == 38 {
                        self.colour = one.filter(|one| *one < 16).map(|one| COLOURS[usize::from(one % 8)]);
                    }
                }
                39 => self.colour = None,
                _ => {}
            }
        }
    }

    fn looks(self) -> Vec<&'static str> {
        self.bold.then_some("bold").into_iter().chain(self.colour).collect()
    }
}

const COLOURS: [&str; 8] = ["grey", "red", "green", "yellow", "blue", "magenta", "cyan", "plain"];

/// The text in pieces, without any escape sequence.
pub fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut look = Look::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, sequence) = rest.split_at(rest.find('\x1b').unwrap_or(rest.len()));
        let plain: String = plain.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if !plain.is_empty() {
            match spans.last_mut().filter(|last| last.looks == look.looks()) {
                Some(last) => last.text.push_str(&plain),
                None => spans.push(Span { text: plain, looks: look.looks() }),
            }
        }
        rest = after_sequence(sequence, &mut look);
    }
    spans
}

#[cfg(test)]
fn stripped(text: &str) -> String {
    spans(text).into_iter().map(|span| span.text).collect()
}

/// What follows the escape sequence that `text` begins with.
fn after_sequence<'a>(text: &'a str, look: &mut Look) -> &'a str {
    let Some(rest) = text.strip_prefix('\x1b') else { return text };
    if let Some(rest) = rest.strip_prefix('[') {
        let end = rest.find(|c: char| ('\x40'..='\x7e').contains(&c)).unwrap_or(rest.len());
        if rest[end..].starts_with('m') {
            look.select(&rest[..end]);
        }
        return rest.get(end + 1..).unwrap_or_default();
    }
    if let Some(rest) = rest.strip_prefix(']') {
        // A title or a link, up to BEL or the string terminator.
        let bell = rest.find('\x07').map(|at| at + 1);
        let terminator = rest.find("\x1b\\").map(|at| at + 2);
        let end = bell.into_iter().chain(terminator).min().unwrap_or(rest.len());
        return &rest[end..];
    }
    let mut characters = rest.chars();
    characters.next();
    characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_words() {
        let told = spans("\x1b[1m\x1b[38;5;9merror\x1b[0m: \x1b[1;34m-->\x1b[39m\x1b[22m x\x1b[38;2;1;2;3my");
        let told: Vec<_> = told.iter().map(|span| (span.text.as_str(), span.looks.join(" "))).collect();
        let expected = [("error", "bold red"), (": ", ""), ("-->", "bold blue"), (" xy", "")];
        assert_eq!(told, expected.map(|(text, looks)| (text, looks.to_owned())));
    }

    #[test]
    fn everything_else_goes() {
        for (text, expected) in [
            ("a\x1b]8;;http://x\x1b\\b\x1b]0;t\x07c", "abc"),
            ("a\x1b[2Kb\x1b[", "ab"),
            ("a\x1b", "a"),
            ("a\x1bMb\r\n\tc\x08", "ab\n\tc"),
            ("é\x1b[1é", "é"),
        ] {
            assert_eq!(stripped(text), expected, "{text:?}");
        }
    }
}
