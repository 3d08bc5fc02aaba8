//! Asking again what a response asked: if every answer is the same on the new release, so is the response. A question none of
//! whose own pages has changed has its answer already.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use nearside_protocol::limits;

use crate::{
    cache::{Because, Entry},
    cache_status::Cause,
    counts::{
        query::Why,
        run::{Measured, Run},
    },
    database::Prepared,
    evidence::{Evidence, Question},
    pages::vfs,
    release::Release,
};

/// The entry as it is right for this release; or why it is not, if an answer differs, or if asking takes longer than making
/// it did. Blocks: SQLite cannot yield.
pub(crate) fn ask_again(release: &Release, entry: &Entry) -> Result<Entry, Because> {
    release.counts.count_asked_again();
    asked(release, entry, |prepared, run| {
        if let Some(counted) = release.counts.of(prepared) {
            counted.count(Why::Again, run);
        }
    })
}

/// Whether it would stand if somebody asked. The operator looks, so nothing is counted.
pub(crate) fn would_stand(release: &Release, entry: &Entry) -> Result<(), Because> {
    asked(release, entry, |_, _| ()).map(drop)
}

fn asked(release: &Release, entry: &Entry, count: impl Fn(&Prepared, &Run)) -> Result<Entry, Because> {
    let too_much = || Because::of(Cause::TooMuchToAsk);
    let questions = entry.evidence.questions.as_ref().ok_or_else(too_much)?;
    let by = Instant::now() + entry.took.max(limits::QUESTIONS_TIME);
    let mut reader = release.database.reader().map_err(|_| too_much())?;
    let since = entry.right_until.load(Ordering::Acquire);
    let mut evidence = Evidence::none();
    for question in questions {
        let Question { query, parameters, rows: before, .. } = question;
        if !release.past.touches(question.pages(), since) {
            evidence.add(question.pages(), question.clone());
            continue;
        }
        let another = || Because { cause: Cause::RowsChanged, query: Some(query.clone()) };
        let prepared = release.queries.get(query).ok_or_else(another)?;
        let time = by.saturating_duration_since(Instant::now()).min(Duration::from_millis(limits::SQL_QUERY_MS));
        if time.is_zero() {
            return Err(too_much());
        }
        let clock = vfs::clock_reads();
        let Measured { answer, pages, run } = reader.measured(&prepared.sql, parameters, time);
        count(prepared, &run);
        let rows = answer.map_err(|_| another())?.digest();
        // The time is another each time it is asked; what is good for a while by its handler's word is made anew.
        if rows != *before || vfs::clock_reads() != clock {
            return Err(another());
        }
        evidence.add(&pages, Question::new(query.clone(), parameters.clone(), rows));
    }
    Ok(entry.confirmed(release, evidence))
}
