//! SQL scripts: files of several statements, run one by one so that a fault is told with its line.

use rusqlite::Connection;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ScriptError {
    pub file: String,
    pub line: usize,
    pub message: String,
}

/// A statement of a script.
#[derive(Debug, PartialEq)]
pub struct Statement<'a> {
    pub sql: &'a str,
    /// Line of the script on which the text of `sql` begins; counts from 1.
    pub line: usize,
}

/// Runs a script's statements in order, up to the first that fails. Rows they give are dropped.
pub fn run(connection: &Connection, file: &str, script: &str) -> Result<(), ScriptError> {
    for statement in split(script) {
        connection.execute_batch(statement.sql).map_err(|error| {
            let (line, message) = place(statement.line, statement.sql, &error);
            ScriptError { file: file.to_owned(), line, message }
        })?;
    }
    Ok(())
}

/// The line an error is about, and its words without the statement's text.
pub fn place(first_line: usize, sql: &str, error: &rusqlite::Error) -> (usize, String) {
    match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            let before = sql.get(..(*offset).max(0) as usize).unwrap_or_default();
            (first_line + newlines(before), msg.clone())
        }
        rusqlite::Error::SqliteFailure(code, message) => {
            (first_line, message.clone().unwrap_or_else(|| code.to_string()))
        }
        other => (first_line, other.to_string()),
    }
}

/// A token that is neither blank nor a comment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub text: &'a str,
    /// Line on which it begins; counts from 1.
    pub line: usize,
}

pub(crate) fn tokens(script: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < script.len() {
        let text = &script[at..at + token(&script[at..])];
        if !is_blank(text) {
            tokens.push(Token { text, line });
        }
        at += text.len();
        line += newlines(text);
    }
    tokens
}

fn is_blank(token: &str) -> bool {
    token.starts_with("--") || token.starts_with("/*") || token.trim().is_empty()
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Splits a script at the semicolons that end statements: not those in strings, comments, or a trigger's body.
pub fn split(script: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut start = None;
    let mut words = Words::default();
    let mut at = 0;
    while at < script.len() {
        let length = token(&script[at..]);
        let text = &script[at..at + length];
        if !is_blank(text) {
            let begin = *start.get_or_insert(at);
            if words.ends(text) {
                statements.push(statement(script, begin, at + length));
                (start, words) = (None, Words::default());
            }
        }
        at += length;
    }
    if let Some(begin) = start {
        statements.push(statement(script, begin, script.len()));
    }
    statements.retain(|statement| statement.sql.trim() != ";");
    statements
}

fn statement(script: &str, from: usize, to: usize) -> Statement<'_> {
    Statement { sql: &script[from..to], line: 1 + newlines(&script[..from]) }
}

/// Bytes of the first token: a comment, something quoted, a word, a run of blanks, or one character.
fn token(text: &str) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let first = text.chars().next().map_or(1, char::len_utf8);
    match text.as_bytes() {
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        // A doubled quote inside is two quoted texts side by side: no matter here.
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'`', ..] => until(1, "`"),
        [b'[', ..] => until(1, "]"),
        [byte, ..] if byte.is_ascii_whitespace() => run_of(text, |c| c.is_ascii_whitespace()),
        [byte, ..] if is_word(*byte as char) => run_of(text, is_word),
        _ => first,
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn run_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Follows a statement's words, as SQLite's own `sqlite3_complete` does: a trigger ends at `; END ;`.
#[derive(Default)]
struct Words {
    count: usize,
    create: bool,
    trigger: bool,
    after_semicolon: bool,
    end: bool,
}

impl Words {
    /// Takes the next token; true when it ends the statement.
    fn ends(&mut self, token: &str) -> bool {
        if token == ";" {
            let ended = !self.trigger || self.end;
            (self.after_semicolon, self.end) = (true, false);
            return ended;
        }
        let is = |word: &str| token.eq_ignore_ascii_case(word);
        match self.count {
            0 => self.create = is("CREATE"),
            1 | 2 if self.create && is("TRIGGER") => self.trigger = true,
            1 if !(is("TEMP") || is("TEMPORARY")) => self.create = false,
            _ => {}
        }
        self.end = self.after_semicolon && is("END");
        self.after_semicolon = false;
        self.count += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_they_end() {
        let script = "-- about; this\nCREATE TABLE t (\n  x DEFAULT ';');\n/* ; */ CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN\n  SELECT CASE WHEN 1 THEN 2 END;\n  DELETE FROM t;\nEND;\n;\nINSERT INTO t VALUES ('it''s; é'), (\"a;b\"), ([c;d]), (`e;f`)";
        let statements: Vec<_> =
            split(script).iter().map(|s| (s.line, s.sql.lines().next().unwrap().to_owned())).collect();
        assert_eq!(
            statements,
            [
                (2, "CREATE TABLE t (".to_owned()),
                (4, "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN".to_owned()),
                (9, "INSERT INTO t VALUES ('it''s; é'), (\"a;b\"), ([c;d]), (`e;f`)".to_owned()),
            ]
        );
        assert_eq!(split("").len() + split("-- nothing").len() + split(" ; ;").len(), 0);
        assert_eq!(split("SELECT 'never closed; ").len(), 1);
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let connection = Connection::open_in_memory().unwrap();
        let run = |script: &str| run(&connection, "f.sql", script).unwrap_err().to_string();
        assert_eq!(run("CREATE TABLE t (x);\n\nSELECT\n  y FROM t;"), "f.sql:4: no such column: y");
        assert_eq!(run("CREATE TABLE u (x);\nCREATE TABEL v (x);"), "f.sql:2: near \"TABEL\": syntax error");
        assert_eq!(
            run("CREATE TABLE w (x UNIQUE);\nINSERT INTO w VALUES (1);\nINSERT INTO w VALUES (1);"),
            "f.sql:3: UNIQUE constraint failed: w.x"
        );
        assert_eq!(run("SELECT 1;\nSELECT 'open"), "f.sql:2: unrecognized token: \"'open\"");
    }
}
