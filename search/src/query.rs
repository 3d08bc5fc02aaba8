//! The query language, FTS5's: words, "phrases", prefixes*, AND, OR, NOT, parentheses, columns.
//!
//! Words beside each other bind tightest (AND), then NOT, AND, OR. Unlike FTS5's, parentheses may stand beside words.

use crate::{
    fault::{Fault, Result},
    limits,
    options::{Kind, Options},
    tokens::{Forms, tokens},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Words beside each other in one column; the last may be the beginning of a word.
    Words {
        words: Vec<String>,
        prefix: bool,
        columns: u32,
    },
    Tag {
        column: usize,
        value: String,
        prefix: bool,
    },
    /// Numbers from the first to the second, both included.
    Range {
        column: usize,
        from: i64,
        to: i64,
    },
    And(Vec<Query>),
    /// Of none of these, nothing.
    Or(Vec<Query>),
    Not(Box<Query>, Box<Query>),
}

impl Query {
    /// From where to where the numbers of a column are, of all that is found.
    pub fn bounds_of(&self, column: usize) -> (i64, i64) {
        match self {
            Query::Range { column: of, from, to } if *of == column => (*from, *to),
            Query::And(parts) => parts
                .iter()
                .map(|part| part.bounds_of(column))
                .fold((i64::MIN, i64::MAX), |(low, high), (from, to)| (low.max(from), high.min(to))),
            _ => (i64::MIN, i64::MAX),
        }
    }
}

/// None when there is no word in it: nothing is found.
pub fn parse(text: &str, options: &Options, columns: u32) -> Result<Option<Query>> {
    if text.len() > limits::QUERY_BYTES {
        return Err(Fault::Refused(format!("the query has {} bytes, over {}", text.len(), limits::QUERY_BYTES)));
    }
    let mut parser = Parser { options, lexemes: lex(text)?, next: 0, terms: 0, depth: 0, end: text.len() };
    if parser.lexemes.is_empty() {
        return Ok(None);
    }
    let query = parser.either(columns)?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.wrong("something is left over")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Lexeme {
    /// A quoted text is never an operator.
    Text {
        text: String,
        quoted: bool,
    },
    Sign(char),
}

fn lex(text: &str) -> Result<Vec<(usize, Lexeme)>> {
    let mut lexemes = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter.is_ascii_whitespace() => {}
            '"' => {
                let mut quoted = String::new();
                loop {
                    match letters.next() {
                        Some((_, '"')) if letters.next_if(|(_, next)| *next == '"').is_some() => quoted.push('"'),
                        Some((_, '"')) => break,
                        Some((_, other)) => quoted.push(other),
                        None => return Err(wrong("a quote is not closed".into(), at)),
                    }
                }
                lexemes.push((at, Lexeme::Text { text: quoted, quoted: true }));
            }
            '(' | ')' | '{' | '}' | ':' | '*' | '+' | '-' | '^' | ',' | '<' | '>' | '=' => {
                lexemes.push((at, Lexeme::Sign(letter)));
            }
            '.' if letters.next_if(|(_, next)| *next == '.').is_some() => lexemes.push((at, Lexeme::Sign('.'))),
            _ if is_bare(letter) => {
                let mut word = String::from(letter);
                while let Some((_, letter)) = letters.next_if(|(_, letter)| is_bare(*letter)) {
                    word.push(letter);
                }
                lexemes.push((at, Lexeme::Text { text: word, quoted: false }));
            }
            _ => return Err(wrong(format!("'{letter}' means nothing here"), at)),
        }
    }
    Ok(lexemes)
}

fn is_bare(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '\u{1a}' || !letter.is_ascii()
}

fn wrong(what: String, at: usize) -> Fault {
    Fault::Query { what, at, advice: "put text in double quotes to search for it as it stands" }
}

struct Parser<'a> {
    options: &'a Options,
    lexemes: Vec<(usize, Lexeme)>,
    next: usize,
    terms: usize,
    depth: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Lexeme> {
        self.lexemes.get(self.next).map(|(_, lexeme)| lexeme)
    }

    fn wrong(&self, what: &str) -> Fault {
        wrong(what.into(), self.lexemes.get(self.next).map_or(self.end, |(at, _)| *at))
    }

    fn sign(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Lexeme::Sign(sign));
        self.next += usize::from(there);
        there
    }

    fn word(&mut self, wanted: &str) -> bool {
        let there = matches!(self.peek(), Some(Lexeme::Text { text, quoted: false }) if text == wanted);
        self.next += usize::from(there);
        there
    }

    fn either(&mut self, columns: u32) -> Result<Option<Query>> {
        let mut parts = vec![self.both(columns)?];
        while self.word("OR") {
            parts.push(self.both(columns)?);
        }
        Ok(joined(parts, Query::Or))
    }

    fn both(&mut self, columns: u32) -> Result<Option<Query>> {
        let mut parts = vec![self.except(columns)?];
        while self.word("AND") {
            parts.push(self.except(columns)?);
        }
        Ok(joined(parts, Query::And))
    }

    fn except(&mut self, columns: u32) -> Result<Option<Query>> {
        let mut query = self.beside(columns)?;
        while self.word("NOT") {
            query = match (query, self.beside(columns)?) {
                (Some(wanted), Some(unwanted)) => Some(Query::Not(wanted.into(), unwanted.into())),
                (wanted, _) => wanted,
            };
        }
        Ok(query)
    }

    fn beside(&mut self, columns: u32) -> Result<Option<Query>> {
        let mut parts = vec![self.one(columns)?];
        while self.begins_one() {
            parts.push(self.one(columns)?);
        }
        Ok(joined(narrowed(parts), Query::And))
    }

    fn begins_one(&self) -> bool {
        match self.peek() {
            Some(Lexeme::Text { text, quoted }) => *quoted || !matches!(text.as_str(), "AND" | "OR" | "NOT"),
            Some(Lexeme::Sign(sign)) => matches!(sign, '(' | '{' | '-' | '^'),
            None => false,
        }
    }

    fn one(&mut self, columns: u32) -> Result<Option<Query>> {
        self.depth += 1;
        if self.depth > limits::QUERY_DEPTH {
            return Err(self.wrong("parentheses are nested too deep"));
        }
        let query = match self.filter()? {
            Some(filter) if filter & self.numbers() != 0 => self.range(filter).map(Some),
            Some(filter) => {
                // Of tags, only those that are named are looked at.
                let outer = columns | if columns == self.options.text_columns() { self.tags() } else { 0 };
                self.inner(filter & outer)
            }
            None => self.inner(columns),
        };
        self.depth -= 1;
        query
    }

    fn numbers(&self) -> u32 {
        self.options.columns_of(Kind::Number)
    }

    /// `>= 10`, `< 10` and so on, `10`, `10..20`, `10..` or `..20`.
    fn range(&mut self, filter: u32) -> Result<Query> {
        if filter.count_ones() != 1 {
            return Err(self.wrong("a column of numbers stands alone before its ':'"));
        }
        let column = filter.trailing_zeros() as usize;
        self.count(1)?;
        let (more, less) = (self.sign('>'), self.sign('<'));
        let same = self.sign('=');
        let none = Query::Range { column, from: i64::MAX, to: i64::MIN };
        if more || less {
            let number = self.number()?;
            let from = if same { Some(number) } else { number.checked_add(1) };
            let to = if same { Some(number) } else { number.checked_sub(1) };
            return Ok(match (more, from, to) {
                (true, Some(from), _) => Query::Range { column, from, to: i64::MAX },
                (false, _, Some(to)) => Query::Range { column, from: i64::MIN, to },
                _ => none,
            });
        }
        let from = if self.peek() == Some(&Lexeme::Sign('.')) { None } else { Some(self.number()?) };
        if same || !self.sign('.') {
            let number = from.map_or_else(|| self.number(), Ok)?;
            return Ok(Query::Range { column, from: number, to: number });
        }
        let ends = self.is_number(self.next);
        let to = if ends || from.is_none() { self.number()? } else { i64::MAX };
        Ok(Query::Range { column, from: from.unwrap_or(i64::MIN), to })
    }

    fn is_number(&self, at: usize) -> bool {
        let lexeme = |at: usize| self.lexemes.get(at).map(|(_, lexeme)| lexeme);
        let at = if lexeme(at) == Some(&Lexeme::Sign('-')) { at + 1 } else { at };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        matches!(lexeme(at), Some(Lexeme::Text { text, quoted: false }) if digits(text))
    }

    fn number(&mut self) -> Result<i64> {
        if !self.is_number(self.next) {
            return Err(self.wrong("a whole number is expected"));
        }
        let minus = self.sign('-');
        let Some(Lexeme::Text { text, .. }) = self.peek() else { return Err(self.wrong("a whole number is expected")) };
        let text = if minus { format!("-{text}") } else { text.clone() };
        let number = text.parse().map_err(|_| self.wrong("this number is too large"))?;
        self.next += 1;
        Ok(number)
    }

    fn tags(&self) -> u32 {
        self.options.columns_of(Kind::Tags)
    }

    fn inner(&mut self, columns: u32) -> Result<Option<Query>> {
        if self.sign('(') {
            let query = self.either(columns)?;
            return if self.sign(')') { Ok(query) } else { Err(self.wrong("a parenthesis is not closed")) };
        }
        self.phrase(columns)
    }

    /// `name :`, `{name name} :`, and either after `-`: all but these.
    fn filter(&mut self) -> Result<Option<u32>> {
        let named = |lexeme: Option<&(usize, Lexeme)>| matches!(lexeme, Some((_, Lexeme::Text { .. })));
        let colon = |lexeme: Option<&(usize, Lexeme)>| matches!(lexeme, Some((_, Lexeme::Sign(':'))));
        let but = self.sign('-');
        let mut columns = 0;
        if self.sign('{') {
            while !self.sign('}') {
                columns |= self.column()?;
            }
        } else if named(self.lexemes.get(self.next)) && colon(self.lexemes.get(self.next + 1)) {
            columns = self.column()?;
        } else if but {
            return Err(self.wrong("a column is expected after '-'; to leave a word out, write NOT"));
        } else {
            return Ok(None);
        }
        if !self.sign(':') {
            return Err(self.wrong("':' is expected after columns"));
        }
        let all = self.options.text_columns() | self.tags();
        Ok(Some(if but { all & !columns } else { columns }))
    }

    fn column(&mut self) -> Result<u32> {
        let Some(Lexeme::Text { text, .. }) = self.peek() else { return Err(self.wrong("a column is expected")) };
        let Some(column) = self.options.column_named(text) else {
            return Err(self.wrong(&format!("there is no column '{text}'")));
        };
        self.next += 1;
        Ok(1 << column)
    }

    fn phrase(&mut self, columns: u32) -> Result<Option<Query>> {
        if self.peek() == Some(&Lexeme::Sign('^')) {
            return Err(self.wrong("'^' is not known here, only to FTS5"));
        }
        let mut texts = vec![self.text()?];
        while self.sign('+') {
            texts.push(self.text()?);
        }
        let prefix = self.sign('*');
        let mut choices = Vec::new();
        choices.push(self.words(&texts, prefix, columns & self.options.text_columns())?);
        for column in (0..self.options.columns.len()).filter(|column| self.tags() & columns & (1 << column) != 0) {
            choices.push(tag(column, &texts.join(" "), prefix));
        }
        self.count(choices.iter().flatten().count())?;
        // Where filters leave no column, that is where nothing is, and not everywhere.
        let is_nowhere = columns & (self.options.text_columns() | self.tags()) == 0;
        let nothing = (is_nowhere && self.has_words(&texts)).then(|| Query::Or(Vec::new()));
        Ok(joined(choices, Query::Or).or(nothing))
    }

    fn count(&mut self, terms: usize) -> Result<()> {
        self.terms += terms;
        if self.terms > limits::QUERY_TERMS {
            return Err(Fault::Refused(format!("the query has more than {} terms", limits::QUERY_TERMS)));
        }
        Ok(())
    }

    fn has_words(&self, texts: &[String]) -> bool {
        let (mut any, mut folded) = (false, String::new());
        texts.iter().for_each(|text| tokens(text, self.options.forms, &mut folded, |_, _| any = true));
        any
    }

    fn words(&mut self, texts: &[String], prefix: bool, columns: u32) -> Result<Option<Query>> {
        let (mut words, mut folded) = (Vec::new(), String::new());
        for text in texts {
            tokens(text, self.options.forms, &mut folded, |word, _| words.push(word.to_owned()));
        }
        if words.is_empty() || columns == 0 {
            return Ok(None);
        }
        if words.len() > 1 && !self.options.positions {
            return Err(Fault::Refused("phrases need an index with detail='full'".into()));
        }
        self.count(words.len() - 1)?;
        Ok(Some(Query::Words { words, prefix, columns }))
    }

    fn text(&mut self) -> Result<String> {
        let near = self.lexemes.get(self.next + 1).is_some_and(|(_, lexeme)| *lexeme == Lexeme::Sign('('));
        match self.peek() {
            Some(Lexeme::Text { text, quoted: false }) if text == "NEAR" && near => {
                Err(self.wrong("NEAR is not known here, only to FTS5"))
            }
            Some(Lexeme::Text { text, quoted: false }) if matches!(text.as_str(), "AND" | "OR" | "NOT") => {
                Err(self.wrong(&format!("{text} stands where a word is expected")))
            }
            Some(Lexeme::Text { text, .. }) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.wrong("a word is expected")),
        }
    }
}

/// Words that a text is marked by.
pub struct Sought {
    pub words: Vec<String>,
    pub prefix: bool,
}

/// What a query looks for in texts: without what it does not want, and without what it names the column of.
pub fn sought(text: &str, forms: Forms) -> Result<Vec<Sought>> {
    if text.len() > limits::QUERY_BYTES {
        return Err(Fault::Refused(format!("the query has {} bytes, over {}", text.len(), limits::QUERY_BYTES)));
    }
    let lexemes = lex(text)?;
    let sign = |at: usize| match lexemes.get(at) {
        Some((_, Lexeme::Sign(sign))) => Some(*sign),
        _ => None,
    };
    let (mut found, mut folded, mut unwanted) = (Vec::<Sought>::new(), String::new(), false);
    for (at, (_, lexeme)) in lexemes.iter().enumerate() {
        let Lexeme::Text { text, quoted } = lexeme else { continue };
        let before = at.checked_sub(1).and_then(sign);
        let filters =
            sign(at + 1) == Some(':') || (at > 0 && matches!(before, Some(':' | '<' | '>' | '=' | '.' | '-')));
        if !quoted && matches!(text.as_str(), "AND" | "OR" | "NOT") {
            unwanted = text == "NOT";
        } else if !std::mem::take(&mut unwanted) && !filters {
            let mut words = Vec::new();
            tokens(text, forms, &mut folded, |word, _| words.push(word.to_owned()));
            let prefix = sign(at + 1) == Some('*');
            match found.last_mut() {
                Some(before) if at > 0 && sign(at - 1) == Some('+') => {
                    before.words.append(&mut words);
                    before.prefix = prefix;
                }
                _ if words.is_empty() => {}
                _ => found.push(Sought { words, prefix }),
            }
        }
    }
    Ok(found)
}

fn tag(column: usize, text: &str, prefix: bool) -> Option<Query> {
    let value = crate::batch::tag_value(text);
    (!value.is_empty()).then_some(Query::Tag { column, value, prefix })
}

/// Ranges of one column beside each other are one range.
fn narrowed(parts: Vec<Option<Query>>) -> Vec<Option<Query>> {
    let mut narrow: Vec<Option<Query>> = Vec::new();
    for part in parts {
        if let Some(Query::Range { column, from, to }) = part
            && let Some(Query::Range { from: low, to: high, .. }) = narrow
                .iter_mut()
                .flatten()
                .find(|one| matches!(one, Query::Range { column: other, .. } if *other == column))
        {
            (*low, *high) = (from.max(*low), to.min(*high));
        } else {
            narrow.push(part);
        }
    }
    narrow
}

/// Parts without words are left out: they neither find nor forbid.
fn joined(parts: Vec<Option<Query>>, join: impl FnOnce(Vec<Query>) -> Query) -> Option<Query> {
    let mut parts: Vec<Query> = parts.into_iter().flatten().collect();
    if parts.len() > 1 { Some(join(parts)) } else { parts.pop() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::parse(&["name", "body", "section", "size", "content=''", "tags='section'", "numbers='size'"]).unwrap()
    }

    fn read(text: &str) -> String {
        let options = options();
        match parse(text, &options, options.text_columns()) {
            Ok(query) => query.map_or("nothing".into(), |query| shown(&query)),
            Err(error) => error.to_string(),
        }
    }

    fn shown(query: &Query) -> String {
        let join = |parts: &[Query], sign| format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(sign));
        match query {
            Query::Words { words, prefix, columns } => {
                format!(
                    "{}{}{}",
                    words.join("+"),
                    if *prefix { "*" } else { "" },
                    match columns {
                        3 => "",
                        1 => "@name",
                        _ => "@body",
                    }
                )
            }
            Query::Tag { value, prefix, .. } => format!("#{value}{}", if *prefix { "*" } else { "" }),
            Query::Range { from, to, .. } if from > to => "[]".into(),
            Query::Range { from, to, .. } => {
                let end = |end: &i64, open: i64| if *end == open { String::new() } else { end.to_string() };
                format!("[{}..{}]", end(from, i64::MIN), end(to, i64::MAX))
            }
            Query::And(parts) => join(parts, " & "),
            Query::Or(parts) => join(parts, " | "),
            Query::Not(wanted, unwanted) => format!("({} - {})", shown(wanted), shown(unwanted)),
        }
    }

    #[test]
    fn queries_mean_what_they_mean_to_fts5() {
        for (text, meaning) in [
            ("One two", "(one & two)"),
            ("one OR two three", "(one | (two & three))"),
            ("one AND two OR three", "((one & two) | three)"),
            ("one two NOT three four", "((one & two) - (three & four))"),
            ("one AND two NOT three", "(one & (two - three))"),
            ("one NOT two NOT three", "((one - two) - three)"),
            ("\"one two\"", "one+two"),
            ("one + two *", "one+two*"),
            ("pre*", "pre*"),
            ("name : one two", "(one@name & two)"),
            ("name : (one OR two)", "(one@name | two@name)"),
            ("{name body} : one", "one"),
            ("- name : one", "(one@body | #one)"),
            ("(one OR two) three", "((one | two) & three)"),
            ("section:graphics one", "(#graphics & one)"),
            ("section:\"Non-Free/web\"", "#non-free/web"),
            ("section:gra* AND x", "(#gra* & x)"),
            ("\"---\" one", "one"),
            ("\"---\"", "nothing"),
            ("", "nothing"),
            ("\"a\"\"b\"", "a+b"),
            ("\"AND\"", "and"),
            ("größe*", "große*"),
            ("size:>=10 one", "([10..] & one)"),
            ("size : > 10", "[11..]"),
            ("size:<=10", "[..10]"),
            ("size:<10", "[..9]"),
            ("size:=10", "[10..10]"),
            ("size:-10", "[-10..-10]"),
            ("size:10..20", "[10..20]"),
            ("size:10.. one", "([10..] & one)"),
            ("size:..20", "[..20]"),
            ("size:-5..-3 OR one", "([-5..-3] | one)"),
            ("size:>10 one size:<20", "([11..19] & one)"),
            ("size:>9223372036854775807", "[]"),
            ("one NOT size:>3", "(one - [4..])"),
        ] {
            assert_eq!(read(text), meaning, "{text}");
        }
    }

    #[test]
    fn errors_tell_where_and_what_to_do() {
        for (text, told) in [
            ("one AND", "a word is expected at byte 7; put text in double quotes"),
            ("one-two", "NOT at byte 4"),
            ("c++", "a word is expected at byte 2"),
            ("\"one", "a quote is not closed at byte 0"),
            ("(one", "a parenthesis is not closed"),
            ("one)", "left over at byte 3"),
            ("colour : red", "there is no column 'colour' at byte 0"),
            ("a.b", "'.' means nothing here at byte 1"),
            ("NEAR(a b)", "NEAR is not known"),
            ("^one", "'^' is not known"),
            ("size:many", "a whole number is expected at byte 5"),
            ("size:>", "a whole number is expected at byte 6"),
            ("size:\"10\"", "a whole number is expected"),
            ("size:99999999999999999999", "this number is too large"),
            ("{size name} : 3", "stands alone"),
            ("one > 3", "left over at byte 4"),
        ] {
            let error = read(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(read(&"(".repeat(100)).contains("nested too deep"));
        assert!(read(&"a ".repeat(200)).contains("more than 128 terms"));
        assert!(read(&"size:>1 OR ".repeat(129)).contains("more than 128 terms"));
        assert!(read(&format!("\"{}\"", "a ".repeat(129))).contains("more than 128 terms"));
        assert!(read(&"a".repeat(5_000)).contains("5000 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ab\"():*+{}^,. -]{0,40}|.{0,40}|(AND|OR|NOT|name|:|\\(|\\)|a| ){0,20}") {
            let options = options();
            let _ = parse(&text, &options, options.text_columns());
        }
    }
}
