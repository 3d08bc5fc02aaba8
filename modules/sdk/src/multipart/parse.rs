//! Cutting a body at its delimiters, RFC 2046, section 5.1.1.

use std::ops::Range;

use super::Error;

/// Names and types of one part: more is no form that a browser sent.
const MAX_HEAD_BYTES: usize = 4 * 1024;

/// Where a part lies in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) head: Range<usize>,
    pub(super) content: Range<usize>,
}

/// The parts of a body, one after the other. After an error there is nothing more.
pub(super) struct Parts<'a> {
    body: &'a [u8],
    /// A line break, two dashes and the boundary.
    delimiter: Vec<u8>,
    /// Where the head of the next part begins; none after the last.
    next: Option<usize>,
}

/// What a delimiter is followed by.
enum After {
    /// A part, whose head begins here.
    Part(usize),
    End,
    /// It only looked like one: other content may begin so.
    Nothing,
}

impl<'a> Parts<'a> {
    pub(super) fn new(body: &'a [u8], boundary: &str) -> Result<Self, Error> {
        let mut parts = Self { body, delimiter: format!("\r\n--{boundary}").into_bytes(), next: None };
        // The first delimiter may be the body's first line; what comes before it means nothing.
        let first = &parts.delimiter[2..];
        let after = if body.starts_with(first) { parts.after(first.len()) } else { After::Nothing };
        let after = match after {
            After::Nothing => parts.find(0).map(|(_, after)| after),
            after => Some(after),
        };
        match after {
            Some(After::Part(head)) => parts.next = Some(head),
            Some(After::End) => {}
            Some(After::Nothing) | None => return Err(Error::Malformed("the boundary is not in the body")),
        }
        Ok(parts)
    }

    /// The next delimiter at or after `from`: where it begins, and what follows it.
    fn find(&self, mut from: usize) -> Option<(usize, After)> {
        loop {
            from += self.body.get(from..)?.iter().position(|byte| *byte == b'\r')?;
            if self.body[from..].starts_with(&self.delimiter) {
                match self.after(from + self.delimiter.len()) {
                    After::Nothing => {}
                    after => return Some((from, after)),
                }
            }
            from += 1;
        }
    }

    fn after(&self, at: usize) -> After {
        let rest = &self.body[at..];
        if rest.starts_with(b"--") {
            return After::End;
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if rest[padding..].starts_with(b"\r\n") { After::Part(at + padding + 2) } else { After::Nothing }
    }

    fn part(&mut self, start: usize) -> Result<Part, Error> {
        let (head, content_at) = self.head(start)?;
        let (end, after) = self.find_content_end(content_at)?;
        self.next = match after {
            After::Part(head) => Some(head),
            After::End | After::Nothing => None,
        };
        Ok(Part { head, content: content_at..end })
    }

    /// The head, and where the content begins: after an empty line.
    fn head(&self, start: usize) -> Result<(Range<usize>, usize), Error> {
        let rest = &self.body[start..];
        if rest.starts_with(b"\r\n") {
            return Ok((start..start, start + 2));
        }
        let within = &rest[..rest.len().min(MAX_HEAD_BYTES)];
        match within.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(length) => Ok((start..start + length, start + length + 4)),
            None if within.len() == MAX_HEAD_BYTES => Err(Error::Malformed("the head of a part is too long")),
            None => Err(Error::Malformed("it ends within the head of a part")),
        }
    }

    fn find_content_end(&self, content_at: usize) -> Result<(usize, After), Error> {
        self.find(content_at).ok_or(Error::Malformed("it ends before its last boundary"))
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        Some(self.part(start))
    }
}
