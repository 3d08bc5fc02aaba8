//! A place in a test file that moves on.

use std::fmt;

/// Counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at: Position,
    pub message: String,
}

#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The rest of this line, without its end.
    pub fn line(&self) -> &'a str {
        let rest = self.rest();
        rest[..rest.find('\n').unwrap_or(rest.len())].trim_end_matches('\r')
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub fn is_at_line_end(&self) -> bool {
        let line = self.line().trim_start_matches([' ', '\t']);
        line.is_empty() || line.starts_with('#')
    }

    pub fn position(&self) -> Position {
        let before = &self.text[..self.at];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Position { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }

    pub fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { at: self.position(), message: message.into() })
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves on by so many bytes, which end between two characters.
    pub fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub fn take(&mut self, expected: &str) -> bool {
        let there = self.rest().starts_with(expected);
        if there {
            self.at += expected.len();
        }
        there
    }

    pub fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// Ends the line: there may be a comment, and nothing else.
    pub fn end_of_line(&mut self) -> Result<(), Fault> {
        self.blanks();
        if !self.is_at_line_end() {
            return self.fault(format!("`{}` is not expected here", shown(self.line())));
        }
        self.take_while(|c| c != '\n');
        self.take("\n");
        Ok(())
    }

    /// Moves to the next line that says something.
    pub fn blank_lines(&mut self) {
        loop {
            let mut ahead = *self;
            ahead.blanks();
            if ahead.is_at_end() || !ahead.is_at_line_end() {
                if ahead.is_at_end() {
                    *self = ahead;
                }
                return;
            }
            ahead.take_while(|c| c != '\n');
            ahead.take("\n");
            *self = ahead;
        }
    }
}

/// A piece of a line for a message.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.trim().chars().take(60).collect();
    if text.trim().chars().count() > 60 {
        shown.push('…');
    }
    shown
}
