//! What a `CREATE VIRTUAL TABLE` says of its index.

use crate::{
    fault::{Fault, Result},
    limits,
    score::Weights,
    tokens::Forms,
};

/// Of the index's tables: one of another format has to be made anew.
pub const FORMAT: u8 = 3;
/// What stands after `USING`.
pub const MODULE: &str = "nearside_search";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words, scored.
    Text,
    /// Whole values between blanks and commas; they narrow a search and do not score.
    Tags,
    /// A whole number; ranges of them narrow a search and do not score.
    Number,
    /// Kept out of the index.
    Unindexed,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// Where a document's text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Table {
        name: String,
        rowid: String,
    },
    /// Nowhere: what is deleted has to be said in full.
    Nowhere,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub columns: Vec<Column>,
    pub content: Content,
    pub weights: Weights,
    /// Whether the index knows at which place in a document a word stands: without it there are no phrases.
    pub positions: bool,
    pub forms: Forms,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Options> {
        let mut named = Named::default();
        let mut columns = Vec::new();
        for argument in arguments {
            let argument = argument.trim();
            match argument.split_once('=') {
                Some((key, value)) => named.set(key.trim(), unquoted(value.trim()))?,
                None => columns.push(column(argument)?),
            }
        }
        if columns.is_empty() || columns.len() > limits::COLUMNS {
            return Err(Fault::Refused(format!("{} columns: 1 to {} are possible", columns.len(), limits::COLUMNS)));
        }
        mark(&mut columns, "tags", named.tags.as_deref(), Kind::Tags)?;
        mark(&mut columns, "numbers", named.numbers.as_deref(), Kind::Number)?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            if name.eq_ignore_ascii_case("rank") || names[..index].iter().any(|other| other.eq_ignore_ascii_case(name))
            {
                return Err(Fault::Refused(format!("a column cannot be called {name}: the name is taken")));
            }
        }
        let mut weights = Weights::parse(named.weights.as_deref(), columns.len())?;
        // The best of a list of tags are its first, as its idf of nothing makes them.
        let unscored = columns.iter().enumerate().filter(|(_, column)| column.kind != Kind::Text);
        unscored.for_each(|(index, _)| weights.forget(index));
        let (content, positions, forms) = (named.content()?, named.positions()?, named.forms()?);
        Ok(Options { content, weights, positions, forms, columns })
    }

    /// Those of a table, by the statement that made it.
    pub fn of_statement(sql: &str) -> Result<Options> {
        let arguments = arguments(sql).ok_or_else(|| Fault::Refused(format!("no declaration of an index: {sql}")))?;
        Options::parse(&arguments)
    }

    /// What the index's bytes depend on, as one row of them remembers it.
    pub fn digest(&self) -> u64 {
        let mut text = format!("{FORMAT} {} {:?}", self.positions, self.forms);
        for (index, column) in self.columns.iter().enumerate() {
            text += &format!(" {:?} {}", column.kind, self.weights.of(index));
        }
        let hash = blake3::hash(text.as_bytes());
        u64::from_le_bytes(std::array::from_fn(|index| hash.as_bytes()[index]))
    }

    pub fn shape(&self) -> Shape {
        Shape { columns: self.columns.len(), positions: self.positions }
    }

    /// The columns that words without a column filter are looked for in.
    pub fn text_columns(&self) -> u32 {
        self.columns_of(Kind::Text)
    }

    pub fn columns_of(&self, kind: Kind) -> u32 {
        self.columns.iter().enumerate().filter(|(_, column)| column.kind == kind).map(|(index, _)| 1 << index).sum()
    }

    pub fn column_named(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// What the layout of a list depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub columns: usize,
    pub positions: bool,
}

#[derive(Default)]
struct Named {
    content: Option<String>,
    content_rowid: Option<String>,
    weights: Option<String>,
    tokenize: Option<String>,
    detail: Option<String>,
    tags: Option<String>,
    numbers: Option<String>,
}

impl Named {
    fn set(&mut self, key: &str, value: String) -> Result<()> {
        let slot = match key {
            "content" => &mut self.content,
            "content_rowid" => &mut self.content_rowid,
            "weights" => &mut self.weights,
            "tokenize" => &mut self.tokenize,
            "detail" => &mut self.detail,
            "tags" => &mut self.tags,
            "numbers" => &mut self.numbers,
            _ => {
                return Err(Fault::Refused(format!(
                    "unknown option '{key}': content, content_rowid, weights, tokenize, detail, tags and numbers are known"
                )));
            }
        };
        if slot.replace(value).is_some() {
            return Err(Fault::Refused(format!("option '{key}' is there twice")));
        }
        Ok(())
    }

    fn content(&self) -> Result<Content> {
        match self.content.as_deref() {
            None => Err(Fault::Refused(
                "content='table' is missing: the text stays in a table of yours (content='' keeps none)".into(),
            )),
            Some("") => Ok(Content::Nowhere),
            Some(name) => Ok(Content::Table {
                name: name.to_owned(),
                rowid: self.content_rowid.clone().unwrap_or_else(|| "rowid".into()),
            }),
        }
    }

    fn forms(&self) -> Result<Forms> {
        forms(self.tokenize.as_deref().unwrap_or("unicode61"))
    }

    fn positions(&self) -> Result<bool> {
        match self.detail.as_deref().unwrap_or("full") {
            "full" => Ok(true),
            "column" => Ok(false),
            other => Err(Fault::Refused(format!("detail='{other}': 'full' (with phrases) and 'column' are known"))),
        }
    }
}

/// What a tokenizer makes of words, named as FTS5's are.
pub fn forms(tokenize: &str) -> Result<Forms> {
    let words: Vec<&str> = tokenize.split_whitespace().collect();
    let (forms, base) = match words[..] {
        ["porter", ref base @ ..] => (Forms::Stems, base),
        ref base => (Forms::AsTheyStand, base),
    };
    match base {
        [] if forms == Forms::Stems => Ok(forms),
        ["unicode61"] | ["unicode61", "remove_diacritics", "2"] => Ok(forms),
        _ => Err(Fault::Refused(format!(
            "tokenize='{tokenize}': only unicode61 is there, without accents, and porter before it"
        ))),
    }
}

/// Makes columns that an option names of its kind.
fn mark(columns: &mut [Column], option: &str, names: Option<&str>, kind: Kind) -> Result<()> {
    for name in names.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let column = columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(name));
        match column {
            Some(column) if column.kind == Kind::Text => column.kind = kind,
            _ => return Err(Fault::Refused(format!("{option}: there is no text column '{name}'"))),
        }
    }
    Ok(())
}

/// What stands between the outer parentheses of a `CREATE VIRTUAL TABLE`, cut at commas as SQLite cuts it.
fn arguments(sql: &str) -> Option<Vec<&str>> {
    let lower = sql.to_ascii_lowercase();
    let mut declared = lower.match_indices("using").filter_map(|(at, word)| {
        let after = lower[at + word.len()..].trim_start().strip_prefix(MODULE)?.trim_start();
        after.starts_with('(').then(|| sql.len() - after.len())
    });
    let inner = sql.get(declared.next()? + 1..)?.trim_end().trim_end_matches(';').trim_end().strip_suffix(')')?;
    let (mut arguments, mut start, mut depth, mut quote) = (Vec::new(), 0, 0, None);
    for (at, letter) in inner.char_indices() {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '[') => quote = Some(']'),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                arguments.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(&inner[start..]);
    Some(arguments)
}

fn column(text: &str) -> Result<Column> {
    let (name, rest) = match text.strip_prefix(['"', '\'', '`', '[']) {
        Some(inner) => {
            let close = if text.starts_with('[') { ']' } else { text.chars().next().unwrap_or('"') };
            inner.split_once(close).ok_or_else(|| Fault::Refused(format!("column {text}: a quote is not closed")))?
        }
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    let kind = match rest.trim() {
        "" => Kind::Text,
        word if word.eq_ignore_ascii_case("unindexed") => Kind::Unindexed,
        other => return Err(Fault::Refused(format!("column {name}: '{other}' is not known; UNINDEXED is"))),
    };
    if name.is_empty() {
        return Err(Fault::Refused("a column has no name".into()));
    }
    Ok(Column { name: name.to_owned(), kind })
}

fn unquoted(text: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read() {
        let arguments =
            ["name", "\"the summary\"", "section", "raw UNINDEXED", "content='package'", "content_rowid=id"];
        let mut all = arguments.to_vec();
        all.extend(["weights='8,3'", "tags='section'", "tokenize = 'unicode61 remove_diacritics 2'", "detail=column"]);
        let options = Options::parse(&all).unwrap();
        assert_eq!(options.columns[1].name, "the summary");
        assert_eq!(options.text_columns(), 0b11);
        assert_eq!(options.columns_of(Kind::Tags), 0b100);
        assert_eq!(options.content, Content::Table { name: "package".into(), rowid: "id".into() });
        assert!(!options.positions);
        assert_eq!(options.forms, Forms::AsTheyStand);
        for tokenize in ["porter", "porter unicode61", "porter unicode61 remove_diacritics 2"] {
            let options = Options::parse(&["a", "content=t", &format!("tokenize='{tokenize}'")]).unwrap();
            assert_eq!(options.forms, Forms::Stems);
        }
    }

    #[test]
    fn a_statement_is_cut_as_sqlite_cuts_it() {
        let options = Options::of_statement(
            "CREATE VIRTUAL TABLE \"t (nearside_search)\" USING Nearside_Search (name, \"a, b\", [c)],\n content='pa''ck,age', weights='8,3')",
        );
        let options = options.unwrap();
        let names: Vec<&str> = options.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["name", "a, b", "c)"]);
        assert_eq!(options.content, Content::Table { name: "pa'ck,age".into(), rowid: "rowid".into() });
        assert!(Options::of_statement("CREATE TABLE t (a)").is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, told) in [
            (&["content='t'"][..], "0 columns"),
            (&["a"], "content='table' is missing"),
            (&["a", "content=t", "contents=t"], "unknown option 'contents'"),
            (&["a", "content=t", "tokenize='trigram'"], "only unicode61"),
            (&["a", "content=t", "tokenize='unicode61 porter'"], "only unicode61"),
            (&["a", "A", "content=t"], "taken"),
            (&["rank", "content=t"], "taken"),
            (&["a fast", "content=t"], "UNINDEXED"),
            (&["a", "content=t", "tags='b'"], "no text column 'b'"),
            (&["a", "b", "content=t", "tags='b'", "numbers='b'"], "numbers: there is no text column 'b'"),
            (&["a", "content=t", "content=t"], "twice"),
        ] {
            let error = Options::parse(arguments).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
