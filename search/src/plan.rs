//! From a query to what is looked for: the rows of its terms in every segment, and how rare each term is.

use crate::{
    batch::tag_term,
    clause::Clause,
    cursor::{Cursor, Room, Scope},
    dictionary::{self, Place, TermRow},
    fault::{Fault, Result},
    index::Known,
    limits, number,
    phrase::{Phrase, Word},
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
    Planner { rows, known, spellings: 0 }.plan(query)
}

struct Planner<'a> {
    rows: &'a dyn Rows,
    known: &'a Known,
    /// What prefixes and ranges stand for so far, in all segments.
    spellings: usize,
}

impl Planner<'_> {
    fn plan(&mut self, query: &Query) -> Result<Plan> {
        Ok(match query {
            Query::Words { words, prefix, columns } => {
                let find = |(index, word): (usize, &String)| {
                    self.look_up(word.as_bytes(), *prefix && index + 1 == words.len())
                };
                Plan::Words { words: words.iter().enumerate().map(find).collect::<Result<_>>()?, columns: *columns }
            }
            Query::Tag { column, value, prefix } => {
                let found = self.look_up(&tag_term(*column, value), *prefix)?;
                Plan::Words { words: vec![Found { idf: 0, ..found }], columns: 1 << column }
            }
            Query::Range { column, from, to } => {
                Plan::Words { words: vec![self.look_up_range(*column, (*from, *to))?], columns: 1 << column }
            }
            Query::And(parts) => Plan::And(self.all(parts)?),
            Query::Or(parts) => Plan::Or(self.all(parts)?),
            Query::Not(wanted, unwanted) => Plan::Not(Box::new((self.plan(wanted)?, self.plan(unwanted)?))),
        })
    }

    fn all(&mut self, parts: &[Query]) -> Result<Vec<Plan>> {
        parts.iter().map(|part| self.plan(part)).collect()
    }

    fn look_up(&mut self, term: &[u8], prefix: bool) -> Result<Found> {
        let (known, rows) = (self.known, self.rows);
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
                        let (most, word) = (limits::PREFIX_TERMS, String::from_utf8_lossy(term));
                        let refused = format!("'{word}*' stands for over {most} words: give more letters");
                        return Err(Fault::Refused(refused));
                    }
                    self.count(fits)?;
                    Ok(fits)
                })?;
            }
            places.push(here);
        }
        Ok(Found { idf: known.meta.frozen.idf(documents), spelled: prefix, places })
    }

    fn look_up_range(&mut self, column: usize, (from, to): (i64, i64)) -> Result<Found> {
        let (known, rows) = (self.known, self.rows);
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
                        return Err(Fault::Refused(format!(
                            "{from}..{to} has over {most} parts: give a narrower range"
                        )));
                    }
                    self.count(fits)?;
                    Ok(fits)
                })?;
            }
            here.retain(|place| *place != Place::Nowhere);
            places.push(here);
        }
        Ok(Found { idf: 0, spelled: true, places })
    }

    fn count(&mut self, fits: bool) -> Result<()> {
        self.spellings += usize::from(fits);
        if self.spellings > limits::QUERY_SPELLINGS {
            let most = limits::QUERY_SPELLINGS;
            return Err(Fault::Refused(format!(
                "the prefixes and ranges of the query stand for over {most} words together: give more letters, or fewer of them"
            )));
        }
        Ok(())
    }
}

/// Lists of a nested prefix that are gone through beside each other; more are gathered into one first.
const LISTS_BESIDE: usize = 8;

impl Plan {
    /// What to look for in the segment of this number; none when it cannot have any.
    pub fn clause<'a>(&self, scope: Scope<'a>, number: usize, nested: bool) -> Result<Option<Clause<'a>>> {
        self.part(scope, number, nested, &mut Room::default())
    }

    fn part<'a>(&self, scope: Scope<'a>, number: usize, nested: bool, room: &mut Room) -> Result<Option<Clause<'a>>> {
        let clause = match self {
            Plan::Words { words, columns } => match &words[..] {
                [word] => return word.clause(scope, number, *columns, nested.then_some(room)),
                words => return phrase(words, scope, number, *columns),
            },
            Plan::And(parts) => {
                let mut clauses = Vec::new();
                for part in parts {
                    let Some(clause) = part.part(scope, number, true, room)? else { return Ok(None) };
                    clauses.push(clause);
                }
                clauses.sort_by_key(Clause::size);
                Clause::All(clauses)
            }
            Plan::Or(parts) => {
                let mut clauses = Vec::new();
                for part in parts {
                    clauses.extend(part.part(scope, number, true, room)?);
                }
                match clauses.len() {
                    0 | 1 => return Ok(clauses.pop()),
                    _ => Clause::Any(clauses),
                }
            }
            Plan::Not(pair) => {
                let Some(wanted) = pair.0.part(scope, number, true, room)? else { return Ok(None) };
                match pair.1.part(scope, number, true, room)? {
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

    /// Where it is nested, with the room there is to gather in.
    fn clause<'a>(
        &self,
        scope: Scope<'a>,
        number: usize,
        columns: u32,
        nested: Option<&mut Room>,
    ) -> Result<Option<Clause<'a>>> {
        let places = &self.places[number];
        let room = match nested {
            Some(room) if self.spelled && !places.is_empty() => room,
            _ => {
                let mut cursors = self.cursors(scope, number, columns, self.idf)?;
                return Ok(match cursors.is_empty() {
                    true => None,
                    false if self.spelled => Some(Clause::Best(cursors)),
                    false => cursors.pop().map(Clause::List),
                });
            }
        };
        let (long, short): (Vec<&Place>, Vec<&Place>) =
            places.iter().partition(|place| matches!(place, Place::List(..)));
        let what = (columns, self.idf);
        if long.len() > LISTS_BESIDE {
            return Ok(Some(Clause::List(Cursor::gather(scope, places.iter(), what, room)?)));
        }
        let beside = long.into_iter().map(|place| Cursor::open(scope, place, columns, self.idf));
        let mut beside = beside.collect::<Result<Vec<_>>>()?;
        beside.push(Cursor::gather(scope, short.into_iter(), what, room)?);
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
        found.push(Word::new(spellings));
    }
    let idf = words.iter().map(|word| word.idf).sum();
    Ok(Some(Clause::Phrase(Box::new(Phrase::new(found, columns, idf, scope.norms, scope.weights)))))
}
