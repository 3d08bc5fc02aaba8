//! The text of `snapshot.sql`: where in it something is made.

use crate::script;

pub(super) struct Snapshot<'a>(pub(super) &'a str);

impl Snapshot<'_> {
    /// The line of the statement that makes a table, index, view or trigger of this name.
    pub(super) fn line_of(&self, name: &str) -> Option<usize> {
        let makes = |sql: &str| made_by(sql).is_some_and(|made| made.eq_ignore_ascii_case(name));
        script::split(self.0).iter().find(|statement| makes(statement.sql)).map(|statement| statement.line)
    }
}

/// `CREATE [TEMP|UNIQUE|VIRTUAL] kind [IF NOT EXISTS] [schema.]name …`
fn made_by(sql: &str) -> Option<&str> {
    let tokens = script::tokens(sql);
    let mut words = tokens.iter().map(|token| token.text);
    words.next().filter(|word| word.eq_ignore_ascii_case("CREATE"))?;
    let is = |word: &str, any: &[&str]| any.iter().any(|other| word.eq_ignore_ascii_case(other));
    let mut words = words.skip_while(|word| !is(word, &["TABLE", "INDEX", "VIEW", "TRIGGER"])).skip(1);
    let mut name = words.find(|word| !is(word, &["IF", "NOT", "EXISTS"]))?;
    if words.next() == Some(".") {
        name = words.next()?;
    }
    Some(unquoted(name))
}

/// A name without its quotes.
pub(super) fn unquoted(name: &str) -> &str {
    let inner = |open: char, close: char| name.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    inner('"', '"').or_else(|| inner('`', '`')).or_else(|| inner('[', ']')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_found_by_its_name() {
        let snapshot = Snapshot(
            "-- CREATE TABLE b\nCREATE TABLE a (b);\nCREATE UNIQUE INDEX IF NOT EXISTS main.i ON a (b);\n\
            CREATE TRIGGER \"b\" AFTER INSERT ON a BEGIN\n  SELECT 1;\nEND;\nCREATE VIRTUAL TABLE t USING fts5 (b);",
        );
        assert_eq!(snapshot.line_of("A"), Some(2));
        assert_eq!(snapshot.line_of("i"), Some(3));
        assert_eq!(snapshot.line_of("b"), Some(4));
        assert_eq!(snapshot.line_of("t"), Some(7));
        assert_eq!(snapshot.line_of("none"), None);
    }
}
