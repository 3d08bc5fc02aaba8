//! A query's documents in the order of a column of numbers: the first so many, without finding all.
//!
//! A range of numbers is one term (`number.rs`), so the way is from the widest ranges at the wanted end down to single
//! numbers, and only into ranges that something is found in. Rows of equal numbers come by rowid. What has no number comes
//! before the least, as NULL does in SQLite, or after it when the greatest come first.

use std::collections::BTreeMap;

use crate::{
    clause::Clause,
    cursor::{Cursor, END},
    dictionary::{self, Place},
    fault::{Fault, Result},
    find,
    index::Known,
    limits, number,
    options::Options,
    plan::{Plan, plan},
    query::Query,
    rows::Rows,
    top::Hit,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub column: usize,
    pub descending: bool,
}

pub fn sorted(
    known: &Known,
    rows: &dyn Rows,
    options: &Options,
    query: &Query,
    sort: Sort,
    most: usize,
) -> Result<Vec<Hit>> {
    let few = known.all(rows, options, query, (false, limits::SORTED_FEW + 1))?;
    let few: Option<Vec<u32>> =
        (few.len() <= limits::SORTED_FEW).then(|| few.into_iter().map(|hit| hit.document).collect());
    let plan = plan(rows, known, query)?;
    let (low, high) = query.bounds_of(sort.column);
    let mut walk = Walk { known, rows, options, plan, sort, most, found: Vec::new() };
    if !sort.descending {
        walk.without_number(few.as_deref())?;
    }
    if low <= high {
        let widest = number::WIDTHS - 1;
        walk.go(widest, (number::left(low, widest), number::left(high, widest)), few.as_deref())?;
    }
    if sort.descending {
        walk.without_number(few.as_deref())?;
    }
    Ok(walk.found.into_iter().map(|document| Hit { document, score: 0 }).collect())
}

struct Walk<'a> {
    known: &'a Known,
    rows: &'a dyn Rows,
    options: &'a Options,
    plan: Plan,
    sort: Sort,
    most: usize,
    found: Vec<u32>,
}

/// Documents with a number of a range: by segment, its number and where they are.
#[derive(Default)]
struct Range {
    places: Vec<(usize, Place)>,
    postings: usize,
    documents: i64,
}

impl Walk<'_> {
    fn wanted(&self) -> usize {
        self.most.saturating_sub(self.found.len())
    }

    /// Through the ranges of a width from one to another, in the wanted order; of documents, only those that are `within`.
    fn go(&mut self, width: u8, (from, to): (u64, u64), within: Option<&[u32]>) -> Result<()> {
        let mut ranges: Vec<(u64, Range)> = self.ranges(width, from, to)?.into_iter().collect();
        if self.sort.descending {
            ranges.reverse();
        }
        for (left, range) in ranges {
            if self.wanted() == 0 {
                break;
            }
            let narrower = number::narrower(left);
            if width > 0 && within.is_none() && range.postings > limits::SORTED_EXPANDED {
                self.go(width - 1, narrower, None)?;
                continue;
            }
            let mut found = self.found_in(&range, width, within)?;
            if width == 0 || found.len() == 1 {
                found.truncate(self.wanted());
                self.found.append(&mut found);
            } else if !found.is_empty() {
                self.go(width - 1, narrower, Some(&found))?;
            }
        }
        Ok(())
    }

    fn ranges(&self, width: u8, from: u64, to: u64) -> Result<BTreeMap<u64, Range>> {
        let mut ranges = BTreeMap::<u64, Range>::new();
        let column = self.sort.column;
        let (first, last) = (number::term(column, width, from), number::term(column, width, to));
        for (number, source) in self.known.sources.iter().enumerate() {
            dictionary::scan(source.rows(self.rows), source.segment.id, &first, &mut |term, row| {
                let Some(left) = number::left_of(term).filter(|_| term <= last.as_slice()) else { return Ok(false) };
                let range = ranges.entry(left).or_default();
                range.documents += row.more;
                range.postings += match row.postings {
                    Place::Nowhere => return Ok(true),
                    // A posting takes two bytes at the least.
                    Place::Here(list) => list.len() / 2,
                    Place::List(_, many) => many as usize,
                };
                range.places.push((number, row.postings.owned()));
                if ranges.len() > limits::PREFIX_TERMS {
                    let most = limits::PREFIX_TERMS;
                    return Err(Fault::Refused(format!("numbers to sort by are too scattered: over {most} parts")));
                }
                Ok(true)
            })?;
        }
        Ok(ranges)
    }

    /// What is found with a number of the range, by rowid; of a single number, no more than are wanted.
    fn found_in(&self, range: &Range, width: u8, within: Option<&[u32]>) -> Result<Vec<u32>> {
        let most = if width == 0 { self.wanted() } else { usize::MAX };
        let mut found = Vec::new();
        for (number, place) in &range.places {
            let scope = self.known.scope(self.rows, self.options, *number);
            let mut cursor = Cursor::open(scope, place, 1 << self.sort.column, 0)?;
            let before = found.len();
            match within {
                Some(documents) => {
                    for document in documents {
                        match cursor.seek(*document)? {
                            END => break,
                            there if there == *document => found.push(there),
                            _ => {}
                        }
                    }
                }
                None => {
                    let Some(mut clause) = self.plan.clause(scope, *number, true)? else { continue };
                    let mut next = 0;
                    while found.len() - before < most {
                        let numbered = cursor.seek(next)?;
                        next = if numbered == END { END } else { clause.seek(numbered)? };
                        if next == END {
                            break;
                        }
                        if next == numbered {
                            found.push(next);
                            next += 1;
                        }
                    }
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// What is found and has no number, by rowid; of documents, only those that are `within`. Where it is not known which
    /// are found, all that are have to be gone through: there is no list of what has none.
    fn without_number(&mut self, within: Option<&[u32]>) -> Result<()> {
        if self.wanted() == 0 {
            return Ok(());
        }
        let widest = number::WIDTHS - 1;
        let ranges = self.ranges(widest, 0, u64::MAX)?;
        let with_number: i64 = ranges.values().map(|range| range.documents).sum();
        if u64::try_from(with_number).is_ok_and(|with| with >= self.known.meta.live.documents) {
            return Ok(());
        }
        let (known, rows, options) = (self.known, self.rows, self.options);
        let mut found = Vec::new();
        for number in 0..known.sources.len() {
            let scope = known.scope(rows, options, number);
            let places = ranges.values().flat_map(|range| &range.places).filter(|(segment, _)| *segment == number);
            let numbered = places.map(|(_, place)| Cursor::open(scope, place, 1 << self.sort.column, 0));
            let mut numbered = Clause::Best(numbered.collect::<Result<_>>()?);
            if let Some(documents) = within {
                let here = |document: &&u32| known.documents.length_if_newest(**document, scope.changes).is_some();
                for document in documents.iter().filter(here) {
                    if numbered.seek(*document)? != *document {
                        found.push(*document);
                    }
                }
                continue;
            }
            let Some(clause) = self.plan.clause(scope, number, true)? else { continue };
            let mut clause = Clause::Not(Box::new((clause, numbered)));
            find::first(&mut clause, (false, self.wanted()), |hit| found.push(hit.document))?;
        }
        found.sort_unstable();
        found.truncate(self.wanted());
        self.found.append(&mut found);
        Ok(())
    }
}
