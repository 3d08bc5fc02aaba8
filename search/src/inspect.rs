//! What an index says of itself, for programs that look after it.

use rusqlite::{Connection, OptionalExtension};

use crate::{
    fault::Result,
    index::Known,
    log::{self, Slot},
    merge::{Terms, live_postings},
    meta::Meta,
    options::Options,
    posting::{self, Postings},
    score::length_of,
    shadow::{Shadow, Sql},
};

#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    pub documents: u64,
    /// What scores are reckoned by: rounded, so that it moves seldom.
    pub scored_documents: u64,
    pub average_length: f32,
    /// Documents that each segment tells of, the oldest first.
    pub segments: Vec<u32>,
    /// Changes that are in no segment yet, and the pages they take.
    pub waiting_changes: u32,
    pub log_pages: u32,
    pub merging: bool,
}

/// Looks into the index `table` of the main database.
pub fn inspect(connection: &Connection, table: &str) -> Result<Inspection> {
    let sql = Sql::new("main", table);
    let mut row = Vec::new();
    let slot = log::head(&Shadow { connection, sql: &sql }, None, &mut row)?;
    let meta = Meta::read(Slot::read(&row)?.meta)?;
    Ok(Inspection {
        documents: meta.live.documents,
        scored_documents: meta.frozen.documents,
        average_length: meta.frozen.average(),
        segments: meta.segments.iter().map(|segment| segment.documents).collect(),
        waiting_changes: meta.next_change - meta.log_begins(),
        log_pages: meta.ring.live(slot),
        merging: meta.merge.is_some() || meta.flush.is_some(),
    })
}

/// Two indexes held against each other, in all that a search can tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Documents, and words in them.
    pub held: u64,
    pub difference: Option<Difference>,
}

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub place: String,
    pub one: String,
    pub other: String,
}

/// Compares the index `table` of the main databases of both: what is scored by, how long each document is, and every word with
/// its documents and places. Which segments hold them does not matter. Changes that wait are not looked at.
pub fn compare(one: &Connection, other: &Connection, table: &str) -> Result<Compared> {
    let (one, other) = (Opened::open(one, table)?, Opened::open(other, table)?);
    let mut compared = Compared::default();
    compared.difference = one.facts_unlike(&other, &mut compared.held);
    if compared.difference.is_none() {
        compared.difference = one.words_unlike(&other, &mut compared.held)?;
    }
    Ok(compared)
}

struct Opened<'c> {
    connection: &'c Connection,
    sql: Sql,
    options: Options,
    known: Known,
}

/// A word, how many documents are counted with it, and its postings.
type Word = (Vec<u8>, i64, Postings);

impl<'c> Opened<'c> {
    fn open(connection: &'c Connection, table: &str) -> Result<Opened<'c>> {
        let declared: Option<String> = connection
            .query_row("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1", [table], |row| {
                row.get(0)
            })
            .optional()?;
        let options = Options::of_statement(&declared.unwrap_or_default())?;
        let sql = Sql::new("main", table);
        let shadow = Shadow { connection, sql: &sql };
        let mut row = Vec::new();
        let slot = log::head(&shadow, None, &mut row)?;
        let known = Known::load(&shadow, (slot, &row), &options, None)?;
        Ok(Opened { connection, options, known, sql })
    }

    fn rows(&self) -> Shadow<'_> {
        Shadow { connection: self.connection, sql: &self.sql }
    }

    fn facts_unlike(&self, other: &Opened<'_>, held: &mut u64) -> Option<Difference> {
        let told = |opened: &Opened<'_>| {
            let (live, frozen) = (opened.known.meta.live, opened.known.meta.frozen);
            let average = frozen.average();
            format!(
                "{} documents of {} words, ranked as {} of {average}",
                live.documents, live.tokens, frozen.documents
            )
        };
        let unlike = |place: String, one, other| Some(Difference { place, one, other });
        if told(self) != told(other) {
            return unlike("what ranks go by".into(), told(self), told(other));
        }
        let (mut mine, mut others) = (self.known.documents.all(), other.known.documents.all());
        loop {
            let told = |one: Option<(u32, u8)>| {
                one.map_or("not there".into(), |(id, code)| format!("document {id} of some {} words", length_of(code)))
            };
            match (mine.next(), others.next()) {
                (None, None) => return None,
                (one, other) if one != other => {
                    let first = one.into_iter().chain(other).map(|(id, _)| id).min().unwrap_or(0);
                    let at = |one: Option<(u32, u8)>| told(one.filter(|(id, _)| *id == first));
                    return unlike(format!("document {first}"), at(one), at(other));
                }
                _ => *held += 1,
            }
        }
    }

    fn words_unlike(&self, other: &Opened<'_>, held: &mut u64) -> Result<Option<Difference>> {
        let mut mine = Terms::new(&self.known.sources, &[]);
        let mut others = Terms::new(&other.known.sources, &[]);
        loop {
            let (one, two) = (self.next(&mut mine)?, other.next(&mut others)?);
            if one == two {
                let Some((_, _, postings)) = one else { return Ok(None) };
                *held += postings.len() as u64;
                continue;
            }
            let first = one.iter().chain(&two).map(|(term, ..)| term).min().cloned().unwrap_or_default();
            let of = |word: &Option<Word>| word.clone().filter(|(term, ..)| *term == first);
            let place = format!("the word '{}'", shown(&first));
            let (Some(one), Some(two)) = (of(&one), of(&two)) else {
                let told =
                    |word: Option<Word>| word.map_or("not there".into(), |word| format!("in {} documents", word.1));
                return Ok(Some(Difference { place, one: told(of(&one)), other: told(of(&two)) }));
            };
            return Ok(Some(self.word_unlike(place, &one, &two)?));
        }
    }

    /// The next word that any document has, or is counted to have.
    fn next(&self, terms: &mut Terms<'_>) -> Result<Option<Word>> {
        while let Some((term, found)) = terms.next(&self.rows())? {
            let mut postings = Postings::default();
            let counted =
                live_postings(&self.rows(), &found, &self.known.documents, self.options.shape(), &mut postings)?;
            if counted != 0 || !postings.is_empty() {
                return Ok(Some((term, counted, postings)));
            }
        }
        Ok(None)
    }

    fn word_unlike(&self, place: String, one: &Word, other: &Word) -> Result<Difference> {
        let columns = self.options.shape().columns;
        let (mut one_at, mut other_at) = (0, 0);
        loop {
            let document = |word: &Word, at: usize| word.2.documents.get(at).copied();
            let (mine, others) = (document(one, one_at), document(other, other_at));
            let Some(first) = mine.into_iter().chain(others).min() else {
                let told = |word: &Word| format!("counted in {} documents", word.1);
                return Ok(Difference { place, one: told(one), other: told(other) });
            };
            let told = |word: &Word, at: usize| -> Result<String> {
                if document(word, at) != Some(first) {
                    return Ok("not there".into());
                }
                let mut places = Vec::new();
                let counts = word.2.counts_of(at, columns);
                if self.options.positions {
                    posting::read_places(word.2.places_of(at), counts, &mut places)?;
                }
                let shown: Vec<String> = match places.is_empty() {
                    true => counts.iter().map(u32::to_string).collect(),
                    false => places.iter().map(|(column, place)| format!("{column}:{place}")).collect(),
                };
                Ok(format!("at {}", shown.join(" ")))
            };
            let (mine, others) = (told(one, one_at)?, told(other, other_at)?);
            if mine != others {
                return Ok(Difference { place: format!("{place} in document {first}"), one: mine, other: others });
            }
            (one_at, other_at) = (one_at + 1, other_at + 1);
        }
    }
}

/// A term as it is read: a tag with the number of its column.
fn shown(term: &[u8]) -> String {
    match term {
        [1, column, value @ ..] => format!("{}' of column '{column}", String::from_utf8_lossy(value)),
        word => String::from_utf8_lossy(word).into_owned(),
    }
}
