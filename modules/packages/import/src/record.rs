//! Reads the records of a Debian control file (deb822), one at a time.
//!
//! ```text
//! Package: hello                      a field: name, colon, value
//! Description: greets the user
//!  A longer text, folded.             one leading blank: the value goes on
//!  .                                  a blank line of the value
//! # a comment
//!                                     a blank line: the record ends
//! ```

use std::io::{self, BufRead, Read};

/// Longest line read. The longest in Debian's index, a list of dependencies, has about 75 kB.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;
/// Largest record read, in bytes of its lines.
pub(crate) const RECORD_BYTES_MAX: usize = 4 << 20;
/// Most text read from one source. Debian's index has about 60 MB.
pub(crate) const INPUT_BYTES_MAX: u64 = 1 << 30;
/// How much of a line that is not understood is shown.
const EXCERPT_CHARS_MAX: usize = 60;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("line {line}: expected `Field: value`, found `{excerpt}`")]
    NotAField { line: u64, excerpt: String },
    #[error("line {line}: a folded line without a field before it: `{excerpt}`")]
    NothingToContinue { line: u64, excerpt: String },
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong { line: u64 },
    #[error("the record at line {line} is larger than {RECORD_BYTES_MAX} bytes")]
    RecordTooLarge { line: u64 },
    #[error("line {line}: the text is longer than {INPUT_BYTES_MAX} bytes")]
    InputTooLong { line: u64 },
    #[error("cannot read on after line {line}")]
    Io { line: u64, source: io::Error },
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Where the record starts, from 1.
    pub(crate) line: u64,
    fields: Vec<(String, String)>,
}

impl Record {
    /// The value of a field, whose name may be in any case: its lines, each without the blank that
    /// folds it and without blanks at its end. Of a repeated field the first counts.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
pub(crate) struct Records<R> {
    input: R,
    line: u64,
    input_bytes: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: 0, input_bytes: 0, buffer: Vec::new() }
    }

    /// The next record, or nothing at the end of the text. After an error there is no way on.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record>, RecordError> {
        let mut record = Record::default();
        let mut record_bytes = 0;
        while self.read_line()? {
            let line = self.line;
            // A stray byte in one description must not cost the whole import.
            let text = String::from_utf8_lossy(&self.buffer);
            let text = text.trim_end();
            if text.is_empty() {
                if record.fields.is_empty() {
                    continue;
                }
                return Ok(Some(record));
            }
            if text.starts_with('#') {
                continue;
            }
            record_bytes += self.buffer.len();
            if record.fields.is_empty() {
                record.line = line;
            }
            if record_bytes > RECORD_BYTES_MAX {
                return Err(RecordError::RecordTooLarge { line: record.line });
            }
            match (text.strip_prefix([' ', '\t']), record.fields.last_mut()) {
                (Some(folded), Some((_, value))) => {
                    value.push('\n');
                    value.push_str(folded);
                }
                (Some(_), None) => {
                    return Err(RecordError::NothingToContinue { line, excerpt: excerpt(text) });
                }
                (None, _) => {
                    let field = field(text).ok_or_else(|| RecordError::NotAField { line, excerpt: excerpt(text) })?;
                    record.fields.push(field);
                }
            }
        }
        Ok((!record.fields.is_empty()).then_some(record))
    }

    /// Reads one line into the buffer; false at the end of the text.
    fn read_line(&mut self) -> Result<bool, RecordError> {
        self.buffer.clear();
        let line = self.line + 1;
        let read = (&mut self.input)
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| RecordError::Io { line: self.line, source })?;
        self.line = line;
        self.input_bytes += read as u64;
        if read > LINE_BYTES_MAX {
            return Err(RecordError::LineTooLong { line });
        }
        if self.input_bytes > INPUT_BYTES_MAX {
            return Err(RecordError::InputTooLong { line });
        }
        Ok(read > 0)
    }
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let named = name.bytes().all(|b| b.is_ascii_graphic()) && !name.is_empty() && !name.starts_with('-');
    named.then(|| (name.to_owned(), value.trim().to_owned()))
}

fn excerpt(line: &str) -> String {
    let start: String = line.chars().take(EXCERPT_CHARS_MAX).collect();
    let cut = if start.len() < line.len() { "..." } else { "" };
    format!("{}{cut}", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: impl AsRef<[u8]>) -> Result<Vec<Record>, RecordError> {
        let mut records = Records::new(text.as_ref());
        let mut parsed = Vec::new();
        while let Some(record) = records.next_record()? {
            parsed.push(record);
        }
        Ok(parsed)
    }

    #[test]
    fn records_end_at_blank_lines() {
        let records = parse("\n\nPackage: a\nVersion: 1\n\n \t\n\nPackage: b").unwrap();
        assert_eq!(records.iter().map(|r| r.get("Package")).collect::<Vec<_>>(), [Some("a"), Some("b")]);
        assert_eq!(records.iter().map(|r| r.line).collect::<Vec<_>>(), [3, 8]);
        assert_eq!(records[0].get("version"), Some("1"));
        assert_eq!(records[1].get("Version"), None);
    }

    #[test]
    fn folded_lines_continue_the_value() {
        let records = parse("Tag: a::b,\n c::d\nDescription: short\n one\n .\n\t  two  \nSize: 1\n").unwrap();
        assert_eq!(records[0].get("Tag"), Some("a::b,\nc::d"));
        assert_eq!(records[0].get("Description"), Some("short\none\n.\n  two"));
        assert_eq!(records[0].get("Size"), Some("1"));
    }

    #[test]
    fn line_ends_comments_colons_and_repeats() {
        let records = parse("Package: a\r\n# no field\r\nHomepage: https://a.example/\r\nPackage: b\r\n").unwrap();
        assert_eq!(records[0].get("Package"), Some("a"));
        assert_eq!(records[0].get("Homepage"), Some("https://a.example/"));
    }

    #[test]
    fn empty_text_has_no_records() {
        assert!(parse("").unwrap().is_empty());
        assert!(parse("\n \n# only a comment\n").unwrap().is_empty());
    }

    #[test]
    fn malformed_lines_are_named() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(message("Package: a\nnonsense"), "line 2: expected `Field: value`, found `nonsense`");
        assert_eq!(message("two words: a"), "line 1: expected `Field: value`, found `two words: a`");
        assert_eq!(message(": a"), "line 1: expected `Field: value`, found `: a`");
        assert_eq!(message(" a"), "line 1: a folded line without a field before it: ` a`");
        // A terminal must not obey a byte of the input.
        assert_eq!(
            message(&format!("\u{1b}{}", "x".repeat(100))),
            format!("line 1: expected `Field: value`, found `\\u{{1b}}{}...`", "x".repeat(59)),
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let records = parse(b"Package: a\nMaintainer: \xff\xfe\0\n").unwrap();
        assert_eq!(records[0].get("Maintainer"), Some("\u{fffd}\u{fffd}\0"));
    }

    #[test]
    fn long_lines_and_large_records_are_refused() {
        let line = format!("A: {}\n", "x".repeat(LINE_BYTES_MAX));
        assert!(matches!(parse(&line), Err(RecordError::LineTooLong { line: 1 })));

        let line = format!(" {}\n", "x".repeat(LINE_BYTES_MAX / 2));
        let record = format!("\nA: a\n{}", line.repeat(RECORD_BYTES_MAX / line.len() + 1));
        assert!(matches!(parse(&record), Err(RecordError::RecordTooLarge { line: 2 })));
    }
}
