//! Which values of a column of tags a query's documents have, and how many of them each.
//!
//! Exact as long as no more documents than the bound are found. Beyond it, the first ones by rowid stand for all: what is
//! told then is an estimate, and says so. Either depends on what is there alone, not on segments.

use std::collections::BTreeMap;

use crate::{
    batch::TAG,
    cursor::{Cursor, END},
    dictionary::{self, Place},
    documents::Changes,
    fault::{Fault, Result},
    index::Known,
    limits,
    options::Options,
    query::Query,
    rows::Rows,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Facets {
    /// Documents that are found.
    pub documents: u64,
    pub is_exact: bool,
    /// The values that most of them have first, then by name.
    pub values: Vec<(String, u64)>,
}

pub fn facets(
    known: &Known,
    rows: &dyn Rows,
    options: &Options,
    query: &Query,
    (column, most): (usize, usize),
) -> Result<Facets> {
    let bound = limits::FACET_DOCUMENTS;
    let hits = known.all(rows, options, query, (false, bound + 1))?;
    let is_exact = hits.len() <= bound;
    let found: Vec<u32> = hits.iter().take(bound).map(|hit| hit.document).collect();
    let factor = match found.last() {
        Some(last) if !is_exact => {
            let seen = known.documents.all().take_while(|(document, _)| document <= last).count();
            known.meta.live.documents as f64 / seen.max(1) as f64
        }
        _ => 1.0,
    };
    let estimated = |count: u64| if is_exact { count } else { (count as f64 * factor).round() as u64 };
    let mut counts = BTreeMap::<Vec<u8>, u64>::new();
    for number in 0..known.sources.len() {
        count_in(known, rows, options, (number, column), &found, &mut counts)?;
    }
    let mut values: Vec<(String, u64)> = counts
        .into_iter()
        .map(|(value, count)| (String::from_utf8_lossy(&value).into_owned(), estimated(count)))
        .collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(most);
    Ok(Facets { documents: estimated(found.len() as u64), is_exact, values })
}

fn count_in(
    known: &Known,
    rows: &dyn Rows,
    options: &Options,
    (number, column): (usize, usize),
    found: &[u32],
    counts: &mut BTreeMap<Vec<u8>, u64>,
) -> Result<()> {
    let scope = known.scope(rows, options, number);
    let changes: Changes = scope.changes;
    let newest = |document: &u32| known.documents.length_if_newest(*document, changes).is_some();
    let found: Vec<u32> = found.iter().copied().filter(newest).collect();
    if found.is_empty() {
        return Ok(());
    }
    // Lists are read after the scan: one statement at a time.
    let prefix = [TAG, column as u8];
    let mut terms: Vec<(Vec<u8>, Place)> = Vec::new();
    dictionary::scan(scope.rows, scope.segment, &prefix, &mut |term, row| {
        let Some(value) = term.strip_prefix(&prefix) else { return Ok(false) };
        if terms.len() >= limits::FACET_VALUES {
            let most = limits::FACET_VALUES;
            return Err(Fault::Refused(format!("a column has over {most} values: too many to count each")));
        }
        terms.push((value.to_vec(), row.postings.owned()));
        Ok(true)
    })?;
    for (value, place) in terms.iter().filter(|(_, place)| *place != Place::Nowhere) {
        let count = in_both(&mut Cursor::open(scope, place, 1 << column, 0)?, &found)?;
        if count > 0 {
            *counts.entry(value.clone()).or_default() += count;
        }
    }
    Ok(())
}

fn in_both(cursor: &mut Cursor<'_>, found: &[u32]) -> Result<u64> {
    let (mut count, mut rest) = (0, found);
    while let Some(next) = rest.first() {
        let document = cursor.seek(*next)?;
        if document == END {
            break;
        }
        rest = &rest[rest.partition_point(|found| *found < document)..];
        if rest.first() == Some(&document) {
            count += 1;
            rest = &rest[1..];
        }
    }
    Ok(count)
}
