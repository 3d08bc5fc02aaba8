//! From a query to what is looked for: the rows of its terms in every segment, and how rare each term is.

use crate::{
    batch::tag_term,
    clause::{Clause, Phrase, Word},
    cursor::{Cursor, Scope},
    dictionary::{self, Place, TermRow},
    fault::{Fault, Result},
    index::Known,
    limits, number,
    query::Query,
    rows::Rows,
};

/// A query whose terms are looked up.
pub enum Plan {
    Words { words: Vec<Found>, columns: u32 },
    And(Vec<Plan>),
    Or(Vec<Plan>),
    Not(Box<(Plan, Plan)>),
}

/// The lists of a word by segment: one in each, or several spellings.
pub struct Found {
    idf: u64,
    spelled: bool,
    places: Vec<Vec<Place>>,
}

pub fn plan(rows: &dyn Rows, known: &Known, query: &Query) -> Result<Plan> {
    let all = |parts: &[Query]| parts.iter().map(|part| plan(rows, known, part)).collect::<Result<Vec<_>>>();
    Ok(match query {
        Query::Words { words, prefix, columns } => {
            let find = |(index, word): (usize, &String)| {
                look_up(rows, known, word.as_bytes(), *prefix && index + 1 == words.len())
            };
            Plan::Words { words: words.iter().enumerate().map(find).collect::<Result<_>>()?, columns: *columns }
        }
        Query::Tag { column, value, prefix } => {
            let found = look_up(rows, known, &tag_term(*column, value), *prefix)?;
            Plan::Words { words: vec![Found { idf: 0, ..found }], columns: 1 << column }
        }
        Query::Range { column, from, to } => {
            Plan::Words { words: vec![look_up_range(rows, known, *column, (*from, *to))?], columns: 1 << column }
        }
        Query::And(parts) => Plan::And(all(parts)?),
        Query::Or(parts) => Plan::Or(all(parts)?),
        Query::Not(wanted, unwanted) => Plan::Not(Box::new((plan(rows, known, wanted)?, plan(rows, known, unwanted)?))),
    })
}

fn look_up(rows: &dyn Rows, known: &Known, term: &[u8], prefix: bool) -> Result<Found> {
    let (mut documents, mut places) = (0, Vec::new());
    for source in &known.sources {
        let mut here = Vec::new();
        let mut take = |row: TermRow| {
            documents += row.more;
            if row.postings != Place::Nowhere {
                here.push(row.postings);
            }
            here.len()
        };
        if !prefix {
            if let Some(row) = dictionary::find(source.rows(rows), source.segment.id, term)? {
                take(row);
            }
        } else {
            dictionary::scan(source.rows(rows), source.segment.id, term, &mut |found, row| {
                let fits = found.starts_with(term);
                if fits && take(row.owned()) > limits::PREFIX_TERMS {
                    let most = limits::PREFIX_TERMS;
                    let refused =
                        format!("'{}*' stands for over {most} words: give more letters", String::from_utf8_lossy(term));
                    return Err(Fault::Refused(refused));
                }
                Ok(fits)
            })?;
        }
        places.push(here);
    }
    Ok(Found { idf: known.meta.frozen.idf(documents), spelled: prefix, places })
}

fn look_up_range(rows: &dyn Rows, known: &Known, column: usize, (from, to): (i64, i64)) -> Result<Found> {
    let mut places = Vec::new();
    for source in &known.sources {
        let mut here = Vec::new();
        for span in number::spans(from, to) {
            let (first, last) = span.terms(column);
            dictionary::scan(source.rows(rows), source.segment.id, &first, &mut |found, row| {
                let fits = found <= last.as_slice();
                if fits {
                    here.push(row.postings.owned());
                }
                if here.len() > limits::PREFIX_TERMS {
                    let most = limits::PREFIX_TERMS;
                    return Err(Fault::Refused(format!("{from}..{to} has over {most} parts: give a narrower range")));
                }
                Ok(fits)
            })?;
        }
        here.retain(|place| *place != Place::Nowhere);
        places.push(here);
    }
    Ok(Found { idf: 0, spelled: true, places })
}

/// Lists of a nested prefix that are gone through beside each other; more are gathered into one first.
const LISTS_BESIDE: usize = 8;

impl Plan {
    /// What to look for in the segment of this number; none when it cannot have any.
    pub fn clause<'a>(&self, scope: Scope<'a>, number: usize, nested: bool) -> Result<Option<Clause<'a>>> {
        let clause = match self {
            Plan::Words { words, columns } => match &words[..] {
                [word] => return word.clause(scope, number, *columns, nested),
                words => return phrase(words, scope, number, *columns),
            },
            Plan::And(parts) => {
                let mut clauses = Vec::new();
                for part in parts {
                    let Some(clause) = part.clause(scope, number, true)? else { return Ok(None) };
                    clauses.push(clause);
                }
                clauses.sort_by_key(Clause::size);
                Clause::All(clauses)
            }
            Plan::Or(parts) => {
                let mut clauses = Vec::new();
                for part in parts {
                    clauses.extend(part.clause(scope, number, true)?);
                }
                match clauses.len() {
                    0 | 1 => return Ok(clauses.pop()),
                    _ => Clause::Any(clauses),
                }
            }
            Plan::Not(pair) => {
                let Some(wanted) = pair.0.clause(scope, number, true)? else { return Ok(None) };
                match pair.1.clause(scope, number, true)? {
                    Some(unwanted) => Clause::Not(Box::new((wanted, unwanted))),
                    None => wanted,
                }
            }
        };
        Ok(Some(clause))
    }
}

impl Found {
    fn cursors<'a>(&self, scope: Scope<'a>, number: usize, columns: u32, idf: u64) -> Result<Vec<Cursor<'a>>> {
        self.places[number].iter().map(|place| Cursor::open(scope, place, columns, idf)).collect()
    }

    fn clause<'a>(&self, scope: Scope<'a>, number: usize, columns: u32, nested: bool) -> Result<Option<Clause<'a>>> {
        let mut cursors = self.cursors(scope, number, columns, self.idf)?;
        if !self.spelled {
            return Ok(cursors.pop().map(Clause::List));
        }
        if !nested || cursors.is_empty() {
            return Ok((!cursors.is_empty()).then_some(Clause::Best(cursors)));
        }
        let places = self.places[number].iter();
        let long = places.filter(|place| matches!(place, Place::List(..))).count();
        if long > LISTS_BESIDE {
            return Ok(Some(Clause::List(Cursor::gather(scope, cursors, self.idf)?)));
        }
        let (long, short): (Vec<_>, Vec<_>) = cursors.into_iter().partition(Cursor::is_long);
        let mut beside = long;
        beside.push(Cursor::gather(scope, short, self.idf)?);
        Ok(Some(Clause::Best(beside)))
    }
}

fn phrase<'a>(words: &[Found], scope: Scope<'a>, number: usize, columns: u32) -> Result<Option<Clause<'a>>> {
    let mut found = Vec::new();
    for word in words {
        let spellings = word.cursors(scope, number, columns, 1)?;
        if spellings.is_empty() {
            return Ok(None);
        }
        found.push(Word { spellings });
    }
    let idf = words.iter().map(|word| word.idf).sum();
    Ok(Some(Clause::Phrase(Box::new(Phrase::new(found, columns, idf, scope.norms, scope.weights)))))
}
